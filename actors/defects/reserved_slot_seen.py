"""A look-up returns the handle of an attach that is still under way.

A page request is so routed to somebody who is told a moment later that his attach has failed.
"""

from typing import Final

from actors.iommu_core import IommuCore
from actors.iommu_core.state import Slot
from protocol.domains import NULL

SOURCE: Final = "Kevin Tian, 7 Jun 2024, on [PATCH v6 02/10] iommu: Remove sva handle list"


class ShowsReservations(IommuCore):
    """The handle is in the slot from the beginning, as up to 6.12."""

    __slots__ = ()

    def visible(self, slot: Slot) -> bool:
        """Whatever has become of it."""
        return slot.handle != NULL


CLASSES: Final[dict[str, type]] = {"iommu_core": ShowsReservations}
