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
from actors.vdcm.state import Kind, Slot, key_of
from protocol.effects import Out
from protocol.messages import DrainPasid, NotifyFree, NotifyUnbind
from protocol.names import Call, Gpasid

SOURCE: Final = "S25f; Intel data-centre kernel, drivers/vfio/mdev/idxd/mdev.c; rules R8 and N17"


@dataclass(slots=True)
class DrainsTheGuestsNumber(Vdcm):
    """By slot, `guest_numbers` has what the notification said that the guest calls the PASID.

    `super` needs its class by name: `slots=True` makes another than the one that is defined here.
    """

    guest_numbers: dict[str, Gpasid] = field(default_factory=dict)

    def slots_freed(self, free: NotifyFree) -> list[Slot]:
        """The notification names both numbers, and the wrong one is kept for the work."""
        return self.keep(super(DrainsTheGuestsNumber, self).slots_freed(free), free.spid)

    def slots_unbound(self, unbind: NotifyUnbind) -> list[Slot]:
        """Likewise."""
        return self.keep(super(DrainsTheGuestsNumber, self).slots_unbound(unbind), unbind.spid)

    def keep(self, concerned: list[Slot], spid: Gpasid) -> list[Slot]:
        """Of the rights to submit; nothing else is drained by number."""
        for slot in concerned:
            if slot.kind is Kind.SWQ:
                self.guest_numbers[key_of(slot.vm, Kind.SWQ, slot.pasid)] = spid
        return concerned

    def quiesce(self, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
        """To drain is to name a host PASID, and this is none."""
        number = self.guest_numbers.get(key_of(slot.vm, Kind.SWQ, slot.pasid))
        if slot.kind is not Kind.SWQ or number is None:
            super(DrainsTheGuestsNumber, self).quiesce(slot, call, out, abort=abort)
        else:
            out.send(self.device, DrainPasid(call, number, slot.incarnation, abort))


CLASSES: Final[dict[str, type]] = {"vdcm": DrainsTheGuestsNumber}
