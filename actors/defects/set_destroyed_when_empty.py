"""A set is destroyed when its last PASID goes, although its owner still has it.

The number of its PASIDs is all that a set is counted by.  A process that gives its only PASID back
has lost the set with it: the next allocation follows a pointer to what was freed, and gets nothing.

Kernel: ioasid_put and ioasid_free of drivers/iommu/ioasid.c, V4.  In the Intel data-centre kernel
a set waits for ioasid_set_free.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import IoasidSet

SOURCE: Final = "section 2.2; [PATCH V4 09/18] of the IOASID extensions, 27 Feb 2021"


class DestroysTheEmpty(IoasidCore):
    """Nobody needs to have asked."""

    __slots__ = ()

    def set_goes(self, ioasids: IoasidSet) -> bool:
        """Empty is enough."""
        return ioasids.count == 0


CLASSES: Final[dict[str, type]] = {"core": DestroysTheEmpty}
