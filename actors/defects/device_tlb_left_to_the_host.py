"""The device TLB is not flushed, as under an emulated unit, where the host would do it.

A driver under an emulated unit leaves out the device-TLB invalidation: whoever emulates the unit
sees the others and does it.  On hardware nobody does.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation
from protocol.effects import Out

SOURCE: Final = "O2; Linux 5.15 intel_pasid_tear_down_entry, its test of cap_caching_mode"


class LeavesTheDeviceTlb(IommuDriver):
    """PASID cache and IOTLB are all that is flushed."""

    __slots__ = ()

    def invalidate_dev_tlb(self, task: Operation, out: Out) -> None:
        """Somebody else's affair."""
        self.zero_entry(task, out)


CLASSES: Final[dict[str, type]] = {"iommu": LeavesTheDeviceTlb}
