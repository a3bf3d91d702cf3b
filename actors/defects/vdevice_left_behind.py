"""Who unbinds a device does not look for its vDevice: a vIOMMU keeps a device that is gone.

A flush or an event for that id of the guest goes by a pointer to what has been freed.
"""

from typing import Final

from actors.iommufd import Iommufd
from actors.iommufd.state import Device
from protocol.effects import Out

SOURCE: Final = "iommufd: Destroy vdevice on idevice destroy, July 2025, before Linux 6.17"


class LeavesTheVdevice(Iommufd):
    """It goes when its user destroys it."""

    __slots__ = ()

    def bury(self, device: Device, out: Out) -> None:
        """Nothing is done."""


CLASSES: Final[dict[str, type]] = {"iommufd": LeavesTheVdevice}
