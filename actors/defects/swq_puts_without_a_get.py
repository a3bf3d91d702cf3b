"""After FREE the VDCM puts a reference for its shared queue that it never took.

A dedicated queue takes a reference when it is programmed; a shared one is not programmed and takes
none.  The work after FREE puts for both.  The core only counts, so the put takes the reference of
somebody else, and the PASID can be reclaimed under whoever that was.

Kernel: the FREE handler and its work in drivers/vfio/mdev/idxd/mdev.c, Intel data-centre kernel
("DCP"); ioasid_put of drivers/iommu/ioasid.c, "[PATCH V4 09/18]".
"""

from typing import Final

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life
from actors.vdcm import Vdcm
from actors.vdcm.slots import make
from actors.vdcm.state import Kind, Slot, key_of
from protocol.messages import NotifyFree, WqMode
from protocol.names import Name

SOURCE: Final = "S25c; Intel data-centre kernel, drivers/vfio/mdev/idxd/mdev.c; rules N6 and N7"


class OnlyCounts(IoasidCore):
    """There is a number of references, and no list of who has them."""

    __slots__ = ()

    def entry_to_put(self, life: Life, holder: str) -> str | None:
        """Who has none takes from the first who has."""
        return super().entry_to_put(life, holder) or next(iter(life.ledger), None)


class PutsForItsSharedQueue(Vdcm):
    """BIND gives no right that would be counted; FREE has a work for every enabled queue."""

    __slots__ = ()

    def hears(self, vm: Name) -> bool:
        """BIND is nothing to a queue whose PASID comes with each command."""
        return False

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """The work needs something to clear: a slot that has taken nothing."""
        queue = self.slots.get(key_of(free.token, Kind.WQ))
        if self.mode is WqMode.SHARED and queue is not None and queue.in_use:
            slot = self.slots[make(self, free.token, Kind.SWQ, free.pasid)]
            slot.pasid, slot.incarnation, slot.in_use = free.pasid, free.incarnation, True
        return super().slots_freed(free)


CLASSES: Final[dict[str, type]] = {"core": OnlyCounts, "vdcm": PutsForItsSharedQueue}
