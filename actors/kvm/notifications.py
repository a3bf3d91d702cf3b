"""BIND writes a table entry, UNBIND and FREE clear it (§4.5).

Notifications of different PASIDs may be under way at once, as tasks; those of one PASID follow one
another.  Each begins and ends as `notify:` and the core's number for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.kvm.state import Bind, Clear, ClearStep, Phase
from protocol.effects import Out, Site
from protocol.errors import Errno
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
)
from protocol.names import CORE, PASID_COUNT, Call, Gpasid

if TYPE_CHECKING:
    from actors.kvm import Kvm

TABLE_PAGE: Final = Site("kvm.bind.table", Errno.ENOMEM)
REASON: Final = "translation"
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


def ignore(alloc: NotifyAlloc, out: Out) -> None:
    """Called, and not concerned."""
    handled(alloc, out)
    answer(alloc, Verdict.DONE, out)


def bind(kvm: Kvm, notification: NotifyBind, out: Out) -> None:
    """Ask for the reference.  A VM that is being closed takes nothing any more."""
    handled(notification, out)
    if kvm.phase is not Phase.OPEN:
        answer(notification, Verdict.DONE, out)
        return
    if out.may_fail(TABLE_PAGE) is not None:
        answer(notification, kvm.without_page(), out)
        return
    if not has_room_for(kvm, notification.spid):
        answer(notification, Verdict.BAD, out)
        return

    call = kvm.begin(Bind(notification))
    pasid, incarnation = notification.pasid, notification.incarnation
    out.send(CORE, GetPasid(call, notification.set, pasid, incarnation, REASON))


def has_room_for(kvm: Kvm, spid: Gpasid) -> bool:
    """The table has such an entry, it is not VALID, and no BIND under way is about to write it."""
    tasks = kvm.tasks.values()
    claimed = any(isinstance(task, Bind) and task.notification.spid == spid for task in tasks)
    return spid < PASID_COUNT and spid not in kvm.table and not claimed


def granted(kvm: Kvm, call: Call, task: Bind, out: Out) -> None:
    """The reference is ours; only now may the entry be."""
    del kvm.tasks[call]
    kvm.write_entry(task.notification, out)
    answer(task.notification, Verdict.OK, out)
    kvm.proceed(out)


def refused(kvm: Kvm, call: Call, task: Bind, out: Out) -> None:
    """It was freed meanwhile: no entry without a reference (S21)."""
    del kvm.tasks[call]
    answer(task.notification, Verdict.BAD, out)
    kvm.proceed(out)


def clear(kvm: Kvm, notification: NotifyUnbind | NotifyFree, spid: Gpasid | None, out: Out) -> None:
    """Keep the vCPUs out first.  What has no entry, or what closing clears itself, is not ours."""
    handled(notification, out)
    if spid is None or not kvm.may_submit():
        answer(notification, Verdict.DONE, out)
        return

    kvm.block(out)
    kvm.begin(Clear(notification, spid))
    kvm.proceed(out)


def spid_of(kvm: Kvm, free: NotifyFree) -> Gpasid | None:
    """Which entry has the PASID, if one has: where it says, or where else it was bound to."""
    entry = kvm.table.get(free.spid)
    if entry is not None and entry.pasid == free.pasid:
        return free.spid
    spids = (spid for spid, entry in kvm.table.items() if entry.pasid == free.pasid)
    return min(spids, default=None)


def clear_entries(kvm: Kvm, out: Out) -> None:
    """Clear what is to be cleared, once no vCPU is between an entry and a device (O12)."""
    if kvm.has_commands_in_flight():
        return
    for call in sorted(kvm.tasks):
        task = kvm.tasks[call]
        if isinstance(task, Clear) and task.step is ClearStep.COMMANDS:
            task.step = ClearStep.PUT
            kvm.clear_entry(call, task.spid, out)


def cleared(kvm: Kvm, call: Call, task: Clear, out: Out) -> None:
    """The reference is back: the block is lifted last, and always."""
    del kvm.tasks[call]
    kvm.lift(out)
    answer(task.notification, Verdict.OK, out)
    kvm.proceed(out)
