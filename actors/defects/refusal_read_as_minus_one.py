"""A refused PASID comes back as an int: INVALID_IOASID is -1, and that is another errno.

PASID_REQUEST answers with the number itself, so numbers and errors share one int.  A u32 of all
ones, passed on unlooked at, tells the guest EPERM where there was no room.
"""

from typing import Final

from actors.vfio import Vfio
from protocol.errors import Errno

SOURCE: Final = "S30; A. Williamson on VFIO_IOMMU_PASID_REQUEST: a u32 does not fit an int"


class ReturnsAnInt(Vfio):
    """return ioasid_alloc(...)."""

    __slots__ = ()

    def errno_of_alloc(self, failed: Errno) -> Errno:
        """Errno 1 is EPERM."""
        return Errno.EPERM


CLASSES: Final[dict[str, type]] = {"vfio": ReturnsAnInt}
