"""What a domain keeps of the mm, and its notifier, hold no reference on the struct.

The driver's part of the mm (an ASID that is pinned) is used when the domain goes, and the mm may
have gone before.
"""

from typing import Final

from actors.defects.pasid_dropped_in_mmput import LooksAtNoCount
from actors.process.sva_process import SvaProcess
from protocol.effects import Out
from protocol.names import Name

SOURCE: Final = "iommu/arm-smmu-v3-sva: Fix mm use-after-free, cbd23144f766, CVE-2022-49426"


class HoldsNothing(LooksAtNoCount):
    """The mm is known by its address."""

    __slots__ = ()

    def hold(self, mm: Name, domain: Name, out: Out) -> None:
        """Nothing keeps it."""

    def let_go(self, mm: Name, domain: Name, out: Out) -> None:
        """Nothing to be given up."""


class NotifierHoldsNothing(SvaProcess):
    """On the list, and no more."""

    __slots__ = ()

    def hold_notifier(self, mm: Name, out: Out) -> None:
        """Nothing keeps it."""

    def drop_notifier(self, mm: Name, out: Out) -> None:
        """Nothing to be given up."""


CLASSES: Final[dict[str, type]] = {"sva": HoldsNothing, "sva_process": NotifierHoldsNothing}
