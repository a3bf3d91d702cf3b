"""L2, L3: a descriptor waits for its page's answer, and a free for the drain (S34)."""

from typing import ClassVar

from protocol.facts import (
    DeviceTornDown,
    DeviceUnbound,
    Event,
    HostGone,
    PageRequested,
    PageSettled,
    PageWithheld,
    PasidAllocated,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOMMU, Incarnation, Name, Pasid, guest_of
from protocol.properties.property import Kind, Owed, Since, named, since


class PageRequestsEnd:
    """Every page request is answered, and every teardown with its drain comes to an end.

    By software, by hardware, or by the drain; not by a guest that withholds an answer, which only a
    drain makes up for, nor by a device that is gone.
    """

    name: ClassVar[str] = "page-requests-end"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "L2, L3"
    source: ClassVar[str] = "VT-d specification 5.10, 7.5 to 7.11; Linux 5.15 intel_svm_drain_prq"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PasidAllocated,
        PageRequested,
        PageSettled,
        PageWithheld,
        DeviceUnbound,
        DeviceTornDown,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.door = machine.door
        self.unit_of = {device.name: device.unit for device in machine.devices}
        self.tokens: dict[Pasid, Name] = {}
        """Whose each number is, or was last."""
        self.requests: dict[tuple[Name, int], tuple[Pasid, Incarnation, Since]] = {}
        """Of each device and group that is owed an answer: for what, since when."""
        self.teardowns: dict[tuple[Name, Pasid], tuple[Incarnation, Since]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageRequested:
            request = (fact.pasid, fact.incarnation, since(record.stamp))
            self.requests[fact.device, fact.group] = request
        elif type(fact) is PageSettled or type(fact) is PageWithheld:
            request_ = self.requests.get((fact.device, fact.group))
            if request_ is not None and request_[0] == fact.pasid:
                del self.requests[fact.device, fact.group]
        elif type(fact) is DeviceUnbound:
            begun = (fact.incarnation, since(record.stamp))
            self.teardowns[fact.device, fact.pasid] = begun
        elif type(fact) is DeviceTornDown:
            self.teardowns.pop((fact.device, fact.pasid), None)
        elif type(fact) is PasidAllocated:
            self.tokens[fact.pasid] = fact.token
        elif type(fact) is HostGone:
            gone = record.stamp.actor
            self.requests = {key: one for key, one in self.requests.items() if key[0] != gone}
        return None

    def unmet(self) -> list[Owed]:
        owed = []
        for (device, group), (pasid, life, begun) in self.requests.items():
            what = f"page group {group} of {device} for {named(pasid, life)} is not answered"
            guest = guest_of(self.tokens.get(pasid, ""))
            way = (device, self.unit_of[device], IOMMU, self.door)
            owed.append(Owed(what, begun, (*way, guest), "it goes through", through=True))
        for (device, pasid), (life, begun) in self.teardowns.items():
            what = f"the teardown of {named(pasid, life)} on {device} has not ended"
            way = (IOMMU, self.unit_of[device], device, self.door)
            owed.append(Owed(what, begun, way, "it goes through", through=True))
        return owed
