"""A reset, a close or the end of the guest empties a slot and keeps the slot's reference.

Enable takes a reference and disable puts it.  Reset and close disable the hardware by another way,
which does not put; nor does the close that stands for a guest that crashed.  The PASID stays
FREE_PENDING for ever, and its number is lost to everybody.

Kernel: idxd_vdcm_reset and the release path of drivers/vfio/mdev/idxd, Intel data-centre kernel
("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm, answers
from actors.vdcm.state import Clear, Slot, Why
from protocol.effects import Out
from protocol.messages import PutPasid, PutPasidGot

SOURCE: Final = "S25b; Intel data-centre kernel, drivers/vfio/mdev/idxd/vdev.c; rules N6 and L1"

SILENT: Final = (Why.RESET, Why.STOP, Why.RELEASE)


class PutsOnlyOnDisable(Vdcm):
    """Whoever clears without being asked by DisableVwq does not put."""

    __slots__ = ()

    def put(self, slot: Slot, put: PutPasid, out: Out) -> None:
        """The slot is empty, and its reference is nobody's any more."""
        task = self.tasks[put.call]
        if isinstance(task, Clear) and task.why in SILENT:
            answers.take(self, PutPasidGot(put.call, reclaimed=False), out)
        else:
            super().put(slot, put, out)


CLASSES: Final[dict[str, type]] = {"vdcm": PutsOnlyOnDisable}
