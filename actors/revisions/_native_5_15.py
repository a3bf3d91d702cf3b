"""Native SVA of Linux 5.15: everything goes before the PASID, and that goes with the last unbind.

The sva library counts the binds of an mm and frees its PASID with the last of them, when notifier,
MSR and private data are gone.  A process that binds again gets another PASID.

Kernel: drivers/iommu/intel/svm.c, intel_svm_unbind_mm, and drivers/iommu/iommu-sva-lib.c, 5.15.
"""

from typing import Final

from actors.iommu_driver.state import Operation
from actors.revisions._native_5_8 import FreesAtTheLastUnbind
from protocol.effects import Out

SOURCE: Final = "intel_svm_unbind_mm and iommu_sva_free_pasid, 5.15, Oct 2021"


class NativeDriver515(FreesAtTheLastUnbind):
    """In the order of the sound one."""

    __slots__ = ()

    def entry_was_gone(self, task: Operation, out: Out) -> None:
        """Not present: nothing is flushed, only drained."""
        self.begin_drain(task, out)
