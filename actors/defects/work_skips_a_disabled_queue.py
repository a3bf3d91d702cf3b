"""The work that drains a shared queue returns at once, without a put, if the queue is disabled.

The work looks whether the guest's queue is enabled before it does anything.  A guest that disables
its queue before the work has its turn leaves the reference with nobody to put it, and the PASID
FREE_PENDING for ever.

Kernel: the work of the FREE handler in drivers/vfio/mdev/idxd/mdev.c, Intel data-centre kernel
("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm, works
from actors.vdcm.state import Clear, Dying, Kind, Why, key_of
from protocol.effects import Out
from protocol.names import Call

SOURCE: Final = "S25e; Intel data-centre kernel, drivers/vfio/mdev/idxd/mdev.c; rules N6 and L1"


class SkipsADisabledQueue(Vdcm):
    """What was to be drained is not looked at, only the queue."""

    __slots__ = ()

    def resume(self, call: Call, out: Out) -> None:
        """A right to submit outlives the queue that it was for."""
        task = self.tasks[call]
        if isinstance(task, Clear) and task.why is Why.WORK:
            slot = self.slots[task.slots[0]]
            queue = self.slots.get(key_of(task.vm, Kind.WQ))
            if slot.kind is Kind.SWQ and (queue is None or not queue.in_use):
                slot.dying = Dying.NO  # So nobody queues the work again.
                works.end(self, slot, out)
        super().resume(call, out)


CLASSES: Final[dict[str, type]] = {"vdcm": SkipsADisabledQueue}
