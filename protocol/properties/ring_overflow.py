"""Witness: the page-request ring was full, so that hardware answered for the guest."""

from typing import ClassVar

from protocol.facts import Event, RequestAutoAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import ResponseCode
from protocol.properties.property import Kind, Owed, named, when


class RingOverflow:
    """A page request found the ring full: hardware answered SUCCESS, and the device asked again."""

    name: ClassVar[str] = "ring-overflow"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "VT-d specification 5.10, table 31"
    observes: ClassVar[tuple[type[Event], ...]] = (RequestAutoAnswered,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is RequestAutoAnswered and fact.code == ResponseCode.SUCCESS:
            life = named(fact.pasid, fact.incarnation)
            return f"the ring of {fact.unit} had no room for {life} at {when(record.stamp)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
