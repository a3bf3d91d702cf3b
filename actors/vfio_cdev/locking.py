"""The lock of a set of devices that are reset together, a list: who has it is first.

Kernel: dev_set->lock.  Devices of one IOMMU group are one set here, any other is its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vfio_cdev.state import Do, Request, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.facts.vfio_cdev import AttachmentsKept
from protocol.messages.vfio_cdev import (
    AttachIommufdPt,
    BindIommufd,
    CloseCdev,
    DetachIommufdPt,
    OpenCdev,
)

if TYPE_CHECKING:
    from actors.vfio_cdev import VfioCdev

KIND: Final = "mutex"
CALLS: Final[dict[type[Request], str]] = {
    BindIommufd: "bind",
    AttachIommufdPt: "attach",
    DetachIommufdPt: "detach",
    CloseCdev: "close",
}


def lock(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """Take it, or wait for it: the step comes again."""
    name = f"dev_set:{vfio.vdev(task).group}"
    waiting = vfio.locks.setdefault(name, [])
    waiting.append(task.number)
    out.record(ThreadEntered(str(task.number), f"{task.sender}/{task.request.call}"))
    if waiting[0] != task.number:
        out.record(LockWaited(name, KIND, str(task.number)))
        return False
    has(task, name, out)
    return True


def has(task: Task, name: str, out: Out) -> None:
    """The lock is the task's."""
    task.lock = name
    out.record(LockTaken(name, KIND, str(task.number)))


def unlock(vfio: VfioCdev, task: Task, out: Out) -> None:
    """What is kept of the device is right again; who waits goes on."""
    if not task.lock:
        return
    name, task.lock = task.lock, ""
    out.record(kept(vfio, task))
    out.record(LockReleased(name, KIND, str(task.number)))
    waiting = vfio.locks[name]
    waiting.pop(0)
    if not waiting:
        del vfio.locks[name]
        return
    after = vfio.tasks[waiting[0]]
    has(after, name, out)
    vfio.go_on(after, out)


def kept(vfio: VfioCdev, task: Task) -> AttachmentsKept:
    """What VFIO has of the device now, and which call it was."""
    vdev, errno = vfio.vdev(task), "" if task.errno is None else task.errno.value
    call = CALLS[type(task.request)]
    pasid = task.pasid if call in ("attach", "detach") else NO_PASID
    return AttachmentsKept(vdev.name, tuple(vdev.pasids), vdev.attached, call, pasid, errno)


def end(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """The answer, once nothing is held any more; a close that has waited for it goes on."""
    vfio.unlock(task, out)
    del vfio.tasks[task.number]
    out.send(task.sender, vfio.answer(task))
    file = vfio.files.get(task.file)
    if file is not None and not isinstance(task.request, OpenCdev):
        file.calls -= 1
        if file.closer and not file.calls:
            vfio.go_on(vfio.tasks[file.closer], out)
    return False


def take(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """In the order of asking."""
    return vfio.lock(task, out)


STEPS = {Do.LOCK: take, Do.END: end}
