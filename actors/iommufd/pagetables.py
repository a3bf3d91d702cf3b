"""IOMMU_HWPT_ALLOC: a page table of an IOAS, or a nested one on a page table that is a parent.

Kernel: iommufd_hwpt_alloc, iommufd_hwpt_paging_alloc, iommufd_hwpt_nested_alloc.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.sites import MAP
from actors.iommufd.state import Do, FaultQueue, Ioas, Nested, Paging, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages.iommufd import AllocDomain, AllocHwpt, AllocNestedDomain
from protocol.names import IOMMU

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

FAULT = "FAULT_ID_VALID"


def look_parent(fd: Iommufd, task: Task, out: Out) -> bool:
    """Whatever kind of object it is, it is held."""
    if objects.look(fd, task, task.pt, None, out) is None:
        task.fail(Errno.EINVAL)
    return True


def hwpt(fd: Iommufd, task: Task, out: Out) -> bool:
    """By what the parent is; its id is taken before the driver is asked."""
    asked, parent = task.request, fd.objects[task.pt]
    assert isinstance(asked, AllocHwpt), "only an alloc makes one"
    if isinstance(parent, Ioas) and not fd.lock(task, f"ioas:{task.pt}", Do.HWPT, out):
        return False
    if (errno := refusal(asked, parent)) is not None:
        task.fail(errno)
        return True
    device = fd.device(task.device).device
    nested = isinstance(parent, Paging)
    flags, faults = tuple(flag for flag in asked.flags if flag != FAULT), FAULT in asked.flags
    made = Nested(parent=task.pt) if nested else Paging(ioas=task.pt)
    made.flags = asked.flags
    task.fresh = objects.reserve(fd, task, made, out)
    if not task.fresh:
        return True
    parent.users += 1
    task.then(Do.HWPT_GOT)
    if isinstance(parent, Paging):
        message = AllocNestedDomain(task.number, device, parent.domain, flags, faults, asked.data)
        out.send(IOMMU, message)
    else:
        out.send(IOMMU, AllocDomain(task.number, device, flags, faults))
    return False


def refusal(asked: AllocHwpt, parent: object) -> Errno | None:
    """What can be said before anything is made."""
    if isinstance(parent, Ioas):
        if "NEST_PARENT" in asked.flags and FAULT in asked.flags:
            return Errno.EOPNOTSUPP
        return Errno.EINVAL if asked.nested else None
    if not isinstance(parent, Paging):
        return Errno.EINVAL
    if not asked.nested or any(flag not in (FAULT, "PASID") for flag in asked.flags):
        return Errno.EOPNOTSUPP
    if parent.auto or "NEST_PARENT" not in parent.flags:
        return Errno.EINVAL
    return None


def hwpt_got(fd: Iommufd, task: Task, out: Out) -> bool:
    """With a domain it can still fail: no memory for the mappings, no such fault queue."""
    asked = task.request
    assert isinstance(asked, AllocHwpt), "only an alloc makes one"
    if task.errno is not None:
        task.then(Do.ABORTED)
        return True
    made = fd.pagetable(task.fresh)
    made.domain = task.got
    if isinstance(made, Paging):
        task.errno = out.may_fail(MAP)
    if task.errno is None and FAULT in asked.flags:
        queue = objects.look(fd, task, asked.fault, FaultQueue, out)
        if queue is None:
            task.errno = Errno.ENOENT
        else:
            queue.users += 1
            made.fault = asked.fault
    if task.errno is not None:
        task.then(Do.ABORT)
    else:
        objects.publish_table(fd, task.fresh, out)
    return True


STEPS = {Do.LOOK_PARENT: look_parent, Do.HWPT: hwpt, Do.HWPT_GOT: hwpt_got}
