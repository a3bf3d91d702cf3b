"""Page requests that outlive their descriptors: none is left on its way when a slot is put (§4.6).

An aborted descriptor leaves its group owed.  Where the PASID is bound the driver's teardown drains
such requests, under a reference of its own; but a guest can submit where it is not bound, or no
more, and then nobody else does.  A request that met the number's next life would be answered by
its owner (S12).

Kernel: none in DCP.  VT-d specification 7.10 and 7.11: drain before a PASID is used again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vdcm.state import Clear, ClearStep
from protocol.effects import Out
from protocol.messages import DrainRequests, InvalidateDevTlb
from protocol.names import Call

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def settle(vdcm: Vdcm, call: Call, task: Clear, out: Out) -> None:
    """To the device and back: what it had posted is with the unit, in the ring or answered."""
    slot = vdcm.slots[task.slots[0]]
    task.step = ClearStep.INVALIDATE_DEV_TLB
    out.send(vdcm.unit, InvalidateDevTlb(call, vdcm.device, slot.pasid, slot.incarnation))


def flushed(vdcm: Vdcm, call: Call, task: Clear, out: Out) -> None:
    """And once more: what the unit answered is with the device."""
    slot = vdcm.slots[task.slots[0]]
    task.step = ClearStep.DRAIN_REQUESTS
    out.send(vdcm.unit, DrainRequests(call, vdcm.device, slot.pasid, slot.incarnation))
