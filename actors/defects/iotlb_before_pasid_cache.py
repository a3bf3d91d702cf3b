"""The IOTLB is invalidated before the PASID cache, which then fills it again.

Each cache is filled from the one behind it, so they are emptied from the inside out.  Between the
two invalidations a translation goes by the stale PASID-cache line and leaves an IOTLB line that
nobody flushes any more.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step
from protocol.effects import Out

SOURCE: Final = "O2; VT-d specification 5.10, 6.5.2.2 and table 28"


class FlushesTheIotlbFirst(IommuDriver):
    """IOTLB, PASID cache, device TLB."""

    __slots__ = ()

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        """The two change places."""
        match task.step:
            case Step.CLEAR_PRESENT:
                self.invalidate_iotlb(task, out)
            case Step.INVALIDATE_IOTLB:
                self.invalidate_pasid_cache(task, out)
            case Step.INVALIDATE_PASID_CACHE:
                self.invalidate_dev_tlb(task, out)
            case _:
                super().teardown_goes_on(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": FlushesTheIotlbFirst}
