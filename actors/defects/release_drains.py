"""The release of an mm drains page requests, with a spinlock held and in a callback: it sleeps."""

from typing import Final

from actors.intel_iommu import IntelIommu
from actors.intel_iommu.state import Task, What

SOURCE: Final = "Avoid draining PRQ in sva mm release path, 2024; fixes c43e1ccdebf2"


class DrainsInTheRelease(IntelIommu):
    """A tear-down is a tear-down."""

    __slots__ = ()

    def after_zero(self, task: Task) -> list[What]:
        """Whoever asks for it."""
        return [What.DRAIN, What.TORN_DOWN]


CLASSES: Final[dict[str, type]] = {"intel_iommu": DrainsInTheRelease}
