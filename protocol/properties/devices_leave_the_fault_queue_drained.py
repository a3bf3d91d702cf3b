"""I24: a fault core that lets a device go answers what is pending, and frees it under the workers.

So the hardware has to be off before, and its requests drained.
"""

from typing import ClassVar

from protocol.facts import DeviceTornDown, Event
from protocol.facts.intel_iommu import DevPasidSet, IopfDeviceLeaves
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when


class DevicesLeaveTheFaultQueueDrained:
    """A device leaves the fault core's queue when no domain with page faults is on it any more."""

    name: ClassVar[str] = "devices-leave-the-fault-queue-drained"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I24"
    source: ClassVar[str] = "f0b9d31c6edd, CVE-2025-38594"
    observes: ClassVar[tuple[type[Event], ...]] = (DevPasidSet, DeviceTornDown, IopfDeviceLeaves)

    def __init__(self, machine: Machine) -> None:
        self.faulting: dict[tuple[Name, Pasid], Name] = {}
        """Where a domain with page faults was set up, and is not torn down."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DeviceTornDown:
            self.faulting.pop((fact.device, fact.pasid), None)
        elif type(fact) is DevPasidSet:
            if fact.faults and fact.present:
                self.faulting[fact.device, fact.pasid] = fact.domain
        elif type(fact) is IopfDeviceLeaves:
            for (device, pasid), domain in self.faulting.items():
                if device == fact.device:
                    return (
                        f"{device} left the queue at {when(record.stamp)}, and {domain} on its "
                        f"PASID {pasid} is not torn down"
                    )
        return None

    def unmet(self) -> list[Owed]:
        return []
