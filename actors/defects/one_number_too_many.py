"""The range that a PASID is taken from ends with the number of PASIDs, not with the last of them.

The device cuts the number off, and what it sends is somebody else's, or DMA without PASID.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Dev
from protocol.names import PASID_MIN

SOURCE: Final = "iommu_alloc_global_pasid of Linux 7.3, its max_pasids - 1"


class CountsOneMore(IommuCore):
    """A limit for a last number."""

    __slots__ = ()

    def numbers_for(self, device: Dev) -> range:
        """max_pasids itself is in it."""
        return range(PASID_MIN, device.max_pasids + 1)


CLASSES: Final[dict[str, type]] = {"iommu_core": CountsOneMore}
