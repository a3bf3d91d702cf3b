"""A release that finds P clear is through, although the detach that cleared it has not flushed yet.

The mm frees its pages, and is on no list of notifiers any more; the IOTLB still finds them.
Derived from how the two are described; nobody has reported it.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task

SOURCE: Final = "derived: Linux 7.3, intel_mm_release and blocking_domain_set_dev_pasid"


class TearsDownUnlocked(IntelIommu):
    """Each looks at the entry for itself."""

    __slots__ = ()

    def tear_down_lock(self, task: Task) -> str:
        """None."""
        return ""


CLASSES: Final[dict[str, type]] = {"intel_iommu": TearsDownUnlocked}
