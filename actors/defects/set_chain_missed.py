"""FREE reaches the global chain only: the flag of the set's chain is not understood.

The driver hears it and cleans up, and its UNBIND makes KVM and shared queues do so.  A dedicated
queue or an interrupt entry that the guest has programmed is told by FREE alone.

Kernel: ioasid_notify of drivers/iommu/ioasid.c, v3 10/14, 28 Sep 2020: the mask of known flags
names IOASID_NOTIFY_FLAG_ALL twice and IOASID_NOTIFY_FLAG_SET not at all.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block, Transition

SOURCE: Final = "S17; v3 10/14 of the IOASID extensions, 28 Sep 2020"


class MissesTheSet(IoasidCore):
    """Both chains are meant, one is called."""

    __slots__ = ()

    def hears(self, block: Block, transition: Transition, number: int) -> bool:
        """A block for an mm is on the set's chain."""
        missed = transition is Transition.FREE and block.token != ""
        return not missed and super().hears(block, transition, number)


CLASSES: Final[dict[str, type]] = {"core": MissesTheSet}
