"""I15: a child that begins with its parent's PASID looks bound, and gives the number back."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import MmPasidBegun
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class NewMmsHaveNoPasid:
    """An mm that a fork or an exec makes begins without a PASID."""

    name: ClassVar[str] = "new-mms-have-no-pasid"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I15"
    source: ClassVar[str] = "82e69a121be4, mm/fork: clear PASID for new mm"
    observes: ClassVar[tuple[type[Event], ...]] = (MmPasidBegun,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MmPasidBegun and fact.pasid:
            life = named(fact.pasid, fact.incarnation)
            return f"{fact.mm}, made of {fact.of}, begins with {life} at {when(record.stamp)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
