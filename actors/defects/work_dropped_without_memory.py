"""Without memory for its work the VDCM answers FREE with ENOMEM and does not try again.

Nobody notifies twice.  The slot keeps the PASID and its reference until the guest clears it, which
one that is gone, or does not care, never does.

Kernel: drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel: the work is allocated in the
atomic handler, and a failure becomes notifier_from_errno(-ENOMEM).
"""

from typing import Final

from actors.vdcm import Vdcm
from actors.vdcm.state import Slot, WorkState
from protocol.effects import Out
from protocol.messages import Verdict

SOURCE: Final = "S41; drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel, 3d23391ae990"


class DropsTheWork(Vdcm):
    """The error is the notifier's answer, and that is all that becomes of it."""

    __slots__ = ()

    def queue_work(self, slot: Slot, out: Out) -> Verdict:
        """A work without memory is no work: nobody has it in hand."""
        verdict = super().queue_work(slot, out)
        if self.works[slot.work].state is not WorkState.NO_MEMORY:
            return verdict
        del self.works[slot.work]
        return Verdict.BAD


CLASSES: Final[dict[str, type]] = {"vdcm": DropsTheWork}
