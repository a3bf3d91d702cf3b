"""Witness: a fault of a device went to the guest and came back."""

from typing import ClassVar

from protocol.facts import Event, PageAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import ResponseCode
from protocol.properties.property import Kind, Owed, named, when


class PageWasAnswered:
    """A page request was answered with SUCCESS."""

    name: ClassVar[str] = "page-answered"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "Linux 5.15 intel_svm_page_response"
    observes: ClassVar[tuple[type[Event], ...]] = (PageAnswered,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageAnswered and fact.code == ResponseCode.SUCCESS:
            life = named(fact.pasid, fact.incarnation)
            return (
                f"page group {fact.group} of {fact.device} for {life} "
                f"was answered with SUCCESS at {when(record.stamp)}"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
