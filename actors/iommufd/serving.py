"""How a request ends: with an answer, once nothing is held any more; and what a check compares."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.state import (
    Do,
    Nested,
    Paging,
    Task,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import AttachHandleGet
from protocol.messages.iommufd import (
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    CheckHwpt,
    FaultsGot,
    MakeMockDevice,
    MockDeviceGot,
    ObjectGot,
    PtGot,
    ReadFaults,
    ReplacePt,
)
from protocol.messages.probing import GetHwInfo, HwInfo, HwInfoGot
from protocol.names import IOMMU, IOMMU_CORE

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def check(fd: Iommufd, task: Task, out: Out) -> bool:
    """What the core has."""
    task.then(Do.CHECKED)
    group = fd.device(task.device).group
    out.send(IOMMU_CORE, AttachHandleGet(task.number, group, task.pasid, ""))
    return False


def checked(fd: Iommufd, task: Task, out: Out) -> bool:
    """Whether that is the page table; with id 0, whether there is none."""
    assert isinstance(task.request, CheckHwpt), "only a check is checked"
    domain, task.errno = ("" if task.errno else fd.domain_of(task.got)), None
    if not task.request.hwpt:
        if domain:
            task.errno = Errno.EINVAL
        return True
    found = objects.look(fd, task, task.request.hwpt, None, out)
    if found is None:
        task.errno = Errno.ENOENT
    elif not isinstance(found, Paging | Nested) or found.domain != domain:
        task.errno = Errno.EINVAL
    return True


def hw_info(fd: Iommufd, task: Task, out: Out) -> bool:
    """Of the device's own hardware."""
    out.send(IOMMU, HwInfo(task.number, fd.device(task.device).device))
    return False


def lock_mock(fd: Iommufd, task: Task, out: Out) -> bool:
    """One call at a time for a mock device."""
    return fd.lock_mock(task, out)


def end(fd: Iommufd, task: Task, out: Out) -> bool:
    """The answer, once nothing is held any more."""
    for at in task.looks[::-1]:
        objects.put(fd, task, at, out)
    fd.unlock(task, "", out)
    del fd.tasks[task.number]
    out.send(task.sender, answer(task))
    return False


def answer(task: Task) -> AnyMessage:
    """With what was asked for."""
    call = task.request.call
    if task.errno is not None:
        return Refused(call, task.errno)
    match task.request:
        case AllocIoas() | AllocFaultQueue() | AllocHwpt():
            return ObjectGot(call, task.fresh)
        case BindDevice():
            return ObjectGot(call, task.device)
        case AttachPt() | ReplacePt():
            return PtGot(call, task.hwpt)
        case AnswerFault() if not task.request.also:
            return Done(call)
        case ReadFaults() | AnswerFault():
            return FaultsGot(call, tuple(task.cookies))
        case MakeMockDevice():
            return MockDeviceGot(call, task.mock, task.device, task.hwpt)
        case GetHwInfo():
            return HwInfoGot(call, task.pasid)
        case _:
            return Done(call)


STEPS = {
    **objects.STEPS,
    Do.LOCK_MOCK: lock_mock,
    Do.CHECK: check,
    Do.CHECKED: checked,
    Do.HW_INFO: hw_info,
    Do.END: end,
}
