"""Linux 6.1 (December 2022): its allocator, with private data, getters, custom allocators.

The last long-term kernel with drivers/iommu/ioasid.c; 6.4 has none.  Nothing of V4 came into it,
and the references of 5.11 are gone again: whoever frees a number frees it at once, nobody is told,
and a set is an address to compare.  A custom allocator may choose the numbers.

What it does concurrently is held against calls recorded on 6.1.192 (`pasidlab conform`).  Its own
users were those of linux-5.18; guests, KVM and VDCM are the sound ones here: what the table of
`compare` says of it is what such users would meet on this allocator.
"""

from typing import Final

from actors.ioasid_core.mainline import MainlineCore
from actors.revisions.linux_5_8 import CountsNothing
from actors.sva.sva_lib import SvaLibrary

SOURCE: Final = "drivers/iommu/{ioasid.c, iommu-sva-lib.c}, include/linux/ioasid.h of Linux 6.1"
DATE: Final = "2022-12-11"


class Linux61Core(MainlineCore, CountsNothing):
    """Mainline's allocator as it was last."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"core": Linux61Core, "sva": SvaLibrary}
