"""The work that drains a shared queue returns at once, without a put, if the queue is disabled.

The work looks whether the guest's queue is enabled before it does anything.  A guest that disables
its queue before the work has its turn leaves the reference with nobody to put it, and the PASID
FREE_PENDING for ever.

Kernel: the work of the FREE handler in drivers/vfio/mdev/idxd/mdev.c, Intel data-centre kernel
("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm
from actors.vdcm.state import Clear, Dying, Kind, Why, key_of

SOURCE: Final = "S25e; Intel data-centre kernel, drivers/vfio/mdev/idxd/mdev.c; rules N6 and L1"


class SkipsADisabledQueue(Vdcm):
    """What was to be drained is not looked at, only the queue."""

    __slots__ = ()

    def is_due(self, task: Clear) -> bool:
        """A right to submit outlives the queue that it was for."""
        if not super().is_due(task):
            return False
        slot = self.slots[task.slots[0]]
        queue = self.slots.get(key_of(task.vm, Kind.WQ))
        enabled = queue is not None and queue.in_use
        if task.why is not Why.WORK or slot.kind is not Kind.SWQ or enabled:
            return True
        slot.dying = Dying.NO  # And nobody queues the work again.
        return False


CLASSES: Final[dict[str, type]] = {"vdcm": SkipsADisabledQueue}
