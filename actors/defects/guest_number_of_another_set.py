"""The VDCM looks a guest's number up in the set of another VM, and programs what it finds.

Two guests use the same small numbers, and what one means depends on the set.  A device module that
asks in a set of its own choice, here that of the first VM on the device, has one guest's queue or
interrupt entry submit with the PASID of another.

Kernel: the look-up of idxd's mdev driver in the Intel data-centre kernel ("DCP"); J. Gunthorpe in
Mar 2021: a driver must itself know which PASIDs each of its mdevs may use.
"""

from typing import Final

from actors.vdcm import Vdcm
from actors.vdcm.state import Slot
from protocol.effects import Out
from protocol.messages import FindBySpid
from protocol.names import CORE, Call, Gpasid

SOURCE: Final = "S33; DCP drivers/vfio/mdev/idxd; J. Gunthorpe on V4, Mar 2021; rule N17"


class AsksInTheFirstSet(Vdcm):
    """The set goes with the device, not with the virtual device."""

    __slots__ = ()

    def look_up(self, slot: Slot, gpasid: Gpasid, call: Call, out: Out) -> None:
        """In the set of the first VM on the device."""
        out.send(CORE, FindBySpid(call, next(iter(self.vdevs)), gpasid, slot.reason))


CLASSES: Final[dict[str, type]] = {"vdcm": AsksInTheFirstSet}
