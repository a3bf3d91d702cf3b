"""Page requests: queued under the handle they came by, read by a user, answered once.

Whoever detaches or replaces answers INVALID to all that nobody has answered under the old handle.
Kernel: eventq.c, iommufd_fault_iopf_handler, iommufd_auto_response_faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd import objects
from actors.iommufd.state import Device, Do, Group, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommufd import FaultQueued, FaultSettled
from protocol.messages import Done
from protocol.messages.iommufd import (
    AnswerFault,
    CloseFaultQueue,
    DeliverFault,
    ReadFaults,
    ReportFault,
    RespondFault,
    TriggerFault,
)
from protocol.names import IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

SUCCESS: Final = 0
INVALID: Final = 1
CODES: Final = (SUCCESS, INVALID)
"""IOMMUFD_PAGE_RESP_SUCCESS, _INVALID."""


def on_deliver_fault(fd: Iommufd, fault: DeliverFault, sender: Name, out: Out) -> None:
    """To the queue of the page table that the handle is for."""
    domain = fd.domain_of(fault.handle)
    at = next((one for one, found in sorted(fd.objects.items()) if has(found, domain)), 0)
    queue = fd.pagetable(at).fault
    group = Group(fault.handle, fault.device, fault.pasid, fault.number)
    fd.queue(queue).deliver.append(group)
    queued = FaultQueued(queue, group.handle, group.device, group.pasid, group.number)
    out.record(queued)
    out.send(sender, Done(fault.call))


def has(found: object, domain: Name) -> bool:
    """Whether it is the page table with that domain."""
    return bool(domain) and getattr(found, "domain", "") == domain


def begin_trigger(fd: Iommufd, task: Task, asked: TriggerFault, out: Out) -> None:
    """The device is held until the fault has been taken."""
    if objects.look(fd, task, asked.device, Device, out) is None:
        task.fail(Errno.ENOENT)
        return
    task.device, task.pasid = asked.device, asked.pasid
    task.then(Do.TRIGGER)


def trigger(fd: Iommufd, task: Task, out: Out) -> bool:
    """Who gets it is for the core to say."""
    asked = task.request
    assert isinstance(asked, TriggerFault), "only that triggers one"
    task.then(Do.TRIGGERED)
    name = fd.device(task.device).device
    out.send(IOMMU_CORE, ReportFault(task.number, name, task.pasid, asked.number))
    return False


def triggered(_fd: Iommufd, task: Task, _out: Out) -> bool:
    """Also if nobody took it."""
    task.errno = None
    return True


def begin_read(_fd: Iommufd, task: Task, asked: ReadFaults, _out: Out) -> None:
    """Under the queue's lock."""
    task.queue = asked.fault
    task.then(Do.READ)


def read(fd: Iommufd, task: Task, out: Out) -> bool:
    """Each group gets the smallest free cookie; EINVAL if the buffer is too small for one."""
    asked = task.request
    assert isinstance(asked, ReadFaults), "only that reads"
    if not fd.lock(task, f"queue:{task.queue}", Do.READ, out):
        return False
    queue = fd.queue(task.queue)
    if queue.deliver and not asked.room:
        task.errno = Errno.EINVAL
        return True
    while queue.deliver and len(task.cookies) < asked.room:
        cookie = 1
        while cookie in queue.responses:
            cookie += 1
        queue.responses[cookie] = queue.deliver.pop(0)
        task.cookies.append(cookie)
    return True


def begin_answer(task: Task, asked: AnswerFault) -> None:
    """Under the queue's lock."""
    task.queue = asked.fault
    task.then(Do.WRITE)


def write(fd: Iommufd, task: Task, out: Out) -> bool:
    """A cookie is good for one answer."""
    asked = task.request
    assert isinstance(asked, AnswerFault), "only that answers"
    if not fd.lock(task, f"queue:{task.queue}", Do.WRITE, out):
        return False
    responses = fd.queue(task.queue).responses
    if asked.code not in CODES or asked.cookie not in responses:
        task.errno = Errno.EINVAL
        return True
    respond_to(task, responses.pop(asked.cookie), asked.code, out)
    return False


def respond_to(task: Task, group: Group, code: int, out: Out) -> None:
    """The one answer."""
    by = "user" if isinstance(task.request, AnswerFault) else "kernel"
    where = (group.device, group.pasid, group.number)
    out.record(FaultSettled(task.queue, group.handle, *where, by))
    out.send(IOMMU_CORE, RespondFault(task.number, *where, code))


def respond(fd: Iommufd, task: Task, out: Out) -> bool:
    """INVALID to all of the old handle (`task.got`): first those unread, the newest first.

    In this order 7.3 does it, as was recorded: each goes to the head of a list of its own.
    """
    if not task.queue:
        return True
    if not fd.lock(task, f"queue:{task.queue}", Do.RESPOND, out):
        return False
    queue = fd.queue(task.queue)
    for group in queue.deliver[::-1]:
        if group.handle == task.got:
            queue.deliver.remove(group)
            return again(task, group, out)
    for cookie, group in sorted(queue.responses.items()):
        if group.handle == task.got:
            del queue.responses[cookie]
            return again(task, group, out)
    fd.unlock(task, "queue:", out)
    return True


def again(task: Task, group: Group, out: Out) -> bool:
    """One after the other, until none is left."""
    task.then(Do.RESPOND)
    respond_to(task, group, INVALID, out)
    return False


def begin_close(fd: Iommufd, asked: CloseFaultQueue) -> None:
    """The file was a user."""
    fd.objects[asked.fault].users -= 1


STEPS = {
    Do.TRIGGER: trigger,
    Do.TRIGGERED: triggered,
    Do.READ: read,
    Do.WRITE: write,
    Do.RESPOND: respond,
}
