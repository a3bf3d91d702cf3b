"""A bind succeeds although its guest PASID already stands for another host PASID.

V4's bind does not look at what `ioasid_attach_spid` answers.  When the guest's number is taken the
core says EINVAL and sends no BIND, and the bind reports success: the driver has nested the new
table, KVM still translates the number to the old PASID or to none, and what the guest submits goes
elsewhere or nowhere.

Kernel: intel_svm_bind_gpasid in drivers/iommu/intel/svm.c, "[PATCH V4 14/18] iommu/vt-d: Listen to
IOASID notifications".
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Step
from protocol.effects import Out
from protocol.errors import Errno

SOURCE: Final = "S40; [PATCH V4 14/18], 27 Feb 2021, intel_svm_bind_gpasid; rule O8"


class IgnoresAFailedAttach(IommuDriver):
    """Only what the core answers to AttachSpid is not looked at."""

    __slots__ = ()

    def bind_refused(self, bind: Bind, errno: Errno, out: Out) -> None:
        """ENOMEM: BIND did go out, so UNBIND is owed in the end."""
        if bind.step is Step.ATTACH_SPID:
            self.svms[bind.pasid].has_spid = errno is Errno.ENOMEM
            self.finish(bind, out)
        else:
            super().bind_refused(bind, errno, out)


CLASSES: Final[dict[str, type]] = {"iommu": IgnoresAFailedAttach}
