"""The svm has one IOMMU pointer, so flushes for all of its devices go to the first one's unit.

Two devices behind different units are bound to one PASID: the caches of the second unit, and of the
device behind it, keep their lines when it is torn down.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Svm
from protocol.names import Name

SOURCE: Final = (
    "S27; iommu/vt-d: Move intel_iommu info from struct intel_svm, 9ad9f45b3b91, Jan 2021"
)


class FlushesTheFirstUnit(IommuDriver):
    """svm->iommu, where it should be sdev->iommu."""

    __slots__ = ()

    def flush_unit_of(self, svm: Svm, device: Name) -> Name:
        """The unit of the first device that is bound."""
        return self.units[next(iter(svm.devices))]


CLASSES: Final[dict[str, type]] = {"iommu": FlushesTheFirstUnit}
