"""Close: when no call is under way on the file any more, everything goes that came through it.

The device's driver closes it first, and resets it with everything attached.  Then the PASIDs are
detached in ascending order, then DMA without PASID, then the device is unbound (S28).

Kernel: vfio_device_fops_release, vfio_df_device_last_close, vfio_iommufd_physical_unbind of 7.3;
pci_dev_reset_iommu_prepare and pci_dev_reset_iommu_done around the reset.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vfio_cdev.state import RESET, Do, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.messages.iommu_core import ResetDone, ResetPrepare
from protocol.messages.iommufd import DetachPt, UnbindDevice
from protocol.names import IOMMU_CORE

if TYPE_CHECKING:
    from actors.vfio_cdev import VfioCdev


def close(vfio: VfioCdev, task: Task, _out: Out) -> bool:
    """A file that is not bound has nothing."""
    if vfio.files[task.file].bound:
        task.then(Do.LOCK, Do.CLOSE_DEVICE, Do.NEXT, Do.UNBIND, Do.UNBOUND)
    return True


def close_device(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """A reset, if the device's own lock can be had (c279e83953d9: with the IOMMU's knowledge)."""
    if out.may_fail(RESET) is not None:
        return True
    task.then(Do.RESET_DONE)
    out.send(IOMMU_CORE, ResetPrepare(task.number, vfio.vdev(task).name))
    return False


def reset_done(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """The device gets back what its group has, although it will go in a moment."""
    out.send(IOMMU_CORE, ResetDone(task.number, vfio.vdev(task).name))
    return False


def next_left(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """The smallest PASID, and at the end DMA without one."""
    vdev = vfio.vdev(task)
    if not vdev.pasids and not vdev.attached:
        return True
    task.by_pasid = bool(vdev.pasids)
    task.pasid = vdev.pasids[0] if vdev.pasids else NO_PASID
    task.then(Do.DETACHED, Do.NEXT)
    out.send(vdev.context, DetachPt(task.number, vdev.object, task.pasid))
    return False


def unbind(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """It cannot fail."""
    vdev = vfio.vdev(task)
    out.send(vdev.context, UnbindDevice(task.number, vdev.object))
    return False


def unbound(vfio: VfioCdev, task: Task, _out: Out) -> bool:
    """The device may be bound through another file."""
    vdev = vfio.vdev(task)
    vdev.file, vdev.context, vdev.object = 0, "", 0
    return True


def take_down(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """In the order of the kernel."""
    return vfio.next_left(task, out)


def release(vfio: VfioCdev, task: Task, _out: Out) -> bool:
    """The number may be another file's."""
    del vfio.files[task.file]
    return True


STEPS = {
    Do.CLOSE: close,
    Do.CLOSE_DEVICE: close_device,
    Do.RESET_DONE: reset_done,
    Do.NEXT: take_down,
    Do.UNBIND: unbind,
    Do.UNBOUND: unbound,
    Do.RELEASE: release,
}
