"""Witness: a bind failed after its first device (S8)."""

from typing import ClassVar

from protocol.facts import BindAnswered, Event
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class Rollback:
    """A bind of a group failed and undid what it had bound."""

    name: ClassVar[str] = "rollback"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "VFIO v7 10/16 bind; b025dea63cde"
    observes: ClassVar[tuple[type[Event], ...]] = (BindAnswered,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is BindAnswered and fact.rolled_back > 0:
            count = fact.rolled_back
            life = named(fact.pasid, fact.incarnation)
            return (
                f"the bind of {life} to group {fact.group} of {fact.vm} failed "
                f"with {fact.errno} at {when(record.stamp)} and undid {count} devices"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
