"""I23: a device is on the fault core's queue for as long as a domain of it wants page faults."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.intel_iommu import (
    DevPasidRefused,
    DevPasidSet,
    IopfDeviceAdded,
    IopfDeviceLeaves,
    IopfReferenced,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when


class FaultReferencesAddUp:
    """After each call a device has as many references on page faults as domains that have them."""

    name: ClassVar[str] = "fault-references-add-up"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I23"
    source: ClassVar[str] = (
        "Linux 7.3 iopf_for_domain_replace, intel_iommu_enable_iopf; 17fce9d2336d"
    )
    observes: ClassVar[tuple[type[Event], ...]] = (
        DevPasidSet,
        DevPasidRefused,
        IopfReferenced,
        IopfDeviceAdded,
        IopfDeviceLeaves,
    )

    def __init__(self, machine: Machine) -> None:
        self.counts: dict[Name, int] = {}
        self.queued: dict[Name, None] = {}
        self.wanting: dict[Name, dict[Pasid, None]] = {}
        """PASIDs of each device whose domain has page faults."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DevPasidSet:
            wanting = self.wanting.setdefault(fact.device, {})
            wanting.pop(fact.pasid, None)
            if fact.faults:
                wanting[fact.pasid] = None
            return self._looked_at(record, fact.device)
        if type(fact) is DevPasidRefused:
            return self._looked_at(record, fact.device)
        if type(fact) is IopfReferenced:
            self.counts[fact.device] = fact.count
        elif type(fact) is IopfDeviceAdded:
            self.queued[fact.device] = None
        elif type(fact) is IopfDeviceLeaves:
            self.queued.pop(fact.device, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _looked_at(self, record: Record, device: Name) -> str | None:
        wanted = len(self.wanting.get(device, {}))
        count = self.counts.get(device, 0)
        if count == wanted and (device in self.queued) == (wanted > 0):
            return None
        where = "on" if device in self.queued else "not on"
        return (
            f"{device} has {count} references on page faults and is {where} the queue at "
            f"{when(record.stamp)}; {wanted} of its domains have them"
        )
