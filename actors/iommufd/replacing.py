"""Replace: what all devices of the group have for a PASID becomes another page table.

Kernel: iommufd_device_do_replace, iommufd_hwpt_replace_device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import attaching, handles, objects
from actors.iommufd.sites import HANDLE
from actors.iommufd.state import Attach, Do, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommufd import PtReplaced
from protocol.messages.iommu_core import AttachHandleGet, ReplaceDevicePasid, ReplaceGroupHandle
from protocol.names import IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def replace(fd: Iommufd, task: Task, out: Out) -> bool:
    """This device must have something; the same again is nothing to do, whatever it is."""
    group = fd.device(task.device).group
    record = fd.attaches_of(group).get(task.pasid)
    if record is None or task.device not in record.devices:
        task.errno = Errno.EINVAL
    elif record.hwpt == task.hwpt:
        pass
    elif not fd.compatible(group, task.hwpt, task.pasid) or attaching.faults_refused(fd, task):
        task.errno = Errno.EINVAL
    else:
        task.then(Do.REPLACE_GOT)
        out.send(IOMMU_CORE, AttachHandleGet(task.number, group, task.pasid, ""))
        return False
    fd.unlock(task, "group:", out)
    return True


def replace_got(fd: Iommufd, task: Task, out: Out) -> bool:
    """The handle in place is for the end; the new one is what the core gets now."""
    assert task.errno is None, "what is attached has a handle"
    if out.may_fail(HANDLE):
        task.errno = Errno.ENOMEM
        fd.unlock(task, "group:", out)
        return True
    device, domain = fd.device(task.device), fd.pagetable(task.hwpt).domain
    handles.make(fd, task, domain, out)
    task.then(Do.REPLACED)
    if task.pasid == NO_PASID:
        rid = ReplaceGroupHandle(task.number, device.group, domain, task.handle)
        out.send(IOMMU_CORE, rid)
    else:
        name = device.device
        message = ReplaceDevicePasid(task.number, name, task.pasid, 0, domain, task.handle)
        out.send(IOMMU_CORE, message)
    return False


def replaced(fd: Iommufd, task: Task, out: Out) -> bool:
    """Nobody waits under the old handle any more; its users go over to the new page table."""
    if task.errno is not None:
        handles.free(fd, task.handle, out)
        fd.unlock(task, "group:", out)
        return True
    record = fd.attaches_of(fd.device(task.device).group)[task.pasid]
    task.old = record.hwpt
    task.queue = fd.queue_of_faults(task.old, task.hwpt)
    task.then(Do.RESPOND, Do.MOVED)
    return True


def moved(fd: Iommufd, task: Task, out: Out) -> bool:
    """One user of the old page table is left for this call, which lets it go at the end."""
    group: Name = fd.device(task.device).group
    record = fd.attaches_of(group)[task.pasid]
    count = fd.users_of(record)
    table = fd.pagetable(task.hwpt)
    table.users += count
    fd.pagetable(task.old).users -= count - 1
    handles.free(fd, record.handle, out)
    record.hwpt, record.handle = task.hwpt, task.handle
    fits = "PASID" in table.flags
    fact = PtReplaced(group, task.pasid, task.hwpt, task.old, table.domain, compatible=fits)
    out.record(fact)
    objects.count(fd, task.hwpt, "replace", out)
    fd.unlock(task, "group:", out)
    return True


def users_of(_fd: Iommufd, record: Attach) -> int:
    """One for each device that has joined."""
    return len(record.devices)


def queue_of_faults(fd: Iommufd, old: int, _new: int) -> int:
    """Faults wait in the queue of the page table that was there (mends modern bug 4)."""
    return fd.pagetable(old).fault


STEPS = {
    Do.REPLACE: replace,
    Do.REPLACE_GOT: replace_got,
    Do.REPLACED: replaced,
    Do.MOVED: moved,
}
