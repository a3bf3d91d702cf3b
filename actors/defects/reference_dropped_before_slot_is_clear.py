"""The VDCM puts its reference first, and has the slot cleared when there is time.

A device's PASID table is shared by all of its mdevs: what a VM's work queue still submits with a
number that is another VM's by then, reaches the other's memory.
"""

from typing import Final

from actors.vdcm import Vdcm, hardware
from actors.vdcm.state import Hurry, Slot
from protocol.effects import Out
from protocol.messages import Done
from protocol.names import Call

SOURCE: Final = "S26; v3 01/14 ioasid.rst, VDCM section: lazy clearing attack"


class ClearsLazily(Vdcm):
    """For its books the slot is clear as soon as it has been asked for."""

    __slots__ = ()

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        """Nobody waits for the device's answer."""
        super().quiesce(slot, self.begin(Hurry()), out, abort=abort)
        hardware.answered(self, Done(call), out)


CLASSES: Final[dict[str, type]] = {"vdcm": ClearsLazily}
