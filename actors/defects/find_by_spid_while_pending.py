"""The look-up by SPID hands out a reference on a PASID that its owner has freed already.

`ioasid_get` tests for FREE_PENDING, but `ioasid_find_by_spid` with `get` does not: a back door.  A
guest that programs its WQ or interrupt store again while its PASID waits to be reclaimed pins the
number, for as long as it likes.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life

SOURCE: Final = "S24; ioasid_find_by_spid, [PATCH V4 09/18] iommu/ioasid, 27 Feb 2021"


class FindsThePending(IoasidCore):
    """The state is not looked at."""

    __slots__ = ()

    def may_find(self, life: Life) -> bool:
        """Any life is as good as another."""
        return True


CLASSES: Final[dict[str, type]] = {"core": FindsThePending}
