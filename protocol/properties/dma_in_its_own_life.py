"""N1: the isolation breach that everything else is there to prevent."""

from typing import ClassVar

from protocol.facts import DmaTranslated, Event, HostGone, PasidReclaimed
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, named, when


class DmaInItsOwnLife:
    """Every access is translated by tables of its own VM and life, and none outlives the life."""

    name: ClassVar[str] = "dma-in-its-own-life"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N1"
    source: ClassVar[str] = "T. Gleixner and J. Pan on x86/mmu PASID allocation, Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DmaTranslated,
        PasidReclaimed,
        GlobalPasidFreed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.accesses = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DmaTranslated:
            dma = ("DMA of {} by {}", fact.vm, fact.device)
            late = self.accesses.happens(record, fact.pasid, fact.incarnation, dma)
            return _crossed(record, fact) or late
        if type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.accesses.reclaimed(record, fact)
        if type(fact) is HostGone:
            self.accesses.lost(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _crossed(record: Record, fact: DmaTranslated) -> str | None:
    """Whose tables translated it, if not its own.  Ghost 0: the life is not known."""
    known = fact.incarnation != 0 and fact.table_incarnation != 0
    if fact.vm == fact.table_vm and (fact.incarnation == fact.table_incarnation or not known):
        return None
    return (
        f"DMA of {fact.vm} with {named(fact.pasid, fact.incarnation)} by {fact.device} was "
        f"translated by the tables of {fact.table_vm or 'nobody'}, life {fact.table_incarnation} "
        f"({fact.through}, at {when(record.stamp)})"
    )
