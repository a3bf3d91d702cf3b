"""An IOAS as what shall be attached: one of its automatic page tables, or a new one.

Kernel: iommufd_device_auto_get_domain, under the lock of the IOAS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.objects import PAGE_TABLE
from actors.iommufd.sites import MAP
from actors.iommufd.state import Do, Paging, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryUsed
from protocol.messages.iommufd import AllocDomain, FreeDomain
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def auto(fd: Iommufd, task: Task, out: Out) -> bool:
    """Any one that will do is as good as any other."""
    if not fd.lock(task, f"ioas:{task.pt}", Do.AUTO, out):
        return False
    for name in fd.listed(task.pt):
        out.record(MemoryUsed(PAGE_TABLE, name))
    for at, found in sorted(fd.objects.items()):
        if at <= task.hwpt or not isinstance(found, Paging):
            continue
        if found.auto and found.ioas == task.pt:
            task.hwpt = at
            found.users += 1
            found.looks += 1
            task.looks.append(at)
            task.then(Do.TRY, Do.AUTO_TRIED)
            return True
    task.fresh = objects.reserve(fd, task, Paging(ioas=task.pt), out)
    if not task.fresh:
        return True
    fd.objects[task.pt].users += 1
    task.then(Do.AUTO_GOT)
    out.send(IOMMU, AllocDomain(task.number, fd.device(task.device).device, ()))
    return False


def listed(fd: Iommufd, ioas: int) -> list[Name]:
    """The domains of the page tables in the list of the IOAS, which every one is in once."""
    tables = [one for one in fd.objects.values() if isinstance(one, Paging) and one.ready]
    return sorted(one.domain for one in tables if one.ioas == ioas)


def auto_tried(fd: Iommufd, task: Task, out: Out) -> bool:
    """EINVAL means that another may do; any other refusal is the answer."""
    objects.put(fd, task, task.hwpt, out)
    if task.errno is Errno.EINVAL:
        task.errno = None
        task.then(Do.AUTO)
    else:
        fd.unlock(task, "ioas:", out)
    return True


def auto_got(fd: Iommufd, task: Task, out: Out) -> bool:
    """A new page table, if the driver has a domain for it."""
    if task.errno is not None:
        task.then(Do.ABORTED)
        return True
    fresh = fd.pagetable(task.fresh)
    fresh.domain, task.hwpt = task.got, task.fresh
    task.errno = out.may_fail(MAP)
    task.then(Do.TRY, Do.AUTO_MADE) if task.errno is None else task.then(Do.ABORT)
    return True


def auto_made(fd: Iommufd, task: Task, out: Out) -> bool:
    """If it is good it can be found from now on."""
    if task.errno is not None:
        task.then(Do.ABORT)
        return True
    fresh = fd.pagetable(task.fresh)
    assert isinstance(fresh, Paging), "an IOAS has page tables of its own"
    fresh.auto = True
    objects.publish_table(fd, task.fresh, out)
    fd.unlock(task, "ioas:", out)
    return True


def abort(fd: Iommufd, task: Task, out: Out) -> bool:
    """The domain of a page table that nobody will find."""
    task.refused = task.errno
    task.then(Do.ABORTED)
    out.send(IOMMU, FreeDomain(task.number, fd.pagetable(task.fresh).domain))
    return False


def aborted(fd: Iommufd, task: Task, _out: Out) -> bool:
    """Whom it held, and its id."""
    gone = fd.objects.pop(task.fresh)
    fd.release(gone)
    task.errno, task.refused = task.refused or task.errno, None
    return True


STEPS = {
    Do.AUTO: auto,
    Do.AUTO_TRIED: auto_tried,
    Do.AUTO_GOT: auto_got,
    Do.AUTO_MADE: auto_made,
    Do.ABORT: abort,
    Do.ABORTED: aborted,
}
