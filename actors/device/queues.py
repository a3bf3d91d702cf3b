"""Work queues of a device: configuration, and the commands that wait for descriptors (§5.6).

Kernel: drivers/dma/idxd/device.c, commands 6 to 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.device import work
from actors.device.state import Command, Slot, Waiting, WorkQueue
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import WqCleared, WqProgrammed
from protocol.messages import (
    DisableWq,
    Done,
    DrainPasid,
    DrainWq,
    EnableWq,
    Refused,
    WqMode,
    WriteIms,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.device import Device


def enable(device: Device, enable: EnableWq, sender: Name, out: Out) -> None:
    """A queue that is being disabled is still enabled."""
    if enable.mode is not device.mode:
        out.send(sender, Refused(enable.call, Errno.EINVAL))
        return
    if enable.vm in device.queues:
        out.send(sender, Refused(enable.call, Errno.EBUSY))
        return

    dedicated = enable.mode is WqMode.DEDICATED
    slot = Slot(enable.pasid, enable.incarnation) if dedicated else None
    device.queues[enable.vm] = WorkQueue(slot)
    record_programmed(device, enable.vm, "wq", slot, out)
    out.send(sender, Done(enable.call))


def write_ims(device: Device, write: WriteIms, sender: Name, out: Out) -> None:
    """The register holds the new PASID, or none; what it held before is gone."""
    record_cleared(device, write.vm, "ims", device.ims.pop(write.vm, None), out)
    if write.pasid != 0:
        slot = Slot(write.pasid, write.incarnation)
        device.ims[write.vm] = slot
        record_programmed(device, write.vm, "ims", slot, out)
    out.send(sender, Done(write.call))


def command(device: Device, given: Command, sender: Name, out: Out) -> None:
    """Close the queue or abort the descriptors as asked, then wait until none is left."""
    if isinstance(given, DisableWq) and given.vm in device.queues:
        device.queues[given.vm].closing = True

    device.waiting.append(Waiting(sender, given))
    if not isinstance(given, DrainWq) and given.abort:
        for number in concerned(device, given):
            work.abort(device, number, out)
    answer(device, out)


def concerned(device: Device, given: Command) -> list[int]:
    """The descriptors a command is about: of its VM's queue, or with its PASID."""
    if isinstance(given, DrainPasid):
        return [n for n, one in device.descriptors.items() if one.work.pasid == given.pasid]
    return [n for n, one in device.descriptors.items() if one.work.vm == given.vm]


def answer(device: Device, out: Out) -> None:
    """Whoever waits for descriptors of which none is left, in the order the commands were given."""
    over = [one for one in device.waiting if not concerned(device, one.command)]
    device.waiting = [one for one in device.waiting if concerned(device, one.command)]
    for one in over:
        if isinstance(one.command, DisableWq):
            disable(device, one.command.vm, out)
        out.send(one.requester, Done(one.command.call))


def disable(device: Device, vm: Name, out: Out) -> None:
    """The queue is empty: its PASID is cleared last."""
    queue = device.queues.pop(vm, None)
    if queue is not None:
        record_cleared(device, vm, "wq", queue.slot, out)


def record_programmed(device: Device, vm: Name, name: str, slot: Slot | None, out: Out) -> None:
    """A shared queue has no PASID of its own."""
    if slot is not None:
        out.record(WqProgrammed(vm, device.name, name, slot.pasid, slot.incarnation))


def record_cleared(device: Device, vm: Name, name: str, slot: Slot | None, out: Out) -> None:
    """Only what was there has been cleared."""
    if slot is not None:
        out.record(WqCleared(vm, device.name, name, slot.pasid, slot.incarnation))
