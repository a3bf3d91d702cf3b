"""A PASID off the devices of a group: it is torn down and drained when the kernel says so.

Kernel: VFIO_DEVICE_DETACH_IOMMUFD_PT with a PASID, IOMMU_DESTROY of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vmm import closing
from actors.vmm.state import Answer, Do, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import DeviceUnbound, UnbindRequested
from protocol.messages.iommufd import DestroyObject, DetachPt
from protocol.names import Name, iommufd_of

if TYPE_CHECKING:
    from actors.vmm import Vmm

WHY: Final = {"bind": "rollback"}
"""Why a task takes a device off; else it is called as the task is."""


def begin(vmm: Vmm, task: Task, out: Out) -> None:
    """What is gone already is unbound; another's stays as it is (EPERM)."""
    vm = vmm.vms[task.vm]
    life = vm.pasids.get(task.pasid)
    ghost = 0 if life is None else life.incarnation
    linked = life is not None
    out.record(UnbindRequested(task.pasid, ghost, vm.name, task.group, linked))
    if life is None:
        task.errno = Errno.EPERM if vmm.owner_of(task.pasid) is not None else None
        return
    task.todo = vmm.unbind_steps(task, vm.groups[task.group])


def unbind_steps(vmm: Vmm, task: Task, devices: tuple[Name, ...]) -> list[Do]:
    """Off each device that has it; UNBIND is told when no other is left."""
    life = vmm.life(task, task.pasid)
    there = [at for at in devices if at in life.tables]
    steps = [step for at in there for step in closing.detaching(at, task.pasid)]
    last = bool(there) and len(there) == len(life.tables)
    return steps + ([Do(What.UNBIND, "", task.pasid)] if last else [])


def detach(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Torn down and drained when it is answered; who waits for a page there is answered INVALID."""
    vm, life = vmm.vms[task.vm], vmm.life(task, do.pasid)
    task.table = life.tables.pop(do.at)
    why = WHY.get(task.name, task.name)
    fact = DeviceUnbound(do.at, do.pasid, life.incarnation, vm.name, why, task.title)
    out.record(fact)
    request = DetachPt(task.number, vm.devices[do.at], do.pasid, incarnation=life.incarnation)
    out.send(iommufd_of(vm.name), request)
    return False


def detached(vmm: Vmm, task: Task, _answer: Answer, _out: Out) -> None:
    """Its cookies are nobody's any more, and may be another's soon."""
    assert task.doing is not None, "it waits for the answer"
    vmm.forget_faults(vmm.vms[task.vm], task.doing.at, task.doing.pasid)


def destroy(_vmm: Vmm, task: Task, _do: Do, out: Out) -> bool:
    """Nobody has it attached."""
    out.send(iommufd_of(task.vm), DestroyObject(task.number, task.table))
    return False


STEPS = {What.DETACH: detach, What.DESTROY: destroy}
NOTES = {What.DETACH: detached}
