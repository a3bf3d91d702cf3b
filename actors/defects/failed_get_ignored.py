"""A bind goes on without a reference of its own when the core refuses it one.

V4's bind calls `ioasid_get` and does not look at the answer.  If the PASID was freed since VFIO
checked it, the driver works on a PASID that nothing of its own keeps: VFIO's put ends the life,
whatever the driver has set up by then.

Kernel: intel_svm_bind_gpasid in drivers/iommu/intel/svm.c, "[PATCH V4 14/18] iommu/vt-d: Listen to
IOASID notifications".
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Step
from protocol.effects import Out
from protocol.errors import Errno

SOURCE: Final = "S10a; [PATCH V4 14/18], 27 Feb 2021, intel_svm_bind_gpasid; rules N7 and R9"


class IgnoresAFailedGet(IommuDriver):
    """The svm is made whether or not the reference was granted."""

    __slots__ = ()

    def bind_refused(self, bind: Bind, errno: Errno, out: Out) -> None:
        """A refused get is taken for a granted one."""
        if bind.step is Step.GET_PASID:
            self.make_svm(bind, out)
        else:
            super().bind_refused(bind, errno, out)


CLASSES: Final[dict[str, type]] = {"iommu": IgnoresAFailedGet}
