"""KVM has lost its memory, and finds out again what it was doing (§1.11, §4.5).

The CPU has not forgotten: it walks the table, so that is in memory still, and what a vCPU was at is
in its VMCS, or on its way to a device.  All else the peers know.  The core says which references
KVM has, whether its notifier is registered, and which notifications it has not replied to; the
guest says which calls it waits for, and whether QEMU has ended.  Until all have answered the vCPUs
are kept out.  Then an entry and its reference are made to agree: a reference without an entry is
put, once, and what was notified is handled as if it came now.

Kernel: none restarts KVM alone.  Domain reference of the IOASID era, 5.9; Intel SDM vol. 3, 25.4.1
(the guest state that is left in the VMCS when a vCPU is out).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kvm import settling
from actors.kvm.state import (
    Command,
    Entry,
    Phase,
    Rebuild,
    Waiting,
)
from protocol.effects import Out
from protocol.facts import VmEntryBlocked
from protocol.facts.amnesia import MemoryLost, MemoryRebuilt
from protocol.messages import (
    EnqcmdWriteGot,
    GuestEnqcmd,
    HostLost,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    ReleaseFds,
)
from protocol.messages.amnesia import (
    Forget,
    RecallCalls,
    RecallCallsGot,
    RecallLedger,
    RecallLedgerGot,
)
from protocol.names import CORE, Gpasid, Name, guest_of

if TYPE_CHECKING:
    from actors.kvm import Kvm
    from actors.kvm.inbox import Inbox


def forget(kvm: Kvm, forgetting: Forget, out: Out) -> None:
    """Only what the CPU has is left; and no vCPU enters the guest, since nobody lets it."""
    kvm.life += 1
    out.record(MemoryLost(kvm.life))
    if not kvm.blocks:
        out.record(VmEntryBlocked(kvm.vm))
    kvm.blocks = 1
    kvm.phase = Phase.CLOSED
    kvm.tasks = {call: task for call, task in kvm.tasks.items() if isinstance(task, Command)}
    kvm.table = kvm.read_back()
    kvm.rebuilding = Rebuild(alone=guest_of(kvm.vm) in forgetting.lost)
    out.send(CORE, RecallLedger(kvm.life))


def take(kvm: Kvm, rebuild: Rebuild, message: Inbox, guest: Name, out: Out) -> None:
    """What comes meanwhile.  What is told again later need not be remembered now."""
    match message:
        case Forget():
            forget(kvm, message, out)
            return
        case GuestEnqcmd():
            kvm.waiting.append(Waiting(guest, message))
        case EnqcmdWriteGot():
            kvm.on_enqcmd_write_got(message, out)
        case NotifyAlloc() | NotifyBind() | NotifyUnbind() | NotifyFree():
            if rebuild.told is not None:
                rebuild.owed.append(message)
        case RecallLedgerGot(call=kvm.life):
            rebuild.told = rebuild.told or message
        case RecallCallsGot(call=kvm.life):
            rebuild.awaited = message.awaited
            rebuild.exited = rebuild.exited or message.exited
        case ReleaseFds():
            rebuild.exited = True
        case HostLost():
            kvm.on_host_lost(message, out)
            rebuild.alone = rebuild.alone or message.name == guest_of(kvm.vm)
        case _:
            pass  # Asked before: the guest says so.  Or the answer to what nobody knows any more.
    go_on(kvm, rebuild, out)


def go_on(kvm: Kvm, rebuild: Rebuild, out: Out) -> None:
    """The core first, then what is on its way to a device, then the guest, if there is one."""
    if rebuild.told is None or kvm.has_commands_in_flight():
        return
    if rebuild.alone:
        rebuild.awaited, rebuild.exited = (), True
    if rebuild.awaited is None:
        if not rebuild.asked:
            rebuild.asked = True
            out.send(guest_of(kvm.vm), RecallCalls(kvm.life))
        return

    kvm.rebuilding = None
    registered = kvm.vm in rebuild.told.mms
    kvm.phase = Phase.OPEN if registered else Phase.CLOSED
    kvm.settle(rebuild.told, out)
    for notification in kvm.missed(rebuild.told.owed, rebuild.owed):
        settling.again(kvm, notification, out)
    settling.answer(kvm, rebuild.awaited, out)
    out.record(MemoryRebuilt(kvm.life))
    kvm.lift(out)
    if rebuild.exited:
        settling.release(kvm, out)


def read_back(kvm: Kvm) -> dict[Gpasid, Entry]:
    """The table, as the CPU finds it."""
    return kvm.table
