"""Programming an interrupt entry with a PASID takes a reference that nobody ever puts.

The look-up by guest PASID hands out a reference each time.  For a work queue disable puts it; for
an entry of the interrupt message storage nothing does, neither when the entry is cleared nor when
it is written again.

Kernel: the MSI-X permission writes of drivers/vfio/mdev/idxd/vdev.c, Intel data-centre kernel
("DCP").
"""

from typing import Final

from actors.vdcm import Vdcm, answers
from actors.vdcm.state import Kind, Slot
from protocol.effects import Out
from protocol.messages import PutPasid, PutPasidGot

SOURCE: Final = "S25d; Intel data-centre kernel, drivers/vfio/mdev/idxd/vdev.c; rules N6 and L1"


class NeverPutsForAnInterrupt(Vdcm):
    """Of an interrupt entry only the register is cleared."""

    __slots__ = ()

    def put(self, slot: Slot, put: PutPasid, out: Out) -> None:
        """The slot is empty, and its reference is nobody's any more."""
        if slot.kind is Kind.IMS:
            answers.take(self, PutPasidGot(put.call, reclaimed=False), out)
        else:
            super().put(slot, put, out)


CLASSES: Final[dict[str, type]] = {"vdcm": NeverPutsForAnInterrupt}
