"""The handle in the group's table, and a look-up that says why not (May 2024): ENOENT or EBUSY.

Version 6 of the series that removed the list of SVA handles, and Linux since 6.11: a caller goes on
after ENOENT, so it must not take another error for a free slot; and a slot without a handle says
ENOENT, too.
"""

from typing import Final

from actors.revisions._intel_6_12 import Linux612Driver
from actors.revisions.linux_6_12 import Linux612Core

SOURCE: Final = "[PATCH v6 02/10] iommu: Remove sva handle list, 27 May 2024; 3e7f57d1ef3f"
DATE: Final = "2024-05-27"


class ErrnoSlotCore(Linux612Core):
    """As 6.12 is."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"iommu_core": ErrnoSlotCore, "intel_iommu": Linux612Driver}
