"""I02: PASID 0 is DMA without PASID, and beyond its width a device sends another number."""

from typing import ClassVar

from protocol.domains import NO_PASID
from protocol.facts import Event
from protocol.facts.iommu_core import GlobalPasidAllocated
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, when


class GlobalPasidsWithinTheDevice:
    """A number that is handed out for a device is above 0 and below what the device supports."""

    name: ClassVar[str] = "global-pasids-within-the-device"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I02"
    source: ClassVar[str] = "iommu_alloc_global_pasid of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (GlobalPasidAllocated,)

    def __init__(self, machine: Machine) -> None:
        self.limits = {device.name: device.pasids for device in machine.devices}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is GlobalPasidAllocated:
            limit = self.limits.get(fact.device, 0)
            if not NO_PASID < fact.pasid < limit:
                return (
                    f"PASID {fact.pasid} was handed out for {fact.device} at "
                    f"{when(record.stamp)}, which has those from 1 to {limit - 1}"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []
