"""A drain is hurried by an abort, and the slot is given on before the device has had the abort.

A work that drains the shared WQ may wait for a guest; a bind that comes behind it tells the device
to abort.  If the drain ends first, the abort is still on its way, and what the guest submits after
its new bind is aborted by it.

Found in our own sound protocol by `pasidlab bank --sound`, after sixty million deliveries.
"""

from typing import Final

from actors.vdcm import Vdcm
from actors.vdcm.state import Clear, Slot
from protocol.effects import Out
from protocol.names import Call

SOURCE: Final = "protocol/README.md §4.6; found by search, Nov 2026"


class GivesTheSlotOn(Vdcm):
    """Only the drain's own answer is waited for."""

    __slots__ = ()

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        """Nobody remembers the abort."""
        super().quiesce(slot, call, out, abort=abort)
        holder = self.tasks.get(slot.holder)
        if isinstance(holder, Clear):
            holder.hurried = False


CLASSES: Final[dict[str, type]] = {"vdcm": GivesTheSlotOn}
