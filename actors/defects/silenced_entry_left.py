"""An unbind that finds no entry, for the mm was released first, does nothing at all.

Page requests that had come in before the release are not drained, and FPD stays set for whoever
has the PASID next.
"""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Do, Task

SOURCE: Final = "cf08ca81d08a, 2024; fixes c43e1ccdebf2"


class LeavesTheSilencedEntry(IntelIommu):
    """Not present is not there."""

    __slots__ = ()

    def silenced_steps(self, task: Task) -> list[Do]:
        """None."""
        return []


CLASSES: Final[dict[str, type]] = {"intel_iommu": LeavesTheSilencedEntry}
