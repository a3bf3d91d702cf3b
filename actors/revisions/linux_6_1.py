"""Linux 6.1 (December 2022): its allocator, with private data, getters, custom allocators.

The last long-term kernel with drivers/iommu/ioasid.c; 6.4 has none.  Nothing of V4 came into it:
whoever frees a number frees it, a set is an address to compare, and a custom allocator may choose
the numbers.  Its users are the sound ones here.  What it does concurrently is held against calls
recorded on 6.1.192 (`pasidlab conform`).
"""

from typing import Final

from actors.ioasid_core.mainline import MainlineCore
from actors.sva.library import SvaLibrary

SOURCE: Final = "drivers/iommu/{ioasid.c, iommu-sva-lib.c}, include/linux/ioasid.h of Linux 6.1"
DATE: Final = "2022-12-11"


class Linux61Core(MainlineCore):
    """Mainline's allocator as it was last."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"core": Linux61Core, "sva": SvaLibrary}
