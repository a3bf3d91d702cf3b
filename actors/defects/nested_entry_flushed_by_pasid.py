"""A nested entry is torn down with the flush of first levels: lines of its second level stay."""

from typing import Final

from actors.intel_iommu import IntelIommu

SOURCE: Final = "8798d3641119, 2021; fixes 2cd1311a2667"


class FlushesByPasid(IntelIommu):
    """Every entry has a first level."""

    __slots__ = ()

    def flushed_by_pasid(self, levels: str) -> bool:
        """And nothing else."""
        return True


CLASSES: Final[dict[str, type]] = {"intel_iommu": FlushesByPasid}
