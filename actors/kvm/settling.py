"""What KVM does about its entries, notifications and calls when it knows them again (§1.11, §4.5).

An entry and its reference are made to agree, and what others wait for is done as if they asked now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kvm import commands, files, notifications
from actors.kvm.state import Owed, Phase, Put, Release, ReleaseStep
from protocol.effects import Out
from protocol.facts import TranslationCleared
from protocol.messages import (
    Done,
    NotifyBind,
    OpenVm,
    PutPasid,
    Verdict,
)
from protocol.messages.amnesia import HeldReference, RecallLedgerGot
from protocol.names import CORE, Call, guest_of

if TYPE_CHECKING:
    from actors.kvm import Kvm


def settle(kvm: Kvm, told: RecallLedgerGot, out: Out) -> None:
    """One reference for each entry, and one entry for each reference."""
    held = {one.pasid: one.count for one in told.references}
    for spid, entry in sorted(kvm.table.items()):
        if held.get(entry.pasid, 0):
            held[entry.pasid] -= 1
        else:
            del kvm.table[spid]
            out.record(TranslationCleared(kvm.vm, spid, entry.pasid, entry.incarnation))
    for one in told.references:
        for _ in range(held[one.pasid]):
            put(kvm, one, out)


def put(kvm: Kvm, held: HeldReference, out: Out) -> None:
    """Granted, and no entry was written for it; or one that is gone."""
    call = kvm.begin(Put())
    out.send(CORE, PutPasid(call, held.pasid, held.incarnation, held.reason))


def put_back(kvm: Kvm, call: Call, out: Out) -> None:
    """The core has it."""
    del kvm.tasks[call]
    kvm.proceed(out)


def missed(_kvm: Kvm, told: tuple[Owed, ...], since: list[Owed]) -> list[Owed]:
    """What came before the core had answered, and what came after: the chain waits for each."""
    return [*told, *since]


def again(kvm: Kvm, notification: Owed, out: Out) -> None:
    """As if it came now; what had been written for it already is not written twice."""
    entry = kvm.table.get(notification.spid) if isinstance(notification, NotifyBind) else None
    if entry is not None and entry.pasid == notification.pasid:
        notifications.handled(notification, out)
        notifications.answer(notification, Verdict.OK, out)
    else:
        kvm.handle(notification, CORE, out)


def answer(kvm: Kvm, awaited: tuple[Call, ...], out: Out) -> None:
    """Commands are where they were; what else the guest waits for is that the VM opens."""
    guest = guest_of(kvm.vm)
    known = {one.command.call for one in kvm.waiting}
    for call in awaited:
        if call in known:
            continue
        if kvm.phase is Phase.OPEN:
            out.send(guest, Done(call))
        else:
            files.open_vm(kvm, OpenVm(call), guest, out)


def release(kvm: Kvm, out: Out) -> None:
    """QEMU has ended: as if it did so now, or from where it was left."""
    if kvm.phase is Phase.OPEN:
        files.release(kvm, out)
        return

    kvm.phase = Phase.CLOSING
    commands.resume(kvm, out)
    kvm.begin(Release(ReleaseStep.OTHERS))
    kvm.proceed(out)
