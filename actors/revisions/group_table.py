"""One PASID table for each group (March 2023): what is attached through one device is all devices'.

As the core has had it since 16603704559c, and has it today: an attach programs every device of the
group, or none.
"""

from typing import Final

from actors.iommu_core import IommuCore

SOURCE: Final = "the question of Kevin Tian's mail of 7 Mar 2023; 16603704559c, b3f6fcd8404f"
DATE: Final = "2023-03-07"


class GroupTableCore(IommuCore):
    """As the base is."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"iommu_core": GroupTableCore}
