"""poll() and read() of a fault queue as one call: who has nothing to do but answer page requests.

Kernel: iommufd_eventq_fops_poll and iommufd_fault_fops_read in eventq.c of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd.fault_files import begin_file
from actors.iommufd.state import Do, FaultQueue, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages.guests import PageFault, WaitForFaults

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def begin(fd: Iommufd, task: Task, asked: WaitForFaults) -> None:
    """Of a file that is there."""
    begin_file(fd, task, asked, Do.WAIT)


def wait(fd: Iommufd, task: Task, out: Out) -> bool:
    """Until somebody brings a page request; then it is a read like any other."""
    found = fd.objects.get(task.queue)
    if not isinstance(found, FaultQueue) or found.released:
        task.fail(Errno.ENOENT)
        return True
    if not found.deliver:
        fd.unlock(task, "queue:", out)
        task.todo.append(Do.WAIT)
        return False
    if not fd.lock(task, f"queue:{task.queue}", Do.WAIT, out):
        return False
    fd.read(task, out)
    for cookie in task.cookies:
        one = found.responses[cookie]
        where = (one.device, one.pasid, one.incarnation, one.number, one.page)
        task.faults.append(PageFault(cookie, *where))
    return True


def wake(fd: Iommufd, queue: int, out: Out) -> None:
    """There is something to be read, or the file is released."""
    locked = fd.locks.get(f"queue:{queue}", [])
    for task in [one for one in fd.tasks.values() if one.queue == queue]:
        # Who waits for the lock has been told already.
        if task.todo and task.todo[-1] is Do.WAIT and task.number not in locked:
            fd.go_on(task, out)


STEPS = {Do.WAIT: wait}
