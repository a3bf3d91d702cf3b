"""A device is back in service right after its reset, with old page requests on their way.

The reset cancels what the device is owed, and it may use the numbers of its page groups again at
once.  An answer, or a request in the ring, that is older than the reset then meets a younger group
of the same number.  Drain and discard come first.
"""

from typing import Final

from actors.iommu_driver import IommuDriver
from protocol.effects import Out
from protocol.messages import ReturnToService
from protocol.names import Name

SOURCE: Final = "O18; VT-d specification 5.10, 7.9"


class ReturnsAtOnce(IommuDriver):
    """A reset is the device's own affair."""

    __slots__ = ()

    def on_device_reset(self, device: Name, out: Out) -> None:
        """The function is as new."""
        out.send(device, ReturnToService())


CLASSES: Final[dict[str, type]] = {"iommu": ReturnsAtOnce}
