"""A process opens a container for each of its groups (§4.1, §4.7).

The first one makes the process's vfio_mm and with it the IOASID set; each puts the process's
second level on the devices of its group.  What fails is undone.

Kernel: drivers/vfio/vfio_iommu_type1.c, vfio_iommu_type1_attach_group; vfio_pasid.c,
vfio_mm_get_from_task.
"""

from typing import TYPE_CHECKING, assert_never

from actors.vfio import lock, tasks
from actors.vfio.state import Answer, Open, OpenStep, refusal
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    AllocSet,
    AllocSetGot,
    AttachDomain,
    DetachDomain,
    Done,
    FreeSet,
    OpenContainer,
    Refused,
)
from protocol.names import CORE, IOMMU, NO_SET, Name, vm_of

if TYPE_CHECKING:
    from actors.vfio import Vfio


def on_open_container(vfio: "Vfio", request: OpenContainer, sender: Name, out: Out) -> None:
    """Only a process that still runs, only a group that it has; then in turn."""
    process = vfio.processes.get(vm_of(sender))
    if process is None or process.released:
        out.send(sender, Refused(request.call, Errno.EOPNOTSUPP))
        return

    if not 0 <= request.group < len(process.groups):
        out.send(sender, Refused(request.call, Errno.EINVAL))
        return

    task = Open(
        number=tasks.number(vfio),
        vm=vm_of(sender),
        caller=sender,
        call=request.call,
        group=request.group,
    )
    tasks.start(vfio, task, out)


def begin(vfio: "Vfio", task: Open, out: Out) -> None:
    """The first one makes the set."""
    process = vfio.processes[task.vm]
    if task.group in process.containers:
        task.errno = Errno.EBUSY
        finish(vfio, task, out)
        return

    if process.set == NO_SET:
        task.step = OpenStep.ALLOC_SET
        out.send(CORE, AllocSet(task.number, task.vm, vfio.quota))
        return

    attach_next(vfio, task, out)


def resume(vfio: "Vfio", task: Open, answer: Answer, out: Out) -> None:
    """One answer has come; go on from there."""
    match task.step:
        case OpenStep.ALLOC_SET:
            on_set_allocated(vfio, task, answer, out)
        case OpenStep.ATTACH_DOMAIN:
            on_attached(vfio, task, answer, out)
        case OpenStep.DETACH_DOMAIN:
            undo_next(vfio, task, out)
        case OpenStep.FREE_SET:
            vfio.processes[task.vm].set = NO_SET
            finish(vfio, task, out)
        case _:
            assert_never(task.step)


def on_set_allocated(vfio: "Vfio", task: Open, answer: Answer, out: Out) -> None:
    """No set, no container."""
    task.errno = refusal(answer)
    if task.errno is not None:
        finish(vfio, task, out)
        return

    assert isinstance(answer, AllocSetGot)
    vfio.processes[task.vm].set = answer.set
    attach_next(vfio, task, out)


def attach_next(vfio: "Vfio", task: Open, out: Out) -> None:
    """The devices of the group, in order; with the last one the container is open."""
    process = vfio.processes[task.vm]
    devices = process.groups[task.group]
    if len(task.attached) == len(devices):
        process.containers.append(task.group)
        finish(vfio, task, out)
        return

    task.step = OpenStep.ATTACH_DOMAIN
    out.send(IOMMU, AttachDomain(task.number, task.vm, devices[len(task.attached)]))


def on_attached(vfio: "Vfio", task: Open, answer: Answer, out: Out) -> None:
    """One refusal fails the whole group."""
    task.errno = refusal(answer)
    if task.errno is not None:
        undo_next(vfio, task, out)
        return

    task.attached.append(vfio.processes[task.vm].groups[task.group][len(task.attached)])
    attach_next(vfio, task, out)


def undo_next(vfio: "Vfio", task: Open, out: Out) -> None:
    """What this call attached, backwards, and the set if no container is left to need it."""
    if task.attached:
        task.step = OpenStep.DETACH_DOMAIN
        out.send(IOMMU, DetachDomain(task.number, task.vm, task.attached.pop()))
        return

    process = vfio.processes[task.vm]
    if process.containers:
        finish(vfio, task, out)
        return

    task.step = OpenStep.FREE_SET
    out.send(CORE, FreeSet(task.number, process.set))


def finish(vfio: "Vfio", task: Open, out: Out) -> None:
    """The next may come in, and the guest goes on."""
    lock.release(vfio, task, out)
    failed = task.errno
    tasks.end(vfio, task, Done(task.call) if failed is None else Refused(task.call, failed), out)
