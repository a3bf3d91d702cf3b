"""A vDevice that went with its device leaves its id free: the next object gets it.

Its user, who knows of nothing, destroys his vDevice, and hits the other one.
"""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Device
from protocol.effects import Out

SOURCE: Final = (
    "iommufd: Add iommufd_object_tombstone_user() helper, July 2025: what it is there for"
)


class FreesTheId(Iommufd):
    """As of any object that is destroyed."""

    __slots__ = ()

    def bury(self, device: Device, out: Out) -> None:
        """No tombstone."""
        super().bury(device, out)
        self.tombstones.clear()


CLASSES: Final[dict[str, type]] = {"iommufd": FreesTheId}
