"""Unbind knows the device, not the domain: it takes off what another mdev of it has bound.

sva_unbind_gpasid has no domain among its arguments.  So a guest whose second bind was refused with
EBUSY, and which unbinds through that mdev all the same, loses the bind of the first.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import DevState, Svm
from protocol.messages import UnbindGpasid

SOURCE: Final = "S7; intel_svm_unbind_gpasid(dev, pasid), 56722a4398a3, May 2020 to 5.15"


class UnbindsByDevice(IommuDriver):
    """Whoever asks for the device means its one svm_dev."""

    __slots__ = ()

    def may_unbind(self, svm: Svm, request: UnbindGpasid) -> bool:
        """Through which mdev it was bound is not asked."""
        sdev = svm.devices.get(self.hardware(request.device))
        mine = svm.vm == request.vm and not svm.work_queued
        return mine and sdev is not None and sdev.state is DevState.LINKED


CLASSES: Final[dict[str, type]] = {"iommu": UnbindsByDevice}
