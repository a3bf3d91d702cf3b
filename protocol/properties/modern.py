"""What properties of the modern stack share: groups of devices, and what a driver was told (§8).

Slots are named after their owner, the group; where each device has a table of its own, after the
device.
"""

from collections.abc import Mapping
from typing import Final, TypeAlias

from protocol.domains import BLOCKED, NULL, made_domain
from protocol.facts.iommu_core import DevPasidAnswered, DevPasidCalled
from protocol.machine import Machine
from protocol.names import Name, Pasid

SlotKey: TypeAlias = tuple[Name, Pasid]
"""Owner and PASID."""
NOTHING: Final[Mapping[Name, Name]] = {}


def homes(machine: Machine) -> dict[Name, Name]:
    """By device its group, which is called like the device if it is alone."""
    groups = {device.name: device.name for device in machine.devices}
    return groups | {device: group.name for group in machine.groups for device in group.devices}


def takes_away(domain: Name) -> bool:
    """Whether a device that gets it has nothing left for the PASID."""
    return made_domain(domain).kind == BLOCKED or domain == "blocked"


class Changing:
    """An attach or replace under a group's lock: who had what before it, and who has changed.

    `failed`: a device has refused; `stuck` have refused to go back, too.
    """

    __slots__ = ("before", "failed", "made", "stuck")

    def __init__(self) -> None:
        self.before: dict[Name, Name] = {}
        self.made: dict[Name, None] = {}
        self.failed: Name = NULL
        self.stuck: dict[Name, None] = {}


class DriverBooks:
    """What each device has for each PASID, by what its driver has answered."""

    __slots__ = ("changing", "group_of", "has")

    def __init__(self, machine: Machine) -> None:
        self.group_of = homes(machine)
        self.has: dict[SlotKey, Name] = {}
        """By device and PASID; what is not there is nothing."""
        self.changing: dict[SlotKey, Changing] = {}
        """By group and PASID, until the slot says how it has ended."""

    def called(self, fact: DevPasidCalled) -> Changing:
        """A device is told; what it had is remembered."""
        key = (self.group_of.get(fact.device, fact.device), fact.pasid)
        changing = self.changing.get(key)
        if changing is None:
            changing = self.changing[key] = Changing()
        changing.before.setdefault(fact.device, self.has.get((fact.device, fact.pasid), NULL))
        return changing

    def answered(self, fact: DevPasidAnswered) -> None:
        """It has done so, or nothing."""
        key = (self.group_of.get(fact.device, fact.device), fact.pasid)
        changing = self.changing.get(key)
        if fact.errno:
            if changing is not None and changing.failed:
                changing.stuck[fact.device] = None
            elif changing is not None:
                changing.failed = fact.device
            return
        if takes_away(fact.domain):
            self.has.pop((fact.device, fact.pasid), None)
        else:
            self.has[fact.device, fact.pasid] = fact.domain
        if changing is not None and not changing.failed:
            changing.made[fact.device] = None

    def ended(self, owner: Name, pasid: Pasid) -> Changing | None:
        """The slot is what it will be."""
        return self.changing.pop((self.group_of.get(owner, owner), pasid), None)

    def reset(self, device: Name) -> None:
        """A reset of the device begins or ends: what it was told is no attach."""
        group = self.group_of.get(device, device)
        for key in [key for key in self.changing if key[0] == group]:
            del self.changing[key]

    def different(self, changing: Changing, pasid: Pasid) -> list[str]:
        """Devices that do not have what they had, as words; the stuck are the driver's affair."""
        return [
            f"{device} has {self.has.get((device, pasid)) or 'nothing'} and had {old or 'nothing'}"
            for device, old in changing.before.items()
            if self.has.get((device, pasid), NULL) != old and device not in changing.stuck
        ]
