"""A reset within a reset is not counted: the end of the inner one lets the device in again."""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Dev

SOURCE: Final = "modern bug 26: 0d5fd7a9323c, fixes c279e83953d9 (2026)"


class CountsNoResets(IommuCore):
    """Blocked or not blocked."""

    __slots__ = ()

    def counts(self, device: Dev, by: int) -> bool:
        """The first prepare blocks, the first done ends it."""
        return device.blocked is (by < 0)


CLASSES: Final[dict[str, type]] = {"iommu_core": CountsNoResets}
