"""One task at a time is at work on a slot; later ones wait in line and then look again (§1.7).

A work after FREE, a close, a reset and a BIND may not wait for a guest that answers no page
request.  If one of them comes behind a task that does, the device is told to abort.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vdcm.state import Clear, ClearStep, Hurry, Kind, Right, Slot, key_of
from protocol.effects import Out
from protocol.names import Call, Name, Pasid

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def make(vdcm: Vdcm, vm: Name, kind: Kind, pasid: Pasid = 0) -> str:
    """The key of a slot, which is there from now on."""
    key = key_of(vm, kind, pasid)
    vdcm.slots.setdefault(key, Slot(vm, kind))
    return key


def take(vdcm: Vdcm, call: Call, key: str, out: Out) -> None:
    """The slot is the task's, at once or when its turn comes.  One that is not there is empty."""
    slot = vdcm.slots.get(key)
    if slot is not None and slot.holder != 0:
        slot.waiting.append(call)
        hurry(vdcm, slot, out)
        return

    if slot is not None:
        slot.holder = call
    vdcm.resume(call, out)


def leave(vdcm: Vdcm, key: str, out: Out) -> None:
    """The next in line has it; an empty slot that nobody waits for is forgotten."""
    slot = vdcm.slots.get(key)
    if slot is None:
        return  # It was empty all along.

    slot.holder = slot.waiting.pop(0) if slot.waiting else 0
    if slot.holder:
        vdcm.resume(slot.holder, out)
    elif not slot.in_use:
        del vdcm.slots[key]


def is_urgent(vdcm: Vdcm, slot: Slot) -> bool:
    """Whether one in line may not wait for a guest."""
    tasks = [vdcm.tasks[call] for call in slot.waiting]
    return any(isinstance(one, Right) or (isinstance(one, Clear) and one.abort) for one in tasks)


def hurry(vdcm: Vdcm, slot: Slot, out: Out) -> None:
    """Abort what the holder patiently waits for.

    Until the device has done so the slot is not given on: the abort would hit who comes next.
    """
    match vdcm.tasks[slot.holder]:
        case Clear(step=ClearStep.QUIESCE, abort=False) as holder if is_urgent(vdcm, slot):
            holder.abort = holder.hurried = True
            vdcm.quiesce(slot, vdcm.begin(Hurry(slot.holder)), out, abort=True)
        case _:
            pass  # It does not wait for a guest.
