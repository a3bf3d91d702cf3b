"""Detach: the last device of a group goes to the core; it cannot fail.

Kernel: iommufd_hw_pagetable_detach, iommufd_hwpt_detach_device, iommufd_hw_pagetable_put.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import handles, objects
from actors.iommufd.state import Attach, Do, Paging, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.facts.iommufd import PtDetached
from protocol.messages.iommu_core import AttachHandleGet, DetachDevicePasid, DetachGroupHandle
from protocol.messages.iommufd import ReplacePt
from protocol.names import IOMMU_CORE

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def detach(fd: Iommufd, task: Task, out: Out) -> bool:
    """With nothing attached there is nothing to do; whose attachment it is nobody looks at."""
    device = fd.device(task.device)
    if not fd.lock(task, f"group:{device.group}", Do.DETACH, out):
        return False
    record = fd.attaches_of(device.group).get(task.pasid)
    if record is None:
        fd.unlock(task, "group:", out)
        return True
    task.old = record.hwpt
    fd.leave(record, task.device)
    last = not record.devices
    detached = PtDetached(device.device, device.group, task.pasid, task.old, last=last)
    out.record(detached)
    if not last:
        fd.unlock(task, "group:", out)
        return True
    task.then(Do.DETACH_GOT)
    out.send(IOMMU_CORE, AttachHandleGet(task.number, device.group, task.pasid, ""))
    return False


def leave(_fd: Iommufd, record: Attach, device: int) -> None:
    """The device is not among them any more, if it was."""
    if device in record.devices:
        record.devices.remove(device)


def detach_got(fd: Iommufd, task: Task, out: Out) -> bool:
    """The handle is for the end."""
    assert task.errno is None, "what is attached has a handle"
    device, domain = fd.device(task.device), fd.pagetable(task.old).domain
    task.queue = fd.pagetable(task.old).fault
    task.then(Do.RESPOND, Do.DETACHED)
    if task.pasid == NO_PASID:
        out.send(IOMMU_CORE, DetachGroupHandle(task.number, device.group, domain, task.got))
    else:
        where = (device.device, task.pasid, task.incarnation)
        out.send(IOMMU_CORE, DetachDevicePasid(task.number, *where, domain))
    return False


def detached(fd: Iommufd, task: Task, out: Out) -> bool:
    """Nothing is left of it in the group."""
    group = fd.device(task.device).group
    record = fd.attaches_of(group).pop(task.pasid)
    handles.free(fd, record.handle, out)
    fd.unlock(task, "group:", out)
    return True


def put_old(fd: Iommufd, task: Task, out: Out) -> bool:
    """With nothing locked: an automatic page table may go with this, any other is used less."""
    fd.unlock(task, "ioas:", out)
    for at in [one for one in task.looks if one != task.mock]:
        objects.put(fd, task, at, out)
    if not task.old:
        return True
    found = fd.pagetable(task.old)
    if isinstance(found, Paging) and found.auto:
        task.then(Do.PAUSE, Do.REMOVE_OLD)
        return True
    found.users -= 1
    objects.count(fd, task.old, "put", out)
    let_go(fd, task, out)
    return True


def remove_old(fd: Iommufd, task: Task, out: Out) -> bool:
    """Somebody else uses it, or just looks at it: then it stays."""
    found = fd.pagetable(task.old)
    found.users -= 1
    objects.count(fd, task.old, "put", out)
    if objects.remove(fd, task.old, out) is not None:
        task.dying.append(found)
        task.then(Do.PAUSE, Do.DESTROY)
    let_go(fd, task, out)
    return True


def let_go(fd: Iommufd, task: Task, out: Out) -> None:
    """A device that has left has an attachment less."""
    task.old = 0
    if not isinstance(task.request, ReplacePt):
        fd.device(task.device).users -= 1
        objects.count(fd, task.device, "put", out)


STEPS = {
    Do.DETACH: detach,
    Do.DETACH_GOT: detach_got,
    Do.DETACHED: detached,
    Do.PUT_OLD: put_old,
    Do.REMOVE_OLD: remove_old,
}
