"""I42: a device waits for its answer for ever; a user may be slow, but nobody else (S17, S19)."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event
from protocol.facts.iommufd import FaultQueued, FaultSettled
from protocol.facts.iopf import FaultAnswered, FaultTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOMMU, IOPF, Name, Pasid
from protocol.properties.property import Kind, Owed, Since, since

Asked: TypeAlias = tuple[Name, Pasid, int]


class ReportedFaultsAreAnswered:
    """Each last page request that was reported is answered, unless a user has it and is slow."""

    name: ClassVar[str] = "reported-faults-are-answered"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "I42"
    source: ClassVar[str] = "Linux 7.3 io-pgfault.c, iommu_report_device_fault"
    observes: ClassVar[tuple[type[Event], ...]] = (
        FaultTaken,
        FaultAnswered,
        FaultQueued,
        FaultSettled,
    )

    def __init__(self, machine: Machine) -> None:
        self.asked: dict[Asked, Since] = {}
        self.users: dict[Asked, None] = {}
        """What waits for a user."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultTaken:
            if fact.last:
                self.asked[fact.device, fact.pasid, fact.group] = since(record.stamp)
        elif type(fact) is FaultAnswered:
            self.asked.pop((fact.device, fact.pasid, fact.group), None)
        elif type(fact) is FaultQueued:
            self.users[fact.device, fact.pasid, fact.number] = None
        elif type(fact) is FaultSettled:
            self.users.pop((fact.device, fact.pasid, fact.number), None)
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"page group {group} of {device} is not answered", begun, (IOPF, IOMMU))
            for (device, pasid, group), begun in self.asked.items()
            if (device, pasid, group) not in self.users
        ]
