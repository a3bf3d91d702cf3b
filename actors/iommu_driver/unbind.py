"""Unbind a PASID from one device.

It always succeeds.  What is not bound, or is being cleaned up already after FREE, is no error: the
guest's free may have come first.

Kernel: intel_svm_unbind_gpasid in drivers/iommu/intel/svm.c, V4 14/18.  §4.3 (mends S27, N10).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver import lock
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import DevState, Svm, Unbind
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.messages import UnbindGpasid
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_unbind_gpasid(driver: IommuDriver, request: UnbindGpasid, sender: Name, out: Out) -> None:
    """Nothing is looked at before the mutex is held."""
    device = driver.hardware(request.device)
    unbind = Unbind(smallest_free(driver.tasks), request.pasid, device, sender, request)
    insert(driver.tasks, unbind.number, unbind)
    lock.take(driver, unbind, out)


def unbind_device(driver: IommuDriver, task: Unbind, out: Out) -> None:
    """The device goes, and the svm with its last one."""
    svm = look_up(driver, task.pasid, out)
    if svm is None or not driver.may_unbind(svm, task.request):
        driver.finish(task, out)  # Nothing to do is success.
        return
    driver.unlink(task, out)


def may_unbind(driver: IommuDriver, svm: Svm, request: UnbindGpasid) -> bool:
    """Bound here, for this VM, and not already the work's.

    A device whose drain has let go of the mutex is not bound any more, and what was bound through
    one mdev is not unbound through another.
    """
    if svm.vm != request.vm or svm.work_queued:
        return False
    sdev = svm.devices.get(driver.hardware(request.device))
    bound = sdev is not None and sdev.state is DevState.LINKED
    return sdev is not None and bound and request.device in sdev.through
