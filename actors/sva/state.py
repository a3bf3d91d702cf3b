"""What the SVA core remembers: mms with their PASIDs and domains, bonds, and tasks.

Kernel: struct iommu_mm_data, struct iommu_sva, iommu_sva_lock of Linux 7.3.  §8.
"""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct, field

from protocol.effects import Site
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages.address_spaces import InvalidateKva
from protocol.messages.common import Message
from protocol.messages.iommu_core import AllocGlobalPasidGot, AttachHandleGot
from protocol.messages.sva import DomainAllocSvaGot, SvaBindDevice, SvaUnbindDevice
from protocol.names import Call, Incarnation, Name, Pasid

LOCK: Final = "iommu_sva_lock"
NO_PASID: Final[Pasid] = 0

NOMEM_MM: Final = Site("sva.bind.nomem_mm", Errno.ENOMEM)
"""struct iommu_mm_data, of an mm without a PASID."""
NOMEM_HANDLE: Final = Site("sva.bind.nomem_handle", Errno.ENOMEM)
"""struct iommu_sva."""

Locked: TypeAlias = SvaBindDevice | SvaUnbindDevice | InvalidateKva
Got: TypeAlias = AllocGlobalPasidGot | AttachHandleGot | DomainAllocSvaGot


class Step(Enum):
    """What a task waits for."""

    PASID = "AllocGlobalPasid"
    LOOK_UP = "AttachHandleGet"
    ATTACH = "AttachDevicePasid, of a domain that the mm has"
    DOMAIN = "DomainAllocSva"
    ATTACH_NEW = "AttachDevicePasid, of a new domain"
    UNDO = "DomainFree, of a new domain that could not be attached"
    DETACH = "DetachDevicePasid"
    FREE = "DomainFree"


class Domain(Struct):
    """A domain of an mm with `users` bonds."""

    name: Name
    users: int


class Asked(Struct, frozen=True):
    """A request and whose it is."""

    sender: Name
    request: Message


class Mm(Struct):
    """`domains` are the newest first, as they are tried; `holds` of them keep the struct.

    `dropping`: nobody else keeps it.  `lam`: its pointers carry tags; `forced`: with a PASID, too.
    """

    pasid: Pasid = NO_PASID
    incarnation: Incarnation = 0
    domains: list[Domain] = field(default_factory=list)
    holds: int = 0
    dropping: Asked | None = None
    lam: bool = False
    forced: bool = False


class Bond(Struct):
    """struct iommu_sva: of a group and an mm, with `users`; `device` is that of the first bind."""

    group: Name
    device: Name
    mm: Name
    domain: Name
    users: int = 1


class Bind(Struct, tag=True):
    """A bind that has the lock; `tried` domains of the mm did not fit."""

    number: Call
    sender: Name
    request: SvaBindDevice
    step: Step = Step.PASID
    tried: int = 0
    handle: Name = ""
    domain: Name = ""
    errno: Errno = Errno.ENOMEM


class Unbind(Struct, tag=True):
    """An unbind that has the lock."""

    number: Call
    sender: Name
    request: SvaUnbindDevice
    step: Step = Step.DETACH


class Kva(Struct, tag=True):
    """A flush of all domains that has the lock; `left` are still to be asked, `asked` is."""

    number: Call
    sender: Name
    request: InvalidateKva
    left: list[Name] = field(default_factory=list)
    asked: Name = ""


class Drop(Struct, tag=True):
    """A PASID on its way back, for whoever asked."""

    number: Call
    asked: Asked


Holder: TypeAlias = Bind | Unbind | Kva
Task: TypeAlias = Holder | Drop


def groups_of(machine: Machine) -> dict[Name, Name]:
    """By device; one that no IOMMU is in front of has none.

    Nor has any in a kernel without SVA, as far as bind can say: ENODEV (89e8a2366e3b).
    """
    if "sva" in machine.without:
        return {}
    groups = {one.name: one.name for one in machine.devices if one.unit}
    return groups | {device: group.name for group in machine.groups for device in group.devices}


def name_of(task: Holder) -> str:
    """As the facts about the lock have it."""
    return f"{task.sender}/{task.request.call}"
