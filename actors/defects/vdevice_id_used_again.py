"""A vDevice that went with its device leaves its id free: the next object gets it.

Its user, who knows of nothing, destroys his vDevice, and hits the other one.
"""

from typing import Final

from actors.iommufd import Iommufd

SOURCE: Final = (
    "iommufd: Add iommufd_object_tombstone_user() helper, July 2025: what it is there for"
)


class FreesTheId(Iommufd):
    """As of any object that is destroyed."""

    __slots__ = ()

    def mark(self, at: int) -> None:
        """No tombstone."""


CLASSES: Final[dict[str, type]] = {"iommufd": FreesTheId}
