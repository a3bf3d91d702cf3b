"""One unbind too many counts for the other aux domain, and its bind is torn down.

Binds are counted per (device, PASID), unbinds do not say for which domain: when one mdev ends, its
own unbind and that of its termination take the count from two to none, under the live second.
"""

from typing import Final

from actors.defects.aux_binds_counted import CountsAuxBinds
from actors.defects.unbind_by_device_alone import UnbindsByDevice

SOURCE: Final = "S7 run 2; [PATCH v3 7/7] iommu/vt-d: Disable multiple GPASID-dev bind, 1 Jul 2020"


class CountsUnbindsOfOthers(CountsAuxBinds, UnbindsByDevice):
    """Both: a count, and nobody's name in it."""

    __slots__ = ()


CLASSES: Final[dict[str, type]] = {"iommu": CountsUnbindsOfOthers}
