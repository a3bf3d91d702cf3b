"""An allocation that fails frees its record twice: the allocator by RCU, its caller at once.

The number is given back by the allocator's own free, which frees the record when the readers are
through.  The error exit behind it frees the same record once more.

Kernel: ioasid_alloc of drivers/iommu/ioasid.c, "[PATCH V4 09/18]": the exit for a set whose index
cannot store the number.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.pool import NONE_FREE
from protocol.effects import Out
from protocol.facts import MemoryAllocated, MemoryFreed
from protocol.messages import AllocPasid
from protocol.names import Name

SOURCE: Final = "S45; [PATCH V4 09/18] of the IOASID extensions, 27 Feb 2021"


class FreesTheRecordTwice(IoasidCore):
    """Two owners of one error exit."""

    __slots__ = ()

    def refuse_alloc(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        """A number had been chosen, if there was one, and a record had been made for it."""
        pasid = self.number_for(alloc)
        if pasid != NONE_FREE:
            out.record(MemoryAllocated("ioasid", f"ioasid{pasid}"))
            out.record(MemoryFreed("ioasid", f"ioasid{pasid}"))
            out.record(MemoryFreed("ioasid", f"ioasid{pasid}"))
        super().refuse_alloc(alloc, sender, out)


CLASSES: Final[dict[str, type]] = {"core": FreesTheRecordTwice}
