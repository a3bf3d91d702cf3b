"""Page tables of the kernel are freed and used again without a word to any IOMMU.

An IOMMU that has walked an mm's table has the kernel's part of it cached, and walks on into what
the page has become, in which it sets accessed bits.
"""

from typing import Final

from actors.sva import Sva
from protocol.effects import Out
from protocol.facts.accelerators import KvaFlushBegun, KvaFlushEnded
from protocol.messages.address_spaces import InvalidateKva
from protocol.messages.common import Done
from protocol.names import Name

SOURCE: Final = "iommu/sva: invalidate stale IOTLB entries for kernel address space, e37d5a2d60a3"


class FreesAtOnce(Sva):
    """CPUs have been told."""

    __slots__ = ()

    def on_invalidate_kva(self, request: InvalidateKva, sender: Name, out: Out) -> None:
        """Nobody else is."""
        out.record(KvaFlushBegun())
        out.record(KvaFlushEnded())
        out.send(sender, Done(request.call))


CLASSES: Final[dict[str, type]] = {"sva": FreesAtOnce}
