"""Attach and detach: of the device's DMA without PASID, or of one of its PASIDs.

What is attached already is replaced.  PASID 0 is DMA without one for iommufd, and a PASID like any
other in VFIO's set.

Kernel: vfio_df_ioctl_attach_pt, vfio_df_ioctl_detach_pt, vfio_iommufd_physical_attach_ioas,
vfio_iommufd_physical_pasid_attach_ioas of 7.3.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

from actors.vfio_cdev.state import COPY, PASID, Do, File, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages.iommufd import AttachPt, DetachPt, ReplacePt
from protocol.messages.vfio_cdev import (
    ATTACH_PASID,
    ATTACH_PASID_SIZE,
    ATTACH_SIZE,
    DETACH_PASID,
    DETACH_PASID_SIZE,
    DETACH_SIZE,
    AttachIommufdPt,
    DetachIommufdPt,
)

if TYPE_CHECKING:
    from actors.vfio_cdev import VfioCdev

IDA_END: Final = 1 << 31
"""No IDA has a number from here on."""


def attach_refusal(vfio: VfioCdev, asked: AttachIommufdPt, file: File) -> Errno | None:
    """Not bound; then the arguments, in the order in which they are looked at."""
    sizes = (ATTACH_SIZE, ATTACH_PASID_SIZE)
    return refusal(vfio, asked, file, (ATTACH_PASID, *sizes))


def detach_refusal(vfio: VfioCdev, asked: DetachIommufdPt, file: File) -> Errno | None:
    """As attach."""
    return refusal(vfio, asked, file, (DETACH_PASID, DETACH_SIZE, DETACH_PASID_SIZE))


def refusal(
    vfio: VfioCdev,
    asked: AttachIommufdPt | DetachIommufdPt,
    file: File,
    known: tuple[str, int, int],
) -> Errno | None:
    """`known`: the one flag there is, and the sizes without and with it."""
    flag, size, size_with = known
    if not file.bound or asked.argsz < size or any(one != flag for one in asked.flags):
        return Errno.EINVAL
    if not asked.flags:
        return None
    if not vfio.devices[file.device].passes_pasids:
        return Errno.EOPNOTSUPP
    return Errno.EINVAL if asked.argsz < size_with else None


def attach(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """In the set before iommufd is asked; what is there is replaced."""
    asked, vdev = task.request, vfio.vdev(task)
    assert isinstance(asked, AttachIommufdPt), "only an attach attaches"
    task.by_pasid = bool(asked.flags)
    task.pasid = asked.pasid if task.by_pasid else NO_PASID
    task.then(Do.ATTACHED)
    there = task.pasid in vdev.pasids if task.by_pasid else vdev.attached
    if there:
        out.send(vdev.context, ReplacePt(task.number, vdev.object, task.pasid, asked.pt))
        return False
    task.errno = vfio.note(task, out)
    if task.errno is not None:
        task.todo = [Do.END]
        return True
    out.send(vdev.context, AttachPt(task.number, vdev.object, task.pasid, asked.pt))
    return False


def note(vfio: VfioCdev, task: Task, out: Out) -> Errno | None:
    """The PASID's place in the set; ENOSPC for a number that none can have."""
    if not task.by_pasid:
        return None
    if task.pasid >= IDA_END:
        return Errno.ENOSPC
    errno = out.may_fail(PASID)
    if errno is None:
        insort(vfio.vdev(task).pasids, task.pasid)
        task.fresh = True
    return errno


def attached(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """A refused attach is forgotten, a refused replace has changed nothing."""
    vdev = vfio.vdev(task)
    if task.errno is not None:
        if task.fresh:
            vfio.take_back(task)
        return True
    if not task.by_pasid:
        vdev.attached = True
    task.errno = out.may_fail(COPY)
    if task.errno is not None:
        task.then(Do.UNDO)
    return True


def take_back(vfio: VfioCdev, task: Task) -> None:
    """What iommufd has refused is not among what the device has."""
    vfio.vdev(task).pasids.remove(task.pasid)


def undo(_vfio: VfioCdev, task: Task) -> None:
    """The user does not know what it has: it has nothing there, also where it had before."""
    task.then(Do.DETACH)


def detach(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """What is not attached through this device is not asked about."""
    asked, vdev = task.request, vfio.vdev(task)
    if isinstance(asked, DetachIommufdPt):
        task.by_pasid = bool(asked.flags)
        task.pasid = asked.pasid if task.by_pasid else NO_PASID
    there = task.pasid in vdev.pasids if task.by_pasid else vdev.attached
    if not there:
        return True
    task.then(Do.DETACHED)
    out.send(vdev.context, DetachPt(task.number, vdev.object, task.pasid))
    return False


def detached(vfio: VfioCdev, task: Task, _out: Out) -> bool:
    """It cannot fail."""
    vfio.forget(task)
    return True


def forget(vfio: VfioCdev, task: Task) -> None:
    """It is not among what the device has any more."""
    vdev = vfio.vdev(task)
    if task.by_pasid:
        vdev.pasids.remove(task.pasid)
    else:
        vdev.attached = False


def undo_now(vfio: VfioCdev, task: Task, _out: Out) -> bool:
    """As a detach would."""
    vfio.undo(task)
    return True


def attach_now(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """With the lock held."""
    return vfio.attach(task, out)


def attached_now(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """With the lock held."""
    return vfio.attached(task, out)


STEPS = {
    Do.ATTACH: attach_now,
    Do.ATTACHED: attached_now,
    Do.UNDO: undo_now,
    Do.DETACH: detach,
    Do.DETACHED: detached,
}
