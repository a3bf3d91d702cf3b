"""An unbind that comes after the free is refused, although there is nothing left to undo.

Unbind is defined to succeed always.  In V4 its ownership check is a get, and a get of a PASID that
is being cleaned, or that is gone, fails: a guest that frees first sees EBUSY or ENOENT, or success,
by the speed of the host's cleanup.

Kernel: drivers/vfio/vfio_iommu_type1.c with ioasid_get_if_owned, "[PATCH V4 11/18]".
"""

from typing import Final

from actors.vfio import Vfio
from protocol.errors import Errno

SOURCE: Final = "S11; [PATCH V4 11/18], 27 Feb 2021, ioasid_get_if_owned, against VFIO v7"


class RefusesALateUnbind(Vfio):
    """What the check says is what the guest is told."""

    __slots__ = ()

    def errno_of_unbind(self, failed: Errno) -> Errno | None:
        """No refusal means that there is nothing to do."""
        return failed


CLASSES: Final[dict[str, type]] = {"vfio": RefusesALateUnbind}
