"""I26: a request that a drain leaves behind is handled for whoever has the PASID next."""

from typing import ClassVar

from protocol.facts import DeviceTornDown, Event, HostGone, RequestRinged, RequestTaken
from protocol.history import Record
from protocol.machine import IOMMUFD, Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class DrainsLeaveAnEmptyRing:
    """When a PASID has been torn down on a device, the ring has no request of the two."""

    name: ClassVar[str] = "drains-leave-an-empty-ring"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I26"
    source: ClassVar[str] = "Linux 7.3 intel_iommu_drain_pasid_prq; c43e1ccdebf2"
    observes: ClassVar[tuple[type[Event], ...]] = (
        RequestRinged,
        RequestTaken,
        DeviceTornDown,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.judges = machine.stack == IOMMUFD
        self.ringed: dict[tuple[Name, Pasid], int] = {}
        self.taken: dict[tuple[Name, Pasid], tuple[Name, int]] = {}
        """The input of its unit in which the last was taken out."""
        self.gone: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if not self.judges:
            return None
        if type(fact) is RequestRinged:
            tag = (fact.device, fact.pasid)
            self.ringed[tag] = self.ringed.get(tag, 0) + 1
        elif type(fact) is RequestTaken:
            tag = (fact.device, fact.pasid)
            self.ringed[tag] -= 1
            self.taken[tag] = (record.stamp.actor, record.stamp.n)
        elif type(fact) is DeviceTornDown:
            return self._torn_down(record, fact)
        elif type(fact) is HostGone:
            self.gone[record.stamp.actor] = None
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _torn_down(self, record: Record, fact: DeviceTornDown) -> str | None:
        tag = (fact.device, fact.pasid)
        actor, n = self.taken.get(tag, ("", 0))
        seen = n == 0 or record.saw(actor, n)
        if fact.device in self.gone or (self.ringed.get(tag, 0) == 0 and seen):
            return None
        life = named(fact.pasid, fact.incarnation)
        return f"{life} was torn down on {fact.device} at {when(record.stamp)}, and is in the ring"
