"""An allocation that fails gives its number back to the pool and returns it all the same.

The caller takes it for its own: it links it, binds it, frees it.  The core gives it to the next one
that asks.

Kernel: ioasid_alloc of drivers/iommu/ioasid.c, "[PATCH V4 09/18]": when the set's index cannot
store the number the error exit does not reset the variable that is returned.
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.pool import NONE_FREE
from protocol.effects import Out
from protocol.messages import AllocPasid, AllocPasidGot
from protocol.names import Name

SOURCE: Final = "S45; [PATCH V4 09/18] of the IOASID extensions, 27 Feb 2021"


class ReturnsTheNumber(IoasidCore):
    """No number goes out with a refusal; here one goes out instead of it."""

    __slots__ = ()

    def refuse_alloc(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        """A number had been chosen, if there was one."""
        pasid = self.number_for(alloc)
        if pasid == NONE_FREE:
            super().refuse_alloc(alloc, sender, out)
        else:
            out.send(sender, AllocPasidGot(alloc.call, pasid, incarnation=0))


CLASSES: Final[dict[str, type]] = {"core": ReturnsTheNumber}
