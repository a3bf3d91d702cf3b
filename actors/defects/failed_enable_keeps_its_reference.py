"""Enabling a work queue fails after its look-up, and keeps the reference of the look-up.

The look-up by guest PASID takes a reference.  What can fail after it, the PASID that does not fit
or the device that does not take it, returns without a put: one reference is lost with each attempt.

Kernel: the error paths of idxd_vdcm_enable_wq in drivers/vfio/mdev/idxd/vdev.c, Intel data-centre
kernel ("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm, answers
from actors.vdcm.state import Program, Slot
from protocol.effects import Out
from protocol.messages import PutPasid, PutPasidGot

SOURCE: Final = "S25g; Intel data-centre kernel, drivers/vfio/mdev/idxd/vdev.c; rules N6 and L1"


class KeepsWhatItCannotUse(Vdcm):
    """An error after the look-up returns as if there had been none."""

    __slots__ = ()

    def put(self, slot: Slot, put: PutPasid, out: Out) -> None:
        """The slot is empty, and its reference is nobody's any more."""
        if isinstance(self.tasks[put.call], Program):
            answers.take(self, PutPasidGot(put.call, reclaimed=False), out)
        else:
            super().put(slot, put, out)


CLASSES: Final[dict[str, type]] = {"vdcm": KeepsWhatItCannotUse}
