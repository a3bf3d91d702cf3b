"""Linux 7.3 (2026): the IOMMU core that the base is written after; AMD and SMMUv3 do not drain.

What it does concurrently is held against calls recorded on 7.3.4 (`pasidlab conform`); the date is
that of the recording.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.revisions._units_7_3 import Linux73Amd, Linux73Smmu

SOURCE: Final = "drivers/iommu/iommu.c, include/linux/iommu.h of Linux 7.3"
DATE: Final = "2026-11-21"


class Linux73Core(IommuCore):
    """As it is."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {
    "iommu_core": Linux73Core,
    "amd_iommu": Linux73Amd,
    "arm_smmu_v3": Linux73Smmu,
}
