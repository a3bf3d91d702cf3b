"""What the core notifies: BIND gives a right to submit, UNBIND and FREE make slots die (§4.6).

Kernel: drivers/vfio/mdev/idxd/mdev.c of the Intel data-centre kernel ("DCP"), where only FREE was
heard; the right to submit, as a slot with its reference, mends S25c and S26.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vdcm import slots, works
from actors.vdcm.state import Dying, Kind, Right, RightStep, Slot, key_of
from protocol.effects import Out
from protocol.facts import NotificationAnswered, NotificationHandled
from protocol.messages import (
    GetPasid,
    Notification,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    Verdict,
    WqMode,
)
from protocol.names import CORE, Call

if TYPE_CHECKING:
    from actors.vdcm import Vdcm

WORDS: Final[dict[type[Notification], str]] = {
    NotifyAlloc: "ALLOC",
    NotifyFree: "FREE",
    NotifyBind: "BIND",
    NotifyUnbind: "UNBIND",
}
"""How facts call each notification."""


def handled(notification: Notification, out: Out) -> None:
    """The handler begins."""
    task = f"notify:{notification.call}"
    pasid, incarnation = notification.pasid, notification.incarnation
    out.record(NotificationHandled(WORDS[type(notification)], pasid, incarnation, task))


def answer(notification: Notification, verdict: Verdict, out: Out) -> None:
    """The handler returns."""
    task = f"notify:{notification.call}"
    pasid, incarnation = notification.pasid, notification.incarnation
    word = WORDS[type(notification)]
    out.record(NotificationAnswered(word, pasid, incarnation, task, verdict._value_))
    out.send(CORE, NotifyReply(notification.call, verdict))


def on_notify_alloc(alloc: NotifyAlloc, out: Out) -> None:
    """Nothing can be programmed with a PASID that no gPASID stands for yet."""
    handled(alloc, out)
    answer(alloc, Verdict.DONE, out)


def on_notify_unbind(vdcm: Vdcm, unbind: NotifyUnbind, out: Out) -> None:
    """The gPASID stands for the PASID no more, so nothing may be submitted with it."""
    handled(unbind, out)
    dying(vdcm, unbind, vdcm.slots_unbound(unbind), out)


def on_notify_free(vdcm: Vdcm, free: NotifyFree, out: Out) -> None:
    """Freed while it is in a slot: nobody may wait for the guest to clear it."""
    handled(free, out)
    concerned = vdcm.slots_freed(free)
    for slot in concerned:
        slot.dying = Dying.FREE
    dying(vdcm, free, concerned, out)


def slots_of(vdcm: Vdcm, notification: Notification) -> list[Slot]:
    """The slots of the VM that the PASID is in.  Closing clears all by itself."""
    if not vdcm.is_open(notification.token):
        return []
    pasid, vm = notification.pasid, notification.token
    keys = [key_of(vm, kind, pasid) for kind in (Kind.IMS, Kind.SWQ, Kind.WQ)]
    found = [vdcm.slots[key] for key in keys if key in vdcm.slots]
    return [slot for slot in found if slot.pasid == pasid and slot.in_use]


def slots_freed(vdcm: Vdcm, free: NotifyFree) -> list[Slot]:
    """Every slot that the freed PASID is in."""
    return slots_of(vdcm, free)


def slots_unbound(vdcm: Vdcm, unbind: NotifyUnbind) -> list[Slot]:
    """The right to submit; what the guest has programmed itself, it clears itself."""
    return [slot for slot in slots_of(vdcm, unbind) if slot.kind is Kind.SWQ]


def dying(vdcm: Vdcm, notification: Notification, concerned: list[Slot], out: Out) -> None:
    """Quiescing sleeps, so each slot gets a work."""
    for slot in concerned:
        if slot.dying is Dying.NO:
            slot.dying = Dying.UNBIND
    verdicts = [vdcm.queue_work(slot, out) for slot in concerned]
    worst = Verdict.BAD if Verdict.BAD in verdicts else Verdict.OK
    answer(notification, worst if verdicts else Verdict.DONE, out)


def on_notify_bind(vdcm: Vdcm, bind: NotifyBind, out: Out) -> None:
    """The right to submit.  Bound again before its UNBIND has been worked off, it never went."""
    handled(bind, out)
    if vdcm.mode is not WqMode.SHARED or not vdcm.hears(bind.token):
        answer(bind, Verdict.DONE, out)
        return

    key = slots.make(vdcm, bind.token, Kind.SWQ, bind.pasid)
    slot = vdcm.slots[key]
    if slot.in_use and slot.holder == 0:
        slot.dying = Dying.NO
        works.end(vdcm, slot, out)
        answer(bind, Verdict.OK, out)
        return

    call = vdcm.begin(Right(bind, key))
    slots.take(vdcm, call, key, out)


def begin(vdcm: Vdcm, call: Call, task: Right, out: Out) -> None:
    """The slot is ours, and empty.  A VM that is being closed gets the right: its WQ may run."""
    bind = task.notification
    task.step = RightStep.GET
    reason = vdcm.slots[task.slot].reason
    out.send(CORE, GetPasid(call, bind.set, bind.pasid, bind.incarnation, reason))


def granted(vdcm: Vdcm, call: Call, task: Right, out: Out) -> None:
    """From now on a descriptor with this PASID is ours to drain."""
    bind, slot = task.notification, vdcm.slots[task.slot]
    vdcm.fill(slot, bind.pasid, bind.incarnation, out)
    end(vdcm, call, task, Verdict.OK, out)


def end(vdcm: Vdcm, call: Call, task: Right, verdict: Verdict, out: Out) -> None:
    """Through with the slot."""
    del vdcm.tasks[call]
    answer(task.notification, verdict, out)
    slots.leave(vdcm, task.slot, out)
