"""A shared queue is told to drain the guest's number, which on the device is somebody else's.

The device knows host PASIDs only.  The work after FREE hands it the guest's number: what the guest
has in flight is not waited for, and where another VM has that number as its host PASID, that VM's
descriptors are aborted.

Kernel: the work of the FREE handler in drivers/vfio/mdev/idxd/mdev.c, Intel data-centre kernel
("DCP"), which issues DRAIN_PASID.
"""

from dataclasses import dataclass, field
from typing import Final

from actors.vdcm import Vdcm
from actors.vdcm.state import Kind, Right, Slot, key_of
from protocol.effects import Out
from protocol.messages import DrainPasid
from protocol.names import Call, Gpasid, Incarnation, Pasid

SOURCE: Final = "S25f; Intel data-centre kernel, drivers/vfio/mdev/idxd/mdev.c; rules R8 and N17"


@dataclass(slots=True)
class DrainsTheGuestsNumber(Vdcm):
    """By slot, `guest_numbers` has what BIND said that the guest calls the PASID.

    `super` needs its class by name: `slots=True` makes another than the one that is defined here.
    """

    guest_numbers: dict[str, Gpasid] = field(default_factory=dict)

    def fill(self, slot: Slot, pasid: Pasid, incarnation: Incarnation, out: Out) -> None:
        """The notification names both numbers; here the wrong one is kept for later."""
        super(DrainsTheGuestsNumber, self).fill(slot, pasid, incarnation, out)
        task = self.tasks[slot.holder]
        if isinstance(task, Right):
            self.guest_numbers[task.slot] = task.notification.spid

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        """To drain is to name a host PASID, and this is none."""
        if slot.kind is not Kind.SWQ:
            super(DrainsTheGuestsNumber, self).quiesce(slot, call, out, abort=abort)
            return
        number = self.guest_numbers[key_of(slot.vm, Kind.SWQ, slot.pasid)]
        out.send(self.device, DrainPasid(call, number, slot.incarnation, abort))


CLASSES: Final[dict[str, type]] = {"vdcm": DrainsTheGuestsNumber}
