"""The VM's file descriptor: what its first vCPU opens, and what closing it gives back (§4.8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kvm import commands
from actors.kvm.state import Open, Phase, Release, ReleaseStep
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import FdsReleased
from protocol.messages import (
    Done,
    OpenVm,
    Priority,
    Refused,
    RegisterNotifierMm,
    UnregisterNotifier,
)
from protocol.names import CORE, Call, Name

if TYPE_CHECKING:
    from actors.kvm import Kvm


def open_vm(kvm: Kvm, opening: OpenVm, guest: Name, out: Out) -> None:
    """Register for the mm of this VM; CPU priority, so that vCPUs stop before devices do."""
    if kvm.phase is not Phase.CLOSED:
        ended = kvm.phase in {Phase.STOPPING, Phase.CLOSING, Phase.GONE}
        out.send(guest, Refused(opening.call, Errno.ENODEV if ended else Errno.EBUSY))
        return

    kvm.phase = Phase.OPENING
    call = kvm.begin(Open(guest, opening.call))
    out.send(CORE, RegisterNotifierMm(call, kvm.vm, Priority.CPU))


def opened(kvm: Kvm, call: Call, task: Open, out: Out) -> None:
    """Registered; if QEMU has ended meanwhile, that is undone at once."""
    del kvm.tasks[call]
    out.send(task.guest, Done(task.call))
    if kvm.phase is Phase.CLOSING:
        unregister(kvm, out)
    else:
        kvm.phase = Phase.OPEN


def not_opened(kvm: Kvm, refused: Refused, task: Open, out: Out) -> None:
    """Without a notifier no table; the guest may try again unless QEMU has ended."""
    del kvm.tasks[refused.call]
    out.send(task.guest, Refused(task.call, refused.errno))
    if kvm.phase is Phase.CLOSING:
        end(kvm, out)
    else:
        kvm.phase = Phase.CLOSED


def release(kvm: Kvm, out: Out) -> None:
    """The vCPUs have stopped for good; what they were kept from does not happen any more."""
    before = kvm.phase
    if before in {Phase.STOPPING, Phase.CLOSING, Phase.GONE}:
        return  # QEMU ended by itself, and the supervisor says it too.

    kvm.phase = Phase.STOPPING if before is Phase.OPEN else Phase.CLOSING
    commands.resume(kvm, out)
    match before:
        case Phase.OPEN:
            unregister_next(kvm, out)
        case Phase.CLOSED:
            end(kvm, out)
        case _:
            pass  # Being opened: the core's answer comes first.


def unregister_next(kvm: Kvm, out: Out) -> None:
    """Not while a command is on its way: an UNBIND that is not heard would not wait for it (R8)."""
    if kvm.phase is Phase.STOPPING and not kvm.has_commands_in_flight():
        kvm.phase = Phase.CLOSING
        unregister(kvm, out)


def unregister(kvm: Kvm, out: Out) -> None:
    """Of the mm of open, not of whoever closes: on a kill it is gone by now (mends S43)."""
    call = kvm.begin(Release())
    out.send(CORE, UnregisterNotifier(call, kvm.vm))


def cleared(kvm: Kvm, task: Release, out: Out) -> None:
    """Off the chain, or one reference less."""
    task.step = ReleaseStep.OTHERS
    kvm.proceed(out)


def clear_next(kvm: Kvm, out: Out) -> None:
    """Entry after entry, once all notifications and commands under way have come to their end."""
    call, task = next(iter(kvm.tasks.items()), (0, None))
    if len(kvm.tasks) > 1 or not isinstance(task, Release):
        return
    if task.step is not ReleaseStep.OTHERS:
        return

    if kvm.table:
        task.step = ReleaseStep.PUT
        kvm.clear_entry(call, min(kvm.table), out)
        return

    del kvm.tasks[call]
    end(kvm, out)


def end(kvm: Kvm, out: Out) -> None:
    """Nothing is held any more."""
    kvm.phase = Phase.GONE
    out.record(FdsReleased(kvm.vm))
