"""A PASID to all devices of a group, or to none; and off them again.

Each device gets a nested page table of its own, of the vIOMMU of its unit.  BIND is told when the
first entry is usable, UNBIND when the last is gone: KVM lets the guest submit between the two.

Kernel: IOMMU_HWPT_ALLOC, VFIO_DEVICE_ATTACH_IOMMUFD_PT and _DETACH_ with a PASID, IOMMU_DESTROY of
Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vmm import closing, running
from actors.vmm.state import Answer, Do, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    BindAnswered,
    BindRequested,
    DeviceBound,
)
from protocol.messages import BindPgtbl, Refused, UnbindPgtbl
from protocol.messages.iommufd import AllocHwpt, AttachPt, ObjectGot
from protocol.names import Name, iommufd_of, vm_of

if TYPE_CHECKING:
    from actors.vmm import Vmm


def on_bind_pgtbl(vmm: Vmm, bind: BindPgtbl, sender: Name, out: Out) -> None:
    """Only on an open group; then in turn."""
    asked(vmm, "bind", bind, sender, out)


def on_unbind_pgtbl(vmm: Vmm, unbind: UnbindPgtbl, sender: Name, out: Out) -> None:
    """Only on an open group; then in turn."""
    asked(vmm, "unbind", unbind, sender, out)


def asked(vmm: Vmm, name: str, asked: BindPgtbl | UnbindPgtbl, sender: Name, out: Out) -> None:
    """EOPNOTSUPP the group is not open."""
    vm = vmm.vms.get(vm_of(sender))
    if vm is None or not vmm.is_open(vm, asked.group):
        out.send(sender, Refused(asked.call, Errno.EOPNOTSUPP))
        return
    task = running.new(vmm, name, vm.name, sender, asked.call)
    task.group, task.pasid = asked.group, asked.pasid
    if isinstance(asked, BindPgtbl):
        task.gpasid = asked.gpasid
        # What the caller means may be over by its turn: the ghost is the present life's, if any.
        task.ghost = asked.incarnation
    running.start(vmm, task, out)


def not_its(vmm: Vmm, pasid: int) -> Errno:
    """EPERM it is another VM's, ENOENT nobody's."""
    return Errno.ENOENT if vmm.owner_of(pasid) is None else Errno.EPERM


def begin(vmm: Vmm, task: Task, out: Out) -> None:
    """Only its own, on a device only once, and with a number of the guest's that is free."""
    vm, devices = vmm.vms[task.vm], vmm.vms[task.vm].groups[task.group]
    life = vm.pasids.get(task.pasid)
    ghost = task.ghost if life is None else life.incarnation
    out.record(BindRequested(task.pasid, ghost, vm.name, task.group, task.title))
    if life is None:
        task.errno = not_its(vmm, task.pasid)
    elif any(device in life.tables for device in devices):
        task.errno = Errno.EBUSY
    elif any(one.gpasid == task.gpasid for one in vm.pasids.values() if one is not life):
        task.errno = Errno.EINVAL
    elif vm.bereft:
        task.errno = Errno.ENODEV
    if life is None or task.errno is not None:
        return
    first = not life.tables
    life.gpasid = task.gpasid if first else life.gpasid
    for device in devices:
        task.todo += [Do(What.NEST, device, task.pasid), Do(What.ATTACH, device, task.pasid)]
        if first:
            task.todo.append(Do(What.BIND, "", task.pasid))
            first = False


def nest(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """With the fault queue, if the device can ask for pages."""
    vm = vmm.vms[task.vm]
    faulting = vmm.faulting[do.at]
    flags = ("PASID", "FAULT_ID_VALID") if faulting else ("PASID",)
    viommu = vm.viommus[vmm.units[do.at]]
    request = AllocHwpt(
        call=task.number,
        device=vm.devices[do.at],
        pt=viommu,
        flags=flags,
        fault=vm.queue if faulting else 0,
        nested=True,
    )
    out.send(iommufd_of(vm.name), request)
    return False


def nested(_vmm: Vmm, task: Task, answer: Answer, _out: Out) -> None:
    """For the attach that follows."""
    assert isinstance(answer, ObjectGot), "it was asked for an object"
    task.table = answer.id


def attach(vmm: Vmm, task: Task, do: Do, out: Out) -> bool:
    """Page requests may come from here on, before the answer does."""
    vm, life = vmm.vms[task.vm], vmm.life(task, do.pasid)
    life.tables[do.at] = task.table
    where = (vm.devices[do.at], do.pasid, task.table)
    out.send(iommufd_of(vm.name), AttachPt(task.number, *where, incarnation=life.incarnation))
    return False


def attached(vmm: Vmm, task: Task, _answer: Answer, out: Out) -> None:
    """The entry is usable."""
    assert task.doing is not None, "it waits for the answer"
    do, life = task.doing, vmm.life(task, task.doing.pasid)
    out.record(DeviceBound(do.at, do.pasid, life.incarnation, task.vm, task.title))


def undo(vmm: Vmm, task: Task, _out: Out) -> list[Do]:
    """Exactly what this call has bound, backwards; UNBIND, if BIND was told, last."""
    failed, life = task.doing, vmm.life(task, task.pasid)
    assert failed is not None, "a step was refused"
    steps = []
    if failed.what is What.ATTACH:
        task.table = life.tables.pop(failed.at)
        steps.append(Do(What.DESTROY, failed.at, task.pasid))
    bound = [do.at for do in task.done if do.what is What.ATTACH]
    task.rolled_back = len(bound)
    steps += [step for at in bound[::-1] for step in closing.detaching(at, task.pasid)]
    told = any(do.what is What.BIND for do in (*task.done, failed))
    return steps + ([Do(What.UNBIND, "", task.pasid)] if told else [])


def end(vmm: Vmm, task: Task, out: Out) -> None:
    """All or nothing has been done; say which."""
    life = vmm.vms[task.vm].pasids.get(task.pasid)
    if life is not None and not life.tables:
        life.gpasid = 0
    out.record(
        BindAnswered(
            pasid=task.pasid,
            incarnation=task.ghost if life is None else life.incarnation,
            vm=task.vm,
            group=task.group,
            task=task.title,
            errno="" if task.errno is None else task.errno.value,
            rolled_back=task.rolled_back,
        )
    )


STEPS = {What.NEST: nest, What.ATTACH: attach}
NOTES = {What.NEST: nested, What.ATTACH: attached}
