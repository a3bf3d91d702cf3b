"""What each request begins with: look-ups, and a list of what comes next.

A driver's `device` is its own pointer; the user's id of a mock device is looked up, and the mock
driver then holds the lock of that device until it answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects, viommus, waiting
from actors.iommufd.fault_files import QUEUE, begin_close, begin_file
from actors.iommufd.faults import begin_trigger
from actors.iommufd.state import (
    FLAGS,
    AnyObject,
    Device,
    Do,
    FaultQueue,
    Ioas,
    Mock,
    Task,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryAllocated, ThreadEntered
from protocol.facts.iommufd import ObjectBusy
from protocol.messages.guests import AllocVdevice, AllocViommu, WaitForFaults
from protocol.messages.iommufd import (
    NO_LENGTH,
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    CheckHwpt,
    CloseFaultQueue,
    DestroyObject,
    DetachPt,
    MakeMockDevice,
    ReadFaults,
    ReplacePt,
    TriggerFault,
    UnbindDevice,
)
from protocol.messages.probing import GetHwInfo

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def begin(fd: Iommufd, task: Task, out: Out) -> None:
    """The first step of a request, in its caller's thread; `task.todo` has what follows."""
    out.record(ThreadEntered(str(task.number), f"{task.sender}/{task.request.call}"))
    match task.request:
        case AllocIoas():
            begin_object(fd, task, Ioas(), out)
        case AllocFaultQueue():
            begin_queue(fd, task, out)
        case AllocHwpt():
            begin_hwpt(fd, task, task.request, out)
        case DestroyObject():
            begin_destroy(fd, task, task.request.id, out)
        case AttachPt() | ReplacePt() | DetachPt():
            begin_pt(fd, task, task.request, out)
        case BindDevice():
            task.then(Do.BIND)
        case UnbindDevice():
            task.device = task.request.device
            if has_device(fd, task):
                task.then(Do.UNBIND)
        case MakeMockDevice():
            begin_mock(fd, task, out)
        case GetHwInfo():
            begin_hw_info(fd, task, task.request, out)
        case CheckHwpt():
            begin_check(fd, task, task.request, out)
        case TriggerFault():
            begin_trigger(fd, task, task.request, out)
        case ReadFaults():
            begin_file(fd, task, task.request, Do.READ)
        case AllocViommu() | AllocVdevice():
            viommus.begin(fd, task, task.request, out)
        case WaitForFaults():
            waiting.begin(fd, task, task.request)
        case AnswerFault():
            begin_file(fd, task, task.request, Do.WRITE)
        case _:
            assert isinstance(task.request, CloseFaultQueue), "there is no other request"
            begin_close(fd, task, task.request, out)


def begin_object(fd: Iommufd, task: Task, made: AnyObject, out: Out) -> None:
    """Its id is taken some time before it can be found."""
    task.fresh = objects.reserve(fd, task, made, out)
    if task.fresh:
        task.then(Do.PAUSE, Do.MADE)


def begin_queue(fd: Iommufd, task: Task, out: Out) -> None:
    """Its file is a user from the beginning."""
    begin_object(fd, task, FaultQueue(users=2), out)
    if task.fresh:
        out.record(MemoryAllocated(QUEUE, objects.memory(fd, task.fresh)))


def begin_hwpt(fd: Iommufd, task: Task, asked: AllocHwpt, out: Out) -> None:
    """Device, then what it shall be a page table of, and its kind."""
    errno = malformed(asked)
    if errno is not None:
        task.fail(errno)
    elif objects.look(fd, task, asked.device, Device, out) is None:
        task.fail(Errno.ENOENT)
    else:
        task.device, task.pt = asked.device, asked.pt
        task.then(Do.PAUSE, Do.LOOK_PARENT, Do.HWPT)


def malformed(asked: AllocHwpt) -> Errno | None:
    """EOPNOTSUPP what only a later kernel knows; EINVAL data of a type, and none there."""
    if asked.reserved or any(flag not in FLAGS for flag in asked.flags):
        return Errno.EOPNOTSUPP
    return Errno.EINVAL if NO_LENGTH in asked.data else None


def begin_destroy(fd: Iommufd, task: Task, at: int, out: Out) -> None:
    """The id goes first, if only the table itself still uses the object."""
    found = fd.objects.get(at)
    if found is None or not found.ready:
        task.fail(Errno.ENOENT)
        return
    gone = objects.remove(fd, at, out)
    if gone is None:
        out.record(ObjectBusy(at, objects.kind_of(found), found.users))
        task.fail(Errno.EBUSY)
        return
    task.dying.append(gone)
    task.then(Do.PAUSE, Do.DESTROY)


def begin_pt(fd: Iommufd, task: Task, asked: AttachPt | ReplacePt | DetachPt, out: Out) -> None:
    """Through the mock driver, or by a driver that knows its device."""
    task.device, task.pasid = asked.device, asked.pasid
    if asked.mock:
        found = objects.look(fd, task, asked.device, Mock, out)
        if not isinstance(found, Mock):
            task.fail(Errno.ENOENT)
            return
        task.mock, task.device = asked.device, found.device
        task.then(Do.PAUSE, Do.LOCK_MOCK)
    elif not has_device(fd, task):
        return
    # What comes first is said last: `then` puts it before the rest.
    mine, task.todo = task.todo, [Do.END]
    if isinstance(asked, DetachPt):
        task.then(Do.DETACH, Do.PUT_OLD)
    else:
        task.pt = asked.pt
        task.then(Do.LOOK_PT, Do.PAUSE, Do.SWITCH, Do.PUT_OLD)
    task.todo.extend(mine[1:])


def has_device(fd: Iommufd, task: Task) -> bool:
    """A driver that has bound nothing has no pointer to ask with; a script that does: ENODEV."""
    if not isinstance(fd.objects.get(task.device), Device):
        task.fail(Errno.ENODEV)
    return task.errno is None


def begin_mock(fd: Iommufd, task: Task, out: Out) -> None:
    """Its own id first, then the device's."""
    task.mock = objects.reserve(fd, task, Mock(), out)
    if task.mock:
        task.then(Do.PAUSE, Do.MOCK)


def begin_check(fd: Iommufd, task: Task, asked: CheckHwpt, out: Out) -> None:
    """The core is asked first, without a lock; only then is the page table looked up."""
    found = objects.look(fd, task, asked.mock, Mock, out)
    if not isinstance(found, Mock):
        task.fail(Errno.ENOENT)
        return
    task.device, task.pasid = found.device, asked.pasid
    task.then(Do.CHECK)


def begin_hw_info(fd: Iommufd, task: Task, asked: GetHwInfo, out: Out) -> None:
    """The device; only the driver knows more."""
    if objects.look(fd, task, asked.device, Device, out) is None:
        task.fail(Errno.ENOENT)
        return
    task.device = asked.device
    task.then(Do.HW_INFO)
