"""R2: a present entry under a free number translates for whoever gets the number next."""

from typing import ClassVar

from protocol.facts import EntryCleared, EntryWritten, Event, PasidReclaimed
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing


class EntriesClearedBeforeReclaim:
    """A PASID is reclaimed only after every PASID-table entry for it has been cleared."""

    name: ClassVar[str] = "entries-cleared-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R2"
    source: ClassVar[str] = "J. Pan on x86/mmu PASID allocation, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryWritten,
        EntryCleared,
        PasidReclaimed,
        GlobalPasidFreed,
    )

    def __init__(self, machine: Machine) -> None:
        self.entries = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is EntryWritten:
            return self.entries.begins(record, fact.pasid, fact.incarnation, _entry(fact))
        if type(fact) is EntryCleared:
            self.entries.ends(record, fact.pasid, _entry(fact))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.entries.reclaimed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _entry(fact: EntryWritten | EntryCleared) -> Thing:
    return ("the PASID-table entry of {} in {}", fact.device, fact.unit)
