"""A first bind that fails frees its svm and never puts the reference that it took for it.

The error exit undoes the private data and the memory.  The PASID cannot be bound by this svm any
more, and after its free it stays FREE_PENDING for ever.

Kernel: the error exit of intel_svm_bind_gpasid in "[PATCH V4 14/18] iommu/vt-d: Listen to IOASID
notifications" and in the Intel data-centre kernel: ioasid_get has no ioasid_put there.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.ids import forget
from actors.iommu_driver.state import Bind, Operation
from protocol.effects import Out
from protocol.facts import MemoryFreed, SvmFreed

SOURCE: Final = "S9; [PATCH V4 14/18] iommu/vt-d: Listen to IOASID notifications, 27 Feb 2021"


class ForgetsItsReference(IommuDriver):
    """The last step of undoing is missing."""

    __slots__ = ()

    def put_reference(self, task: Operation, out: Out) -> None:
        """Freed, not put."""
        if not isinstance(task, Bind):
            super().put_reference(task, out)
            return
        svm = forget(self, task.pasid)
        out.record(SvmFreed(svm.pasid, svm.incarnation, svm.id))
        out.record(MemoryFreed("svm", svm.object()))
        self.finish(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": ForgetsItsReference}
