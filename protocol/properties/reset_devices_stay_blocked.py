"""I38: a device in reset answers nothing, and after it has what its group has, no more."""

from typing import ClassVar

from protocol.domains import NO_PASID
from protocol.facts import Event
from protocol.facts.iommu_core import (
    DetachAsked,
    DeviceBlocked,
    DeviceUnblocked,
    DevPasidCalled,
    GroupDomainSet,
    GroupLeft,
    ResetAsked,
    SlotAttached,
    SlotReleased,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.modern import SlotKey, homes, takes_away
from protocol.properties.property import Kind, Owed, when


class ResetDevicesStayBlocked:
    """From the first reset to the last done nobody attaches, and done gives back what is there."""

    name: ClassVar[str] = "reset-devices-stay-blocked"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I38"
    source: ClassVar[str] = "c279e83953d9, 5474e6e17a26, 0d5fd7a9323c, 1615e8896a8f"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DevPasidCalled,
        SlotAttached,
        SlotReleased,
        DetachAsked,
        GroupDomainSet,
        ResetAsked,
        DeviceBlocked,
        DeviceUnblocked,
        GroupLeft,
    )

    def __init__(self, machine: Machine) -> None:
        self.group_of = homes(machine)
        self.slots: dict[SlotKey, Name] = {}
        """What is attached and has not been asked away."""
        self.asked: dict[Name, Name] = {}
        """By group, the domain that its RID has still, and that somebody has detached."""
        self.depth: dict[Name, int] = {}
        self.blocked: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DevPasidCalled:
            if self.blocked or self.depth:
                return self._called(record, fact)
        elif type(fact) is SlotAttached:
            self.slots[fact.group, fact.pasid] = fact.domain
            if self.blocked:
                return self._attached(record, fact.group, fact.pasid)
        elif type(fact) is SlotReleased:
            self.slots.pop((fact.group, fact.pasid), None)
        elif type(fact) is DetachAsked:
            domain = self.slots.pop((fact.group, fact.pasid), "")
            if fact.pasid == NO_PASID and domain and not takes_away(domain):
                self.asked[fact.group] = domain
        elif type(fact) is GroupDomainSet:
            self.asked.pop(fact.group, None)
        elif type(fact) is ResetAsked:
            self._counted(fact)
        elif type(fact) is DeviceBlocked:
            self.blocked[fact.device] = None
        elif type(fact) is DeviceUnblocked:
            self.blocked.pop(fact.device, None)
            return self._unblocked(record, fact.device)
        elif type(fact) is GroupLeft:
            self.blocked.pop(fact.device, None)
            self.depth.pop(fact.device, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _counted(self, fact: ResetAsked) -> None:
        depth = max(0, self.depth.get(fact.device, 0) + (-1 if fact.done else 1))
        if depth:
            self.depth[fact.device] = depth
        else:
            self.depth.pop(fact.device, None)

    def _called(self, record: Record, fact: DevPasidCalled) -> str | None:
        device, here = fact.device, when(record.stamp)
        if takes_away(fact.domain):
            if device in self.blocked:
                return f"{device} is asked to let go of PASID {fact.pasid} at {here}, in a reset"
            return None
        if device in self.depth:
            return f"{device} is given {fact.domain} for PASID {fact.pasid} at {here}, in a reset"
        group = self.group_of.get(device, device)
        found = self.slots.get((group, fact.pasid)) or self.slots.get((device, fact.pasid))
        if device in self.blocked and found != fact.domain:
            return (
                f"after its reset {device} is given {fact.domain} for PASID {fact.pasid} at "
                f"{here}, and {found or 'nothing'} is attached"
            )
        return None

    def _attached(self, record: Record, owner: Name, pasid: Pasid) -> str | None:
        group = self.group_of.get(owner, owner)
        for device in self.blocked:
            if self.group_of.get(device, device) == group:
                what = f"PASID {pasid}" if pasid else "the RID"
                return f"{what} of {group} was attached at {when(record.stamp)}, {device} in reset"
        return None

    def _unblocked(self, record: Record, device: Name) -> str | None:
        if device in self.depth:
            return (
                f"{device} is not blocked any more at {when(record.stamp)}, and "
                f"{self.depth[device]} of its resets have not ended"
            )
        domain = self.asked.get(self.group_of.get(device, device))
        if domain is not None:
            return f"after its reset {device} has {domain} at {when(record.stamp)}, long detached"
        return None
