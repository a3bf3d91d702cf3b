"""The caches are flushed while the entry is still present, and are filled from it again.

A flush before the entry is cleared empties caches that any translation refills; clearing P
afterwards does not reach them.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step
from protocol.effects import Out

SOURCE: Final = "O2; Linux 5.15 intel_pasid_tear_down_entry, whose first act is to clear the entry"


class FlushesBeforeItClears(IommuDriver):
    """PASID cache, IOTLB, device TLB, and only then P."""

    __slots__ = ()

    def clear_present(self, task: Operation, out: Out) -> None:
        """Its turn comes later."""
        self.invalidate_pasid_cache(task, out)

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        """After the flushes."""
        match task.step:
            case Step.INVALIDATE_DEV_TLB:
                super().clear_present(task, out)
            case Step.CLEAR_PRESENT:
                self.zero_entry(task, out)
            case _:
                super().teardown_goes_on(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": FlushesBeforeItClears}
