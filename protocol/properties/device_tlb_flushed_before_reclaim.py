"""R4: what a device has translated is stopped by nothing but a completed invalidation."""

from typing import ClassVar

from protocol.facts import CacheFilled, CacheFlushed, Event, HostGone, PasidReclaimed
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed


class DeviceTlbFlushedBeforeReclaim:
    """A PASID is reclaimed only after each device TLB has lost it, and has said so."""

    name: ClassVar[str] = "device-tlb-flushed-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R4"
    source: ClassVar[str] = "VT-d specification 5.10, 6.5.2.11; Linux 5.15 intel/pasid.c"
    observes: ClassVar[tuple[type[Event], ...]] = (
        CacheFilled,
        CacheFlushed,
        PasidReclaimed,
        GlobalPasidFreed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.lines = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFilled and fact.cache == "device-tlb":
            line = ("a line in the device TLB of {}", fact.device)
            return self.lines.begins(record, fact.pasid, fact.incarnation, line)
        if type(fact) is CacheFlushed and fact.cache == "device-tlb":
            # The device states its completion; the reclaim must have seen that.
            self.lines.ends(record, fact.pasid, ("a line in the device TLB of {}", fact.device))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.lines.reclaimed(record, fact)
        if type(fact) is HostGone:
            self.lines.lost(record.stamp.actor)  # No device, no DMA (S48).
        return None

    def unmet(self) -> list[Owed]:
        return []
