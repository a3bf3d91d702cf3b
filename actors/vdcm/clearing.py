"""Clearing slots: quiesce the hardware, then put, one slot after the other (§4.6).

DisableVwq, ResetVdev, a cleared IMS entry, works and closing all do the same and differ in which
slots they clear and whether they may wait for a guest.  Whoever comes first clears, others find
nothing, so each reference is put once (mends S25).

Kernel: drivers/vfio/mdev/idxd/vdev.c of the Intel data-centre kernel ("DCP").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vdcm import pages, slots, works
from actors.vdcm.state import Clear, ClearStep, Dying, Kind, Phase, Slot, Why, WorkState, key_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import FdsReleased, SleepMay, SlotCleared
from protocol.messages import (
    DisableVwq,
    Done,
    PutPasid,
    PutPasidGot,
    Refused,
    ResetVdev,
    WriteVims,
)
from protocol.names import CORE, Call, Name, vm_of

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def on_disable_vwq(vdcm: Vdcm, disable: DisableVwq, guest: Name, out: Out) -> None:
    """A guest that disables waits for its own descriptors."""
    vm = vm_of(guest)
    if not vdcm.is_open(vm):
        out.send(guest, Refused(disable.call, Errno.ENODEV))
        return
    keys = [key_of(vm, Kind.WQ)]
    start(vdcm, Clear(Why.DISABLE, vm, keys, guest=guest, call=disable.call), out)


def on_reset_vdev(vdcm: Vdcm, reset: ResetVdev, guest: Name, out: Out) -> None:
    """WQ and IMS; a right to submit stays as long as the gPASID stands for the PASID."""
    vm = vm_of(guest)
    if not vdcm.is_open(vm):
        out.send(guest, Refused(reset.call, Errno.ENODEV))
        return
    keys = [key_of(vm, Kind.WQ), key_of(vm, Kind.IMS)]
    start(vdcm, Clear(Why.RESET, vm, keys, abort=True, guest=guest, call=reset.call), out)


def clear_ims(vdcm: Vdcm, vims: WriteVims, guest: Name, out: Out) -> None:
    """The entry is cleared; it may have been empty."""
    keys = [key_of(vm_of(guest), Kind.IMS)]
    start(vdcm, Clear(Why.VIMS, vm_of(guest), keys, guest=guest, call=vims.call), out)


def start(vdcm: Vdcm, task: Clear, out: Out) -> None:
    """The first slot first."""
    slots.take(vdcm, vdcm.begin(task), task.slots[0], out)


def begin(vdcm: Vdcm, call: Call, task: Clear, out: Out) -> None:
    """The slot is ours: look whether what we came for is still there."""
    slot = vdcm.slots.get(task.slots[0])
    if slot is None or not slot.in_use or not vdcm.is_due(task):
        leave(vdcm, call, task, out, found=False)
        return

    task.step = ClearStep.QUIESCE
    task.abort = task.abort or slots.is_urgent(vdcm, slot)
    if vdcm.lost:
        quiesced(vdcm, call, task, out)  # Of hardware that is gone nothing is left to stop.
        return
    if task.why is Why.WORK:
        out.record(SleepMay(f"work:{task.work}", "drain"))
    vdcm.quiesce(slot, call, out, abort=task.abort)


def is_due(vdcm: Vdcm, task: Clear) -> bool:
    """A work clears only the life that it was queued for, not what came into the slot since."""
    return task.why is not Why.WORK or vdcm.works[task.work].state is WorkState.RUNNING


def quiesced(vdcm: Vdcm, call: Call, task: Clear, out: Out) -> None:
    """None of its descriptors is left; a shared WQ has no reference of its own."""
    slot = vdcm.slots[task.slots[0]]
    if slot.pasid == 0:
        slot.in_use = False
        leave(vdcm, call, task, out)
    elif vdcm.must_settle(slot):
        pages.settle(vdcm, call, task, out)
    else:
        put(vdcm, call, task, out)


def put(vdcm: Vdcm, call: Call, task: Clear, out: Out) -> None:
    """The hardware is clean, so the reference goes back."""
    task.step = ClearStep.PUT
    vdcm.clear(vdcm.slots[task.slots[0]], call, out)


def clear(vdcm: Vdcm, slot: Slot, call: Call, out: Out) -> None:
    """The hardware is clean: the slot is empty, its work over, and its reference goes back."""
    kind = slot.kind.value
    out.record(SlotCleared(slot.vm, vdcm.device, kind, slot.pasid, slot.incarnation))
    works.end(vdcm, slot, out)
    put = PutPasid(call, slot.pasid, slot.incarnation, slot.reason)
    slot.pasid, slot.incarnation, slot.in_use, slot.dying = 0, 0, False, Dying.NO
    vdcm.put(slot, put, out)


def put_reference(_vdcm: Vdcm, _slot: Slot, put: PutPasid, out: Out) -> None:
    """Whoever emptied the slot, and why: the reference was the slot's (mends S25b, S25d, S25g)."""
    out.send(CORE, put)


def put_failed(_vdcm: Vdcm, _got: PutPasidGot) -> bool:
    """Others hold the PASID, too: not to have reclaimed it is no failure (mends S25a)."""
    return False


def leave(vdcm: Vdcm, call: Call, task: Clear, out: Out, *, found: bool = True) -> None:
    """Through with this slot."""
    key = task.slots.pop(0)
    if task.slots:
        task.step = ClearStep.SLOT
        slots.take(vdcm, call, task.slots[0], out)
    else:
        finish(vdcm, call, task, out, found=found)
    slots.leave(vdcm, key, out)


def finish(vdcm: Vdcm, call: Call, task: Clear, out: Out, *, found: bool) -> None:
    """Through with all of them."""
    del vdcm.tasks[call]
    match task.why:
        case Why.WORK:
            works.finish(vdcm, task.work, out)
        case Why.STOP:
            vdcm.unregister(task.vm, out)
        case Why.RELEASE:
            vdcm.vdevs[task.vm] = Phase.GONE
            out.record(FdsReleased(task.vm))
        case Why.DISABLE if not found:
            out.send(task.guest, Refused(task.call, Errno.EINVAL))
        case _:
            out.send(task.guest, Done(task.call))
