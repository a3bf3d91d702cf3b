"""A look-up by guest PASID hands out references on a PASID that its owner has freed.

Get refuses a FREE_PENDING PASID, but `ioasid_find_by_spid` with get=true counts without a look at
the state.  So a guest that programs a queue or an interrupt after its free has the hardware filled
again behind the cleanup, and keeps the number from the pool for as long as it likes.

Kernel: ioasid_find_by_spid of drivers/iommu/ioasid.c, "[PATCH V4 09/18]"; its caller in DCP is the
VDCM.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life

SOURCE: Final = "S24; [PATCH V4 09/18], 27 Feb 2021, ioasid_find_by_spid; rule N3"


class FindsThePending(IoasidCore):
    """One of the two ways to a reference tests the state, the other does not."""

    __slots__ = ()

    def may_find(self, life: Life) -> bool:
        """Whatever stands behind the SPID."""
        return True


CLASSES: Final[dict[str, type]] = {"core": FindsThePending}
