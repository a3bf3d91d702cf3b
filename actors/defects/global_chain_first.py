"""FREE goes down the whole global chain before the set's chain, whatever the priorities say.

So the IOMMU driver is told first, and its work is queued before anybody keeps the vCPUs out or
drains the queue.  Nothing is corrupted, but what still runs faults: "churn".

Kernel: ioasid_notify of drivers/iommu/ioasid.c in v3 and V4, with KVM and the VDCM of the Intel
data-centre kernel; the document wants CPU, then DEVICE, then IOMMU.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block

SOURCE: Final = "S19; V4 Documentation/driver-api/ioasid.rst and V4 09/18, 27 Feb 2021"


class CallsTheGlobalChainFirst(IoasidCore):
    """Priorities count within a chain only."""

    __slots__ = ()

    def rank(self, block: Block) -> tuple[int, ...]:
        """A block without a token is on the global chain, and only FREE is told there."""
        return (int(block.token != ""), *super().rank(block))


CLASSES: Final[dict[str, type]] = {"core": CallsTheGlobalChainFirst}
