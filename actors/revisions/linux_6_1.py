"""Linux 6.1 (December 2022): one allocator, no references, no notifications.

The last long-term kernel with drivers/iommu/ioasid.c, which 6.4 removed.  A number is out until
somebody frees it; sets are addresses, private data comes with alloc, and a custom allocator may
choose the numbers (ioasid_register_allocator).  What it does concurrently is held against calls
recorded on 6.1.192 (`pasidlab conform`).
"""

from typing import Final

from actors.ioasid_core.mainline import MainlineCore

SOURCE: Final = "drivers/iommu/ioasid.c, include/linux/ioasid.h of Linux 6.1"


class Linux61Core(MainlineCore):
    """Mainline's allocator as it was last."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"core": Linux61Core}
