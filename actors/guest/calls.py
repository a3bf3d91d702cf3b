"""How an operation asks, and how it is told to the history (§1.9, §7).

Its outcome is `ok`, the errno of a refusal, what became of its descriptors, or `info`: the actor
that was asked is lost, and nobody will ever know.

Kernel: none; this is the process's own bookkeeping, in Jepsen's words.
"""

from typing import TYPE_CHECKING

from actors.guest.state import INFO, NOT_BUSY, OK, Operation, Phase, awaited_from
from protocol.effects import Out
from protocol.facts import OpFail, OpInfo, OpOk
from protocol.messages import AnyMessage
from protocol.messages.amnesia import RecallCalls, RecallCallsGot
from protocol.names import Name

if TYPE_CHECKING:
    from actors.guest import Guest


def ask(guest: "Guest", task: Operation, target: Name, request: AnyMessage, out: Out) -> bool:
    """The one call that is outstanding; False: the target is lost and would never answer."""
    task.target = target
    if target in guest.lost:
        return False

    out.send(target, request)
    return True


def end(guest: "Guest", task: Operation, out: Out) -> None:
    """It is over; whether this was wanted does not stop the script."""
    del guest.tasks[task.number]
    if guest.busy == task.number:
        guest.busy = NOT_BUSY
    state_outcome(task, out)


def state_outcome(task: Operation, out: Out) -> None:
    """One fact; of what nobody knows, nobody can say that it was not wanted."""
    operation, wanted = task.step.operation, task.step.expect
    expected = wanted[0] if len(wanted) == 1 else f"any({', '.join(wanted)})" if wanted else ""
    met = not wanted or task.outcome in wanted
    if task.outcome == OK:
        out.record(OpOk(task.op, operation, expected, met))
    elif task.outcome == INFO:
        out.record(OpInfo(task.op, operation, expected))
    else:
        out.record(OpFail(task.op, operation, task.outcome, expected, met))


def on_recall_calls(guest: "Guest", recall: RecallCalls, asker: Name, out: Out) -> None:
    """What it awaits of one that has forgotten; that QEMU has ended the host's kernel says."""
    awaited = [call for call, task in sorted(guest.tasks.items()) if awaited_from(task) == asker]
    exited = guest.phase is Phase.EXITED
    out.send(asker, RecallCallsGot(recall.call, tuple(awaited), exited))
