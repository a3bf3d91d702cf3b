"""A replace that fails takes the PASID from the devices that had the new domain already.

As a failed attach does, for which there is nothing to go back to: the caller has lost what it had,
on some of its devices.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.lock import away
from actors.iommu_core.state import DriverCall

SOURCE: Final = "__iommu_set_group_pasid of Linux 7.3, which is told the old domain"


class BlocksInstead(IommuCore):
    """One way back for both."""

    __slots__ = ()

    def back(self, call: DriverCall) -> DriverCall:
        """The blocking domain, whatever was there."""
        return away(super().back(call))


CLASSES: Final[dict[str, type]] = {"iommu_core": BlocksInstead}
