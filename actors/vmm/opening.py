"""A VM opens a group: its devices become objects of its context, behind a vIOMMU of their unit.

The first one makes the context's address space and fault queue.  What fails is taken back.

Kernel: VFIO_DEVICE_BIND_IOMMUFD, IOMMU_IOAS_ALLOC, IOMMU_HWPT_ALLOC with NEST_PARENT,
IOMMU_VIOMMU_ALLOC, IOMMU_VDEVICE_ALLOC, IOMMU_FAULT_QUEUE_ALLOC of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import closing, faults, running
from actors.vmm.state import Answer, Do, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import AnyMessage, OpenContainer, Refused
from protocol.messages.guests import AllocVdevice, AllocViommu
from protocol.messages.iommufd import (
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    BindDevice,
    ObjectGot,
)
from protocol.names import Name, iommufd_of, vm_of

if TYPE_CHECKING:
    from actors.vmm import Vmm

PARENT: Final = ("NEST_PARENT", "PASID")


def on_open_container(vmm: Vmm, request: OpenContainer, sender: Name, out: Out) -> None:
    """Only a VM that still runs, only a group that it has."""
    vm = vmm.vms.get(vm_of(sender))
    if vm is None or vm.released:
        out.send(sender, Refused(request.call, Errno.EOPNOTSUPP))
        return
    if not 0 <= request.group < len(vm.groups):
        out.send(sender, Refused(request.call, Errno.EINVAL))
        return
    task = running.new(vmm, "open", vm.name, sender, request.call)
    task.group = request.group
    running.start(vmm, task, out)


def begin(vmm: Vmm, task: Task, _out: Out) -> None:
    """EBUSY it is open; else what is not there yet, and each device of the group."""
    vm = vmm.vms[task.vm]
    if task.group in vm.open:
        task.errno = Errno.EBUSY
        return
    steps = [] if vm.ioas else [Do(What.IOAS)]
    every = [device for group in vm.groups for device in group]
    if not vm.queue and any(vmm.faulting[device] for device in every):
        steps.append(Do(What.QUEUE))
    units: list[Name] = list(vm.parents)
    for device in vm.groups[task.group]:
        unit = vmm.units[device]
        steps.append(Do(What.DEVICE, device))
        if unit not in units:
            units.append(unit)
            steps += [Do(What.PARENT, device), Do(What.VIOMMU, device)]
        steps.append(Do(What.VDEVICE, device))
    task.todo = [*steps, Do(What.OPENED)]


def undo(vmm: Vmm, task: Task, _out: Out) -> list[Do]:
    """What this call has made, the last first."""
    return [step for do in reversed(task.done) for step in closing.undoing(vmm, do)]


def make(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """One object more in the context of the VM."""
    vm = vmm.vms[task.vm]
    device, call = vm.devices.get(do.at, 0), task.number
    unit = vmm.units.get(do.at, "")
    match do.what:
        case What.IOAS:
            message: AnyMessage = AllocIoas(call)
        case What.QUEUE:
            message = AllocFaultQueue(call)
        case What.DEVICE:
            message = BindDevice(call, do.at, do.at, shared=vmm.shares(do.at))
        case What.PARENT:
            message = AllocHwpt(call, device, vm.ioas, PARENT)
        case What.VIOMMU:
            message = AllocViommu(call, device, vm.parents[unit])
        case _:
            message = AllocVdevice(call, vm.viommus[unit], device, virt=device)
    out.send(iommufd_of(vm.name), message)
    return False


def shares(_vmm: Vmm, _device: Name) -> bool:
    """Whether the VM has a share of the device, which stays its driver's: all that a VDCM makes."""
    return True


def made(vmm: Vmm, task: Task, answer: Answer, out: Out) -> None:
    """Its id."""
    assert isinstance(answer, ObjectGot), "it was asked for an object"
    assert task.doing is not None, "it waits for it"
    vm, at = vmm.vms[task.vm], task.doing.at
    unit = vmm.units.get(at, "")
    match task.doing.what:
        case What.IOAS:
            vm.ioas = answer.id
        case What.QUEUE:
            vm.queue = answer.id
            faults.wait(vmm, vm, out)
        case What.DEVICE:
            vm.devices[at] = answer.id
        case What.PARENT:
            vm.parents[unit] = answer.id
        case What.VIOMMU:
            vm.viommus[unit] = answer.id
        case _:
            vm.vdevices[at] = answer.id


def opened(vmm: Vmm, task: Task, _do: Do, _out: Out) -> bool:
    """Its PASIDs can be bound to the devices of the group from now on."""
    vmm.vms[task.vm].open.append(task.group)
    return True


MADE: Final = (What.IOAS, What.QUEUE, What.DEVICE, What.PARENT, What.VIOMMU, What.VDEVICE)
STEPS = {**dict.fromkeys(MADE, make), What.OPENED: opened}
NOTES = dict.fromkeys(MADE, made)
