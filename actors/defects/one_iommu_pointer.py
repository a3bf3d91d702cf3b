"""The svm has one IOMMU pointer: all its flushes go to the unit of its first device.

Two devices behind different units are bound to one PASID: the caches of the second unit, and of the
device behind it, keep their lines when it is torn down.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Bind, Svm
from protocol.effects import Out
from protocol.names import Name, Pasid

SOURCE: Final = (
    "S27; iommu/vt-d: Move intel_iommu info from struct intel_svm, 9ad9f45b3b91, Jan 2021"
)


@dataclass(slots=True)
class FlushesTheFirstUnit(IommuDriver):
    """svm->iommu, where it should be sdev->iommu."""

    pointers: dict[Pasid, Name] = field(default_factory=dict)

    def link_device(self, bind: Bind, out: Out) -> None:
        """The first device sets it."""
        if bind.first:
            self.pointers[bind.pasid] = self.units[bind.device]
        super(FlushesTheFirstUnit, self).link_device(bind, out)

    def flush_unit_of(self, svm: Svm, device: Name) -> Name:
        """Whatever device it is about."""
        return self.pointers.get(svm.pasid, self.units[device])


CLASSES: Final[dict[str, type]] = {"iommu": FlushesTheFirstUnit}
