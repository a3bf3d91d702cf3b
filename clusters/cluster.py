"""Who is in a cluster, and what its supervisor does: the same in both worlds.

`build` makes the actors of a machine.  The supervisor is not an actor but the world itself: it
starts everybody in a fixed order, and when somebody is lost for good it tells the others and closes
the files of a lost guest (§1.9, §4.8).  What is random or real about a loss is the worlds' affair.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import ModuleType
from typing import ClassVar, Final, Never, Protocol, TypeAlias, cast

from actors.device import Device
from actors.guest import Guest
from actors.ioasid_core import IoasidCore
from actors.iommu_driver import IommuDriver
from actors.iommu_unit import IommuUnit
from actors.kvm import Kvm
from actors.ordered_workqueue import OrderedWorkqueue
from actors.process import Process
from actors.uacce import Uacce
from actors.vdcm import Vdcm
from actors.vfio import Vfio
from protocol.effects import Out, Site
from protocol.errors import ExperimentError
from protocol.machine import GUESTS, IOASID, IOMMUFD, Machine
from protocol.messages import AnyMessage, HostLost, ReleaseFds, Start
from protocol.names import (
    CORE,
    IOMMU,
    VFIO,
    WORKQUEUE,
    Name,
    guest_of,
    kvm_of,
    uacce_of,
    vdcm_of,
    vm_of,
)
from protocol.plan import Plan

Role: TypeAlias = str
"""What kind of actor it is: one of the keys of `ROLES`."""


class Actor(Protocol):
    """A pure state machine.  Which messages it takes is its own affair: its `Inbox` says it."""

    SITES: ClassVar[tuple[Site, ...]]
    LOSABLE: ClassVar[bool]

    def handle(self, message: Never, sender: Name, out: Out) -> None:
        """One input; whatever leaves the actor leaves through `out`."""


class ActorClass(Protocol):
    """How an actor is made from the machine and its name."""

    @property
    def SITES(self) -> tuple[Site, ...]:  # noqa: N802
        """Its fallible steps."""

    @property
    def LOSABLE(self) -> bool:  # noqa: N802
        """Whether it can be lost alone."""

    def of(self, machine: Machine, name: Name) -> Actor:
        """The actor as it is before its `Start`."""


ROLES: Final[dict[Role, ActorClass]] = {
    "core": IoasidCore,
    "workqueue": OrderedWorkqueue,
    "iommu": IommuDriver,
    "vfio": Vfio,
    "kvm": Kvm,
    "vdcm": Vdcm,
    "guest": Guest,
    "unit": IommuUnit,
    "device": Device,
    "uacce": Uacce,
    "process": Process,
}


MODERN: Final = (
    "iommu_core", "sva", "iommufd", "intel_iommu", "iopf", "caller", "unit", "device",
    "sva_uacce", "idxd", "sva_process", "amd_iommu", "arm_smmu_v3", "rid_core", "vfio_cdev", "vmm",
)  # fmt: skip
"""Roles of a modern kernel: `clusters.modern` has their actors."""
NATIVE: Final = ("uacce", "process")
"""Roles that only a machine with processes of its own has."""
PLANNED: Final = ("guest", "process", "caller", "sva_process")
"""Roles of those who do what a plan says."""


class GuestClass(Protocol):
    """A guest, or a process, is made with its plan, too."""

    def of(self, machine: Machine, name: Name, plan: Plan = ...) -> Actor:
        """The guest before its `Start`."""


def roles_of(stack: str) -> Mapping[Role, ActorClass]:
    """Who plays which role in a stack, where nothing else is said."""
    if stack == IOASID:
        return ROLES
    modern = _modern()
    classes = modern.WITH_GUESTS if stack == GUESTS else modern.CLASSES
    return cast("Mapping[Role, ActorClass]", classes)


def _modern() -> ModuleType:
    """What no run of the other stack waits for."""
    return import_module("clusters.modern")


def names(machine: Machine) -> dict[Name, Role]:
    """Every actor of the machine with its role, in the order in which they are started."""
    if machine.stack == IOMMUFD:
        return cast("dict[Name, Role]", _modern().names(machine))
    roles: dict[Name, Role] = {CORE: "core", WORKQUEUE: "workqueue"}
    roles |= {unit.name: "unit" for unit in machine.units}
    roles |= {device.name: "device" for device in machine.devices}
    roles[IOMMU] = "iommu"
    roles |= {vdcm_of(device.name): "vdcm" for device in machine.devices}
    roles[VFIO] = "vfio"
    for vm in machine.vms:
        roles[kvm_of(vm.name)] = "kvm"
        roles[guest_of(vm.name)] = "guest"
    if machine.processes:
        roles |= {uacce_of(device.name): "uacce" for device in machine.devices}
    roles |= dict.fromkeys(machine.processes, "process")
    return roles


def build(
    machine: Machine,
    plans: Mapping[Name, Plan],
    classes: Mapping[Role, ActorClass] | None = None,
) -> dict[Name, Actor]:
    """All actors of the machine; `classes` says by role which are of another class (a revision)."""
    modern = GUESTS if machine.vms else IOMMUFD
    stack = modern if machine.stack == IOMMUFD else machine.stack
    chosen = {**roles_of(stack), **(classes or {})}
    actors: dict[Name, Actor] = {}
    for name, role in names(machine).items():
        if role in PLANNED:
            guest = cast("GuestClass", chosen[role])
            actors[name] = guest.of(machine, name, plans.get(name, Plan()))
        else:
            actors[name] = chosen[role].of(machine, name)
    return actors


def openings(actors: Iterable[Name]) -> list[tuple[Name, AnyMessage]]:
    """What the supervisor says first: it is each actor's first input, before any other."""
    return [(name, Start()) for name in actors]


def losses(machine: Machine, lost: Name, actors: Iterable[Name]) -> list[tuple[Name, AnyMessage]]:
    """What the supervisor says when `lost` is gone, to those of `actors` that are still there.

    Each destination has its own link from the supervisor.  `HostLost` is a fence: an actor handles
    nothing of the lost one after it.  The files of a lost guest are closed at all who have them.
    """
    others = [name for name in actors if name != lost]
    said: list[tuple[Name, AnyMessage]] = [(name, HostLost(lost)) for name in others]
    vm = vm_of(lost)
    if lost == guest_of(vm) and any(one.name == vm for one in machine.vms):
        doors = [machine.door, kvm_of(vm), *(vdcm_of(device) for device in machine.hardware_of(vm))]
        said += [(name, ReleaseFds(vm)) for name in doors if name in others]
    return said


def refuse_loss(name: Name, actor: Actor) -> None:
    """Some cannot be lost alone: the host would go with them."""
    if not actor.LOSABLE:
        raise ExperimentError(
            f"{name} cannot be lost: the host cannot run on without it; "
            "it can be crashed, which only delays it"
        )


def may_forget(actor: Actor) -> bool:
    """Whether it declares that it can rebuild what it knew (`FORGETS`)."""
    return bool(getattr(type(actor), "FORGETS", False))


def refuse_amnesia(name: Name, actors: Mapping[Name, Actor]) -> None:
    """Who asks what it held needs somebody who kept count, and who can be asked."""
    if not may_forget(actors[name]):
        raise ExperimentError(
            f"{name} cannot lose its memory: as it is, it could not rebuild what it knew;"
            " it can be crashed, which only delays it"
        )
    why = getattr(type(actors.get(CORE)), "RECALLS_NOT", "nobody keeps a ledger")
    if why:
        raise ExperimentError(
            f"{name} cannot lose its memory: nobody could tell it what it held, since {why}"
        )
