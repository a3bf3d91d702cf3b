"""The device TLB is invalidated before the IOTLB, from which the device fills it again.

The device's next translation request is answered from the stale IOTLB line, and the device keeps
the answer for as long as nobody tells it to drop it: translated DMA never comes to the unit again.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Step
from protocol.effects import Out

SOURCE: Final = "O2; VT-d specification 5.10, 6.5.2.5: device TLB after IOTLB"


class FlushesTheDeviceFirst(IommuDriver):
    """PASID cache, device TLB, IOTLB."""

    __slots__ = ()

    def teardown_goes_on(self, task: Operation, out: Out) -> None:
        """The two change places."""
        match task.step:
            case Step.INVALIDATE_PASID_CACHE:
                self.invalidate_dev_tlb(task, out)
            case Step.INVALIDATE_DEV_TLB:
                self.invalidate_iotlb(task, out)
            case Step.INVALIDATE_IOTLB:
                self.zero_entry(task, out)
            case _:
                super().teardown_goes_on(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": FlushesTheDeviceFirst}
