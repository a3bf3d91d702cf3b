"""R3: a cached entry or translation outlives the entry it came from."""

from typing import ClassVar

from protocol.facts import CacheFilled, CacheFlushed, Event, PasidReclaimed
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed


class IommuCachesFlushedBeforeReclaim:
    """A PASID is reclaimed only after PASID cache and IOTLB of every unit have lost its lines."""

    name: ClassVar[str] = "iommu-caches-flushed-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R3"
    source: ClassVar[str] = "VT-d specification 5.10, table 28; J. Pan, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (
        CacheFilled,
        CacheFlushed,
        PasidReclaimed,
        GlobalPasidFreed,
    )

    def __init__(self, machine: Machine) -> None:
        self.lines = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFilled and fact.cache in ("pasid-cache", "iotlb"):
            line = ("a line of {} in the {}", fact.device, fact.cache)
            return self.lines.begins(record, fact.pasid, fact.incarnation, line)
        if type(fact) is CacheFlushed and fact.cache in ("pasid-cache", "iotlb"):
            # A flush goes by number: whatever life its lines belonged to.
            self.lines.ends(record, fact.pasid, ("a line of {} in the {}", fact.device, fact.cache))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.lines.reclaimed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []
