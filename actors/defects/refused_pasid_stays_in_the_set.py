"""An attach of a PASID is refused, and the PASID stays in VFIO's set of the device.

The user's next attach is taken for a replace and refused for ever; and the close of the file
detaches what a sibling of the device has for that PASID, which iommufd does not check.
"""

from typing import Final

from actors.vfio_cdev import VfioCdev
from actors.vfio_cdev.state import Task

SOURCE: Final = "derived: vfio_iommufd_physical_pasid_attach_ioas of Linux 7.3, its ida_free"


class KeepsTheRefused(VfioCdev):
    """The set was right before it was known whether it would be."""

    __slots__ = ()

    def take_back(self, task: Task) -> None:
        """The error is returned, and that is all."""


CLASSES: Final[dict[str, type]] = {"vfio_cdev": KeepsTheRefused}
