"""I05: what the core believes to be attached is what the hardware translates through.

After its mm has been released an SVA domain has no entry any more, the blocking domain never has
one; while a reset blocks a device it has none at all.  DMA without PASID has no entry here,
whatever its slot says.
"""

from typing import ClassVar

from protocol.domains import BLOCKING, NO_PASID
from protocol.facts import EntryCleared, EntryWritten, Event
from protocol.facts.intel_iommu import AddressSpaceReleased, DevPasidSet
from protocol.facts.iommu_core import (
    DeviceBlocked,
    DeviceUnblocked,
    GroupJoined,
    GroupLeft,
    SlotAttached,
    SlotReleased,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

Tag = tuple[Name, Pasid]


class AttachedDomainsAreInHardware:
    """A slot's domain is in the entry of each device that can have it, and goes when it goes."""

    name: ClassVar[str] = "attached-domains-are-in-hardware"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I05"
    source: ClassVar[str] = "Linux 7.3 __iommu_set_group_pasid, __iommu_remove_group_pasid"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryWritten,
        EntryCleared,
        DevPasidSet,
        AddressSpaceReleased,
        SlotAttached,
        SlotReleased,
        DeviceBlocked,
        DeviceUnblocked,
        GroupJoined,
        GroupLeft,
    )

    def __init__(self, machine: Machine) -> None:
        self.present: dict[Tag, None] = {}
        self.cleared: dict[Tag, tuple[Name, int]] = {}
        """The input in which an entry was cleared last."""
        self.domains: dict[Tag, Name] = {}
        """What the driver has been told to have there."""
        self.released: dict[Name, None] = {}
        """Domains whose mm has been released."""
        self.taken: dict[Tag, None] = {}
        """Entries that a release has cleared."""
        self.blocked: dict[Name, None] = {}
        homes = {device: group.name for group in machine.groups for device in group.devices}
        self.able = [one.name for one in machine.devices if one.unit and one.pasids > 0]
        self.groups = {name: homes.get(name, name) for name in self.able}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is EntryWritten:
            self.present[fact.device, fact.pasid] = None
            self.taken.pop((fact.device, fact.pasid), None)
        elif type(fact) is EntryCleared:
            self.present.pop((fact.device, fact.pasid), None)
            self.cleared[fact.device, fact.pasid] = (record.stamp.actor, record.stamp.n)
            if fact.why == "release":
                self.taken[fact.device, fact.pasid] = None
        elif type(fact) is DevPasidSet:
            self.domains[fact.device, fact.pasid] = fact.domain
        elif type(fact) is SlotAttached:
            if fact.domain != fact.old and fact.pasid != NO_PASID:
                return self._attached(record, fact)
        elif type(fact) is SlotReleased:
            return self._gone(record, fact) if fact.why == "detach" else None
        elif type(fact) is DeviceBlocked:
            self.blocked[fact.device] = None
            left = [pasid for device, pasid in self.present if device == fact.device]
            return self._left(record, fact.device, left[0]) if left else None
        else:
            self._other(fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _other(self, fact: Event) -> None:
        if type(fact) is AddressSpaceReleased:
            self.released[fact.domain] = None
        elif type(fact) is DeviceUnblocked:
            self.blocked.pop(fact.device, None)
        elif type(fact) is GroupJoined and fact.device in self.able:
            self.groups[fact.device] = fact.group
        elif type(fact) is GroupLeft:
            self.groups.pop(fact.device, None)

    def _concerned(self, group: Name) -> list[Name]:
        """The devices of a group that are not being reset."""
        return [one for one, its in self.groups.items() if its == group and one not in self.blocked]

    def _attached(self, record: Record, fact: SlotAttached) -> str | None:
        for device in self._concerned(fact.group):
            tag = (device, fact.pasid)
            there = self.domains.get(tag, "nothing")
            if there == BLOCKING.name:
                wrong = tag in self.present
            else:
                absent = tag not in self.present and tag not in self.taken
                wrong = absent and there not in self.released
            if there != fact.domain or wrong:
                entry = "an entry" if tag in self.present else "no entry"
                what = entry if there == fact.domain else there
                return (
                    f"PASID {fact.pasid} of group {fact.group} has {fact.domain} at "
                    f"{when(record.stamp)}, and {device} has {what}"
                )
        return None

    def _gone(self, record: Record, fact: SlotReleased) -> str | None:
        for device in self._concerned(fact.group):
            tag = (device, fact.pasid)
            actor, n = self.cleared.get(tag, ("", 0))
            if tag in self.present or (n and not record.saw(actor, n)):
                return self._left(record, device, fact.pasid)
        return None

    def _left(self, record: Record, device: Name, pasid: Pasid) -> str:
        return f"PASID {pasid} was taken from {device} at {when(record.stamp)}, its entry is there"
