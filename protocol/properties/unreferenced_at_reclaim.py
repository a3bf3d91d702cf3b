"""R1: the count is the rule that all others lean on."""

from typing import ClassVar

from protocol.facts import Event, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class UnreferencedAtReclaim:
    """A PASID is reclaimed with a reference count of 0 and without a holder."""

    name: ClassVar[str] = "unreferenced-at-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R1"
    source: ClassVar[str] = "V4 09/18 ioasid_put; J. Pan on x86/mmu PASID allocation, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidReclaimed,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidReclaimed and (fact.refs != 0 or fact.holders):
            refs = fact.refs
            holders = fact.holders
            return (
                f"{named(fact.pasid, fact.incarnation)} was reclaimed at {when(record.stamp)} "
                f"with {refs} references, held by {', '.join(holders) or 'nobody'}"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
