"""Page requests: queued under the handle they came by, and answered once.

Whoever detaches or replaces answers INVALID to all that nobody has answered under the old handle.
Whoever brings one never waits for a reader, who may be long at his own memory (3d49020a327c).
Kernel: eventq.c, iommufd_fault_iopf_handler, iommufd_auto_response_faults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommufd import objects
from actors.iommufd.state import Device, Do, Group, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommufd import FaultQueued, FaultSettled
from protocol.messages import Done, Refused
from protocol.messages.iommufd import (
    AnswerFault,
    DeliverFault,
    ReportFault,
    RespondFault,
    TriggerFault,
)
from protocol.names import IOPF, Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd

INVALID: Final = 1
"""IOMMUFD_PAGE_RESP_INVALID."""


def take_in(fd: Iommufd, fault: DeliverFault, sender: Name, out: Out) -> None:
    """To the queue of the page table that the handle is for."""
    at = queue_for(fd, fault.handle)
    if not at:
        out.send(sender, Refused(fault.call, Errno.EINVAL))
        return
    where = (fault.device, fault.pasid, fault.number)
    group = Group(fault.handle, *where, fault.incarnation, fault.group, fault.count, fault.page)
    fd.queue(at).deliver.append(group)
    out.record(FaultQueued(at, group.handle, *where, group.group))
    out.send(sender, Done(fault.call))
    fd.wake(at, out)


def queue_for(fd: Iommufd, handle: Name) -> int:
    """The fault queue of the page table that a handle is for; 0: the handle is gone."""
    domain = fd.domain_of(handle)
    at = next((one for one, found in sorted(fd.objects.items()) if has(found, domain)), 0)
    return fd.pagetable(at).fault if at else 0


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
    """Who gets it is for the core to say; nothing is attached or detached meanwhile."""
    asked = task.request
    assert isinstance(asked, TriggerFault), "only that triggers one"
    if not fd.lock_trigger(task, out):
        return False
    task.then(Do.TRIGGERED)
    name = fd.device(task.device).device
    out.send(IOPF, ReportFault(task.number, name, task.pasid, asked.number))
    return False


def lock_trigger(fd: Iommufd, task: Task, out: Out) -> bool:
    """A mock device has no hardware that could be blocked and drained (8c07df7cdfcf): shared."""
    return fd.lock(task, f"group:{fd.device(task.device).group}", Do.TRIGGER, out)


def triggered(fd: Iommufd, task: Task, out: Out) -> bool:
    """Also if nobody took it."""
    task.errno = None
    fd.unlock(task, "group:", out)
    return True


def respond_to(task: Task, group: Group, code: int, out: Out) -> None:
    """The one answer."""
    by = "user" if isinstance(task.request, AnswerFault) else "kernel"
    where = (group.device, group.pasid, group.number)
    out.record(FaultSettled(task.queue, group.handle, *where, by, group.group))
    life = (group.incarnation, group.group)
    out.send(IOPF, RespondFault(task.number, *where, code, *life))


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


STEPS = {Do.TRIGGER: trigger, Do.TRIGGERED: triggered, Do.RESPOND: respond}
