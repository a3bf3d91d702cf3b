"""What the IOMMU core remembers: groups, their devices and slots, the thread under each lock."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from protocol.domains import BLOCKED, BLOCKING, DEFAULT, NULL, Domain, made_domain
from protocol.effects import Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AttachDevicePasid,
    AttachGroupHandle,
    AttachHandleGet,
    ClaimDmaOwner,
    DetachDevicePasid,
    DetachGroupHandle,
    FreeGlobalPasid,
    PlugDevice,
    ReleaseDmaOwner,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
    ResetDone,
    ResetPrepare,
    UnplugDevice,
)
from protocol.messages.probing import UnuseDefaultDomain, UseDefaultDomain
from protocol.names import Incarnation, Name, Pasid

SLOT_NOMEM: Final = Site("iommu_core.attach.slot", Errno.ENOMEM)
CLAIM_NOMEM: Final = Site("iommu_core.claim.domain", Errno.ENOMEM)
NUMBER_NOMEM: Final = Site("iommu_core.alloc_global.number", Errno.ENOSPC)

Attaching: TypeAlias = AttachDevicePasid | ReplaceDevicePasid
OfDevice: TypeAlias = (
    Attaching
    | DetachDevicePasid
    | ClaimDmaOwner
    | ReleaseDmaOwner
    | ResetPrepare
    | ResetDone
    | PlugDevice
    | UnplugDevice
    | UseDefaultDomain
    | UnuseDefaultDomain
)
OfGroup: TypeAlias = AttachGroupHandle | ReplaceGroupHandle | DetachGroupHandle
Locked: TypeAlias = OfDevice | OfGroup
"""What takes the lock of a group."""
Request: TypeAlias = Locked | AttachHandleGet | AllocGlobalPasid | FreeGlobalPasid
ITS_OWN: Final[Name] = ""
"""The table that all devices of a group share."""


class SlotState(Enum):
    """A slot that is not in the table is EMPTY."""

    RESERVED = "RESERVED"
    ATTACHED = "ATTACHED"


class Slot(Struct):
    """`domain` is what was attached; with a `handle` it is the handle that says it from then on."""

    state: SlotState
    incarnation: Incarnation
    domain: Name
    handle: Name


Table: TypeAlias = dict[Pasid, Slot]


class Dev(Struct):
    """A device behind an IOMMU; `group` is empty while it is unplugged, or has none."""

    name: Name
    unit: Name
    home: Name
    max_pasids: int
    ats: bool
    group: Name
    blocked: bool = False
    reset_depth: int = 0


class DriverCall(Struct, frozen=True):
    """`domain` comes in place of `old` on the device; `away`: and that is the blocking domain."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation
    domain: Name
    old: Name
    away: bool = False


class Task(Struct):
    """The thread that holds a group's lock while the driver is called, the first of `calls` now.

    `made` have succeeded.  With an `errno` a device has refused, and `calls` set the others back.
    """

    request: (
        Attaching
        | DetachDevicePasid
        | ResetPrepare
        | ResetDone
        | OfGroup
        | PlugDevice
        | UnplugDevice
    )
    sender: Name
    calls: list[DriverCall]
    made: list[DriverCall] = []
    errno: Errno | None = None


class Waiter(Struct, frozen=True):
    """Somebody who waits for a group's lock."""

    sender: Name
    request: Locked


class GroupState(Struct):
    """`domain` is that of DMA without PASID; `number` names the calls made under the lock.

    `tables` has a slot for each PASID, in one table: the group's own.
    """

    name: Name
    number: int
    devices: list[Name]
    tables: dict[Name, Table]
    domain: Name = DEFAULT.name
    owner: Name = NULL
    claims: int = 0
    recovering: int = 0
    task: Task | None = None
    waiting: list[Waiter] = []

    @property
    def empty(self) -> bool:
        """xa_empty: nothing attached, reserved, or routed, the RID included."""
        return not any(self.tables.values())


def devices_of(machine: Machine) -> dict[Name, Dev]:
    """All that are behind a unit; the others have no group."""
    homes = {device: group.name for group in machine.groups for device in group.devices}
    return {
        one.name: Dev(
            name=one.name,
            unit=one.unit,
            home=homes.get(one.name, one.name),
            max_pasids=one.pasids,
            ats=one.ats,
            group=homes.get(one.name, one.name) if one.unit else "",
        )
        for one in machine.devices
    }


def domains_of(machine: Machine) -> tuple[Domain, ...]:
    """Those that are there from the start, and the blocking ones that can block no PASID."""
    unable = [one.name for one in machine.units if "blocking-pasids" in one.lacks]
    blocking = [Domain(BLOCKING.name, BLOCKED, unit, pasid=False) for unit in unable]
    return (*machine.domains, BLOCKING, DEFAULT, *blocking)


def groups_of(machine: Machine, devices: dict[Name, Dev]) -> dict[Name, GroupState]:
    """The groups, numbered from 1; those that are not finalised have no domain at all."""
    groups: dict[Name, GroupState] = {}
    for device in devices.values():
        if device.group and device.group not in groups:
            groups[device.group] = GroupState(device.group, len(groups) + 1, [], {})
        if device.group:
            groups[device.group].devices.append(device.name)
    for one in machine.groups:
        if not one.finalised:
            groups[one.name].domain = NULL
    return groups


def domain_of(known: tuple[Domain, ...], name: Name) -> Domain:
    """One of the machine's, or one that somebody has made."""
    return next((one for one in known if one.name == name), None) or made_domain(name)
