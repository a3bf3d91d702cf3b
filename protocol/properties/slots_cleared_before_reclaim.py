"""R7: a work queue submits with whatever PASID its configuration holds (S26)."""

from typing import ClassVar

from protocol.facts import Event, HostGone, PasidReclaimed, WqCleared, WqProgrammed
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing


class SlotsClearedBeforeReclaim:
    """A PASID is reclaimed only after no WQ and no IMS entry of a device holds it."""

    name: ClassVar[str] = "slots-cleared-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R7"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, VDCM section"
    observes: ClassVar[tuple[type[Event], ...]] = (
        WqProgrammed,
        WqCleared,
        PasidReclaimed,
        GlobalPasidFreed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.slots = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is WqProgrammed:
            return self.slots.begins(record, fact.pasid, fact.incarnation, _slot(fact))
        if type(fact) is WqCleared:
            self.slots.ends(record, fact.pasid, _slot(fact))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.slots.reclaimed(record, fact)
        if type(fact) is HostGone:
            self.slots.lost(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _slot(fact: WqProgrammed | WqCleared) -> Thing:
    return ("the {} slot of {} on {}", fact.slot, fact.vm, fact.device)
