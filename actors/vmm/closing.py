"""QEMU is gone, and its files are closed: everything comes off the devices, and what it had, goes.

As VFIO closes: every PASID detached in ascending order, then the device; KVM and the VDCM close
theirs in their own time, and the numbers go back when they have.

Kernel: vfio_df_iommufd_unbind, iommufd_fops_release of Linux 7.3; modern.md 2.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import running
from actors.vmm.state import NOBODY, Do, Task, Vm, What
from protocol.effects import Out
from protocol.facts import FdsReleased
from protocol.messages import ReleaseFds
from protocol.messages.iommufd import CloseFaultQueue, DestroyObject, UnbindDevice
from protocol.names import Name, iommufd_of

if TYPE_CHECKING:
    from actors.vmm import Vmm


def on_release_fds(vmm: Vmm, release: ReleaseFds, sender: Name, out: Out) -> None:
    """Once; what is under way is let finish first."""
    vm = vmm.vms.get(release.vm)
    if vm is None or vm.released:
        return  # No VM of ours, or the guest and the supervisor both said so.
    vm.released = True
    running.start(vmm, running.new(vmm, "release", vm.name, sender, NOBODY), out)


def begin(vmm: Vmm, task: Task, _out: Out) -> None:
    """First the devices, then the objects, last the numbers."""
    vm = vmm.vms[task.vm]
    task.todo = vmm.close_steps(vm)


def close_steps(vmm: Vmm, vm: Vm) -> list[Do]:
    """All that there is."""
    steps: list[Do] = []
    for pasid in sorted(vm.pasids):
        devices = vm.pasids[pasid].tables
        steps += [step for at in devices for step in detaching(at, pasid)]
    steps += [Do(What.NO_VDEVICE, at) for at in vm.vdevices]
    units = {vmm.units[at]: at for at in vm.devices}
    steps += [Do(What.NO_VIOMMU, units[unit]) for unit in vm.viommus]
    steps += [Do(What.NO_PARENT, units[unit]) for unit in vm.parents]
    steps += [Do(What.NO_DEVICE, at) for at in vm.devices]
    steps += [Do(What.CLOSE_QUEUE), Do(What.NO_QUEUE)] if vm.queue else []
    steps += [Do(What.NO_IOAS)] if vm.ioas else []
    for pasid in sorted(vm.pasids):
        steps += [Do(what, "", pasid) for what in (What.LEAVE, What.UNUSED, What.GIVE_BACK)]
    return steps


def detaching(at: Name, pasid: int) -> list[Do]:
    """Off the device, and the nested page table goes."""
    return [Do(What.DETACH, at, pasid), Do(What.DESTROY, at, pasid)]


UNDOING: Final[dict[What, tuple[What, ...]]] = {
    What.IOAS: (What.NO_IOAS,),
    What.QUEUE: (What.CLOSE_QUEUE, What.NO_QUEUE),
    What.DEVICE: (What.NO_DEVICE,),
    What.PARENT: (What.NO_PARENT,),
    What.VIOMMU: (What.NO_VIOMMU,),
    What.VDEVICE: (What.NO_VDEVICE,),
}


def undoing(_vmm: Vmm, do: Do) -> list[Do]:
    """What takes a step of an opening back."""
    return [Do(what, do.at) for what in UNDOING.get(do.what, ())]


def unmake(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """One object less."""
    vm, unit = vmm.vms[task.vm], vmm.units.get(do.at, "")
    match do.what:
        case What.NO_IOAS:
            at, vm.ioas = vm.ioas, 0
        case What.NO_QUEUE:
            at, vm.queue = vm.queue, 0
        case What.NO_PARENT:
            at = vm.parents.pop(unit)
        case What.NO_VIOMMU:
            at = vm.viommus.pop(unit)
        case _:
            at = vm.vdevices.pop(do.at)
    out.send(iommufd_of(vm.name), DestroyObject(task.number, at))
    return False


def unbind_device(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Nothing is attached to it any more."""
    vm = vmm.vms[task.vm]
    out.send(iommufd_of(vm.name), UnbindDevice(task.number, vm.devices.pop(do.at)))
    return False


def close_queue(vmm: Vmm, task: Task, _do: Do, out: Out) -> bool:
    """Nobody reads it any more."""
    vm = vmm.vms[task.vm]
    out.send(iommufd_of(vm.name), CloseFaultQueue(task.number, vm.queue))
    return False


def end(vmm: Vmm, task: Task, out: Out) -> None:
    """Nothing is left of the VM here."""
    vm = vmm.vms[task.vm]
    vm.open.clear()
    out.record(FdsReleased(vm.name))


UNMADE: Final = (What.NO_VDEVICE, What.NO_VIOMMU, What.NO_PARENT, What.NO_QUEUE, What.NO_IOAS)
STEPS = {
    **dict.fromkeys(UNMADE, unmake),
    What.NO_DEVICE: unbind_device,
    What.CLOSE_QUEUE: close_queue,
}
