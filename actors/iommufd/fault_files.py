"""The file of a fault queue: read, write, release.

Kernel: eventq.c, iommufd_fault_alloc, iommufd_fault_fops_read, iommufd_fault_fops_write,
iommufd_eventq_fops_release.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd import faults, objects
from actors.iommufd.sites import COOKIE, COPY
from actors.iommufd.state import Do, FaultQueue, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryFreed, MemoryUsed
from protocol.facts.iommufd import UserMemoryLeft, UserMemoryTouched
from protocol.messages.iommufd import AnswerFault, CloseFaultQueue, ReadFaults

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

CODES: Final = (0, faults.INVALID)
"""IOMMUFD_PAGE_RESP_SUCCESS, _INVALID."""
QUEUE: Final = "fault_queue"
"""What kind of memory a fault queue is."""


def begin_file(fd: Iommufd, task: Task, asked: ReadFaults | AnswerFault, step: Do) -> None:
    """Of a file that is there, from its beginning, and whole records only."""
    task.queue = asked.fault
    found = fd.objects.get(asked.fault)
    if not isinstance(found, FaultQueue) or not found.ready:
        task.fail(Errno.ENOENT)
    elif asked.offset or asked.rest:
        task.fail(Errno.ESPIPE)
    else:
        task.then(step)


def locked_read(fd: Iommufd, task: Task, out: Out) -> bool:
    """One reader or writer at a time."""
    if not fd.lock(task, f"queue:{task.queue}", Do.READ, out):
        return False
    return fd.read(task, out)


def read(fd: Iommufd, task: Task, out: Out) -> bool:
    """Each group gets the smallest free cookie; one that cannot be had whole stays the first."""
    asked = task.request
    assert isinstance(asked, ReadFaults), "only that reads"
    queue, room = fd.queue(task.queue), asked.room
    begin_copying(fd, task, out)
    errno = None
    while queue.deliver and errno is None:
        group = queue.deliver[0]
        errno = Errno.EINVAL if group.count > room else out.may_fail(COOKIE) or out.may_fail(COPY)
        if errno is None:
            cookie = 1
            while cookie in queue.responses:
                cookie += 1
            queue.responses[cookie] = queue.deliver.pop(0)
            task.cookies.append(cookie)
            room -= group.count
    if not task.cookies:
        task.errno = errno
    end_copying(fd, task, out)
    return True


def begin_copying(fd: Iommufd, task: Task, out: Out) -> None:
    """From here on it takes as long as the user's memory takes."""
    out.record(UserMemoryTouched(objects.memory(fd, task.queue), title(task)))


def end_copying(fd: Iommufd, task: Task, out: Out) -> None:
    """Nobody has waited but another reader or writer."""
    out.record(UserMemoryLeft(objects.memory(fd, task.queue), title(task)))


def title(task: Task) -> str:
    """A reader or writer."""
    return f"{task.sender}:{task.request.call}"


def write(fd: Iommufd, task: Task, out: Out) -> bool:
    """A cookie is good for one answer.  Of several, those before one that fails have been given."""
    asked = task.request
    assert isinstance(asked, AnswerFault), "only that answers"
    if not fd.lock(task, f"queue:{task.queue}", Do.WRITE, out):
        return False
    begin_copying(fd, task, out)
    end_copying(fd, task, out)
    errno, responses = out.may_fail(COPY), fd.queue(task.queue).responses
    cookie = (asked.cookie, *asked.also)[len(task.cookies)]
    if errno is None and (asked.code not in CODES or cookie not in responses):
        errno = Errno.EINVAL
    if errno is not None:
        task.errno = None if task.cookies else errno
        return True
    task.cookies.append(cookie)
    if len(task.cookies) <= len(asked.also):
        task.then(Do.WRITE)
    faults.respond_to(task, responses.pop(cookie), asked.code, out)
    return False


def begin_close(fd: Iommufd, task: Task, asked: CloseFaultQueue, out: Out) -> None:
    """The file was a user."""
    if not isinstance(fd.objects.get(asked.fault), FaultQueue):
        task.fail(Errno.ENOENT)
        return
    out.record(MemoryUsed(QUEUE, objects.memory(fd, asked.fault)))
    fd.objects[asked.fault].users -= 1


def abort_queue(fd: Iommufd, task: Task, out: Out) -> bool:
    """A fault queue that its user does not get: the file at once, and then the object.

    Files are released later, as a rule; so not here (4e034bf045b1, mends modern bug 37).
    """
    out.record(MemoryUsed(QUEUE, objects.memory(fd, task.fresh)))
    free_queue(fd, task, out)
    return True


def free_queue(fd: Iommufd, task: Task, out: Out) -> None:
    """Nobody has found it, and its id is free."""
    del fd.objects[task.fresh]
    out.record(MemoryFreed(QUEUE, objects.memory(fd, task.fresh)))


STEPS = {Do.READ: locked_read, Do.WRITE: write}
