"""A group's lock, and the calls of the driver that are made under it, one at a time.

Groups are independent of one another; of one group, whoever comes waits while the driver is called.

Kernel: group->mutex in drivers/iommu/iommu.c.  §1.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.iommu_core.state import Attaching, DriverCall, GroupState, Locked, Task, Waiter
from protocol.domains import BLOCKING, NULL
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.facts.iommu_core import DevPasidAnswered, DevPasidCalled
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachGroupHandle,
    ClaimDmaOwner,
    DetachDevicePasid,
    DetachGroupHandle,
    PlugDevice,
    ReleaseDmaOwner,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
    ResetDone,
    ResetPrepare,
    SetDevPasid,
    UnplugDevice,
)
from protocol.messages.probing import UnuseDefaultDomain, UseDefaultDomain
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def take(core: IommuCore, group: GroupState, request: Locked, sender: Name, out: Out) -> None:
    """At once if nobody has it, else when its turn comes."""
    if group.task is not None:
        out.record(LockWaited(lock_of(group), "mutex", thread_of(sender, request)))
        group.waiting.append(Waiter(sender, request))
        return
    locked(core, request, sender, out)


def lock_of(group: GroupState) -> str:
    """What its lock is called."""
    return f"group:{group.name}"


def thread_of(sender: Name, request: Locked) -> str:
    """Whoever asks is whose thread it is (§1.7)."""
    return f"{sender}/{request.call}"


def locked(core: IommuCore, request: Locked, sender: Name, out: Out) -> None:
    """The request has the lock.  Its device may have left its group while it waited."""
    group = core.group_of(request)
    match request:
        case AttachGroupHandle() | ReplaceGroupHandle() | DetachGroupHandle():
            core.on_group_request(group, request, sender, out)
        case ClaimDmaOwner():
            core.on_claim(group, request, sender, out)
        case ReleaseDmaOwner():
            core.on_release(group, request, sender, out)
        case UseDefaultDomain():
            core.on_use(group, request, sender, out)
        case UnuseDefaultDomain():
            core.on_unuse(group, request, sender, out)
        case PlugDevice():
            core.on_plug(request, sender, out)
        case UnplugDevice():
            core.on_unplug(request, sender, out)
        case AttachDevicePasid() | ReplaceDevicePasid():
            if group is None:
                out.send(sender, Refused(request.call, Errno.ENODEV))
            elif isinstance(request, AttachDevicePasid):
                core.begin_attach(group, request, sender, out)
            else:
                core.begin_replace(group, request, sender, out)
        case DetachDevicePasid() | ResetPrepare() | ResetDone():
            if group is None:
                out.send(sender, Done(request.call))
            elif isinstance(request, DetachDevicePasid):
                core.begin_detach(group, request, sender, out)
            elif isinstance(request, ResetPrepare):
                core.begin_prepare(group, request, sender, out)
            else:
                core.begin_done(group, request, sender, out)
        case _:
            assert_never(request)


def start(core: IommuCore, group: GroupState, task: Task, out: Out) -> None:
    """The thread keeps the lock until its last call has been answered."""
    has(group, task, out)
    go_on(core, group, out)


def has(group: GroupState, task: Task, out: Out) -> None:
    """The lock is the task's."""
    group.task = task
    thread = thread_of(task.sender, task.request)
    out.record(LockTaken(lock_of(group), "mutex", thread))
    out.record(ThreadEntered(str(group.number), thread))


def lets_go(group: GroupState, out: Out) -> None:
    """And nobody's any more."""
    task, group.task = group.task, None
    assert task is not None, "somebody has the lock"
    out.record(LockReleased(lock_of(group), "mutex", thread_of(task.sender, task.request)))


def go_on(core: IommuCore, group: GroupState, out: Out) -> None:
    """The next call; after the last the request is answered, and the next one has the lock."""
    task = group.task
    assert task is not None, "somebody has the lock"
    if task.calls:
        call = task.calls[0]
        out.record(DevPasidCalled(call.device, call.pasid, call.incarnation, call.domain, call.old))
        out.send(IOMMU, core.call_of(group, call))
        return
    lets_go(group, out)
    if isinstance(task.request, Attaching):
        core.end_attaching(group, task, out)
    else:
        core.end_other(group, task, out)
    hand_on(core, group, out)


def hand_on(core: IommuCore, group: GroupState, out: Out) -> None:
    """Who waits has the lock, until somebody keeps it."""
    while group.waiting and group.task is None:
        waiter = group.waiting.pop(0)
        locked(core, waiter.request, waiter.sender, out)
        if group.task is None:  # It was through at once; that it waits no more must be known.
            thread = thread_of(waiter.sender, waiter.request)
            out.record(LockTaken(lock_of(group), "mutex", thread))
            out.record(LockReleased(lock_of(group), "mutex", thread))


def call_of(_core: IommuCore, group: GroupState, call: DriverCall) -> AnyMessage:
    """What the driver is told; a PASID is taken away by setting the blocking domain."""
    return SetDevPasid(
        group.number, call.device, call.pasid, call.incarnation, call.domain, call.old
    )


def on_driver_answer(core: IommuCore, answer: Done | Refused, out: Out) -> None:
    """Of the call under the lock of that group."""
    group = core.numbered[answer.call]
    task = core.groups[group].task
    assert task is not None, "only who holds the lock calls the driver"
    if isinstance(task.request, PlugDevice | UnplugDevice):
        core.told_driver(core.groups[group], task, out)
        return
    call = task.calls.pop(0)
    errno = answer.errno if isinstance(answer, Refused) else None
    said = "" if errno is None else errno.value
    out.record(DevPasidAnswered(call.device, call.pasid, call.incarnation, call.domain, said))
    if errno is None:
        task.made.append(call)
    else:
        core.refused(task, call, errno)
    go_on(core, core.groups[group], out)


def away(call: DriverCall) -> DriverCall:
    """The blocking domain, after the device would not go back to what was there."""
    return DriverCall(
        call.device, call.pasid, call.incarnation, BLOCKING.name, call.old or NULL, away=True
    )
