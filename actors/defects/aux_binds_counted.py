"""A second aux domain's bind of the same (device, PASID) succeeds and is only counted.

Two mdevs of a device have two second levels, the PASID's entry has room for one: the second bind
changes nothing but a count, and what the guest submits through the second mdev is translated by the
second level of the first.  Mended by "Disable multiple GPASID-dev bind": EBUSY.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.domains import record_bound, record_unbound
from actors.iommu_driver.state import Bind, DevState, Svm, Unbind
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import BindGpasid

SOURCE: Final = "S7 run 1; [PATCH v3 7/7] iommu/vt-d: Disable multiple GPASID-dev bind, 1 Jul 2020"


class CountsAuxBinds(IommuDriver):
    """sdev->users, where the device has the aux feature."""

    __slots__ = ()

    def join_refusal(self, svm: Svm, request: BindGpasid) -> Errno | None:
        """What is bound through an aux domain may be bound again."""
        errno = super().join_refusal(svm, request)
        sdev = svm.devices.get(self.hardware(request.device))
        linked = sdev is not None and sdev.state is DevState.LINKED and not svm.work_queued
        counts = errno is Errno.EBUSY and linked and request.device in self.parents
        return None if counts else errno

    def make_sdev(self, bind: Bind, out: Out) -> None:
        """One more user of the svm_dev that is there."""
        svm = self.svms[bind.pasid]
        sdev = svm.devices.get(bind.device)
        if sdev is None:
            super().make_sdev(bind, out)
            return
        sdev.through.append(bind.request.device)
        record_bound(self, svm, bind.request.device, out)
        self.finish(bind, out)

    def unbind_device(self, task: Unbind, out: Out) -> None:
        """One user less; the entry goes with the last."""
        svm = look_up(self, task.pasid, out)
        sdev = None if svm is None else svm.devices.get(task.device)
        if svm is None or sdev is None or len(sdev.through) == 1:
            super().unbind_device(task, out)
            return
        if self.may_unbind(svm, task.request):
            asked = task.request.device
            sdev.through.remove(asked if asked in sdev.through else sdev.through[-1])
            record_unbound(self, svm, asked, out)
        self.finish(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": CountsAuxBinds}
