"""Native SVA of Linux 5.11: drained and with IA32_PASID, but the PASID still goes first.

`ioasid_put` at the last unbind comes before the mm notifier is off the list and before the MSR is
disabled: for a moment a CPU can submit with a number that is back in the pool.

Kernel: drivers/iommu/intel/svm.c, intel_svm_unbind_mm, 5.11; load_pasid since 5.10.
"""

from typing import ClassVar, Final

from actors.iommu_driver.native_state import Hold
from actors.iommu_driver.state import Operation
from actors.revisions._native_5_8 import FreesAtTheLastUnbind
from protocol.effects import Out

SOURCE: Final = "intel_svm_unbind_mm, 5.11; ioasid references: cb4789b0d19f, Nov 2020"


class NativeDriver511(FreesAtTheLastUnbind):
    """The PASID, then who may still use it."""

    __slots__ = ()
    MM_END: ClassVar[tuple[Hold, ...]] = (
        Hold.PASID,
        Hold.NOTIFIER,
        Hold.MSR,
        Hold.DATA,
        Hold.PIN,
    )

    def entry_was_gone(self, task: Operation, out: Out) -> None:
        """Not present: nothing is flushed, only drained."""
        self.begin_drain(task, out)
