"""The script of a process: one step after the other, each a system call or a submission (§7).

Kernel: none; this is the program that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.process import submit, way_out
from actors.process.state import FIRST, INFO, NOT_BUSY, OK, Operation, Phase
from protocol.effects import Out
from protocol.facts import OpFail, OpInfo, OpInvoked, OpOk
from protocol.messages import (
    BindFile,
    Done,
    DupFiles,
    Forked,
    Kill,
    OpenFile,
    PutFile,
    Refused,
    UnbindFile,
)
from protocol.names import uacce_of
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.process import Process
    from actors.process.sva_state import Task


def go_on(process: Process, out: Out) -> None:
    """Begin whatever need not wait."""
    steps = process.plan.steps
    while process.phase is Phase.RUN and process.busy == NOT_BUSY and process.position < len(steps):
        process.position += 1
        begin(process, steps[process.position - 1], out)


def begin(process: Process, step: Step, out: Out) -> None:
    """One operation, with the smallest number that is free."""
    number = FIRST
    while number in process.tasks:
        number += 1
    process.invoked += 1
    task = Operation(number, process.invoked, step)
    process.tasks[number] = task
    process.busy = number if step.wait else NOT_BUSY
    mm = process.mm
    out.record(OpInvoked(task.op, step.operation, mm.pasid, mm.incarnation, step.device))
    call(process, task, out)


def call(process: Process, task: Operation, out: Out) -> None:
    """The operation's first call, if it has any."""
    step, number = task.step, task.number
    match step.operation:
        case "open":
            out.send(uacce_of(step.device), OpenFile(number))
        case "bind":
            out.send(uacce_of(step.device), BindFile(number))
        case "unbind":
            out.send(uacce_of(step.device), UnbindFile(number))
        case "close":
            task.left = 1
            out.send(uacce_of(step.device), PutFile(number, mapping=True))
        case "fork":
            task.left = len(process.devices)
            fork_next(process, task, out)
        case "kill":
            out.send(step.owner, Kill())
            end(process, task, out)
        case "exit":
            end(process, task, out)
            way_out.die(process, out)
        case _:
            submit.begin(process, task, out)


def on_answer(process: Process, task: Operation, answer: Done | Refused, out: Out) -> None:
    """A system call has returned; those of several steps run to their end even in the dying."""
    step = task.step
    if isinstance(answer, Refused):
        task.outcome = answer.errno.value
    elif step.operation == "open":
        process.mapped = sorted([*process.mapped, step.device])
    if step.operation == "fork":
        fork_next(process, task, out)
    elif step.operation == "close" and task.left:
        task.left = 0
        process.mapped = [device for device in process.mapped if device != step.device]
        out.send(uacce_of(step.device), PutFile(task.number, mapping=False))
    else:
        end(process, task, out)


def fork_next(process: Process, task: Operation, out: Out) -> None:
    """The child gets the descriptors, device by device, and then runs."""
    if not task.left:
        if task.outcome == OK:
            out.send(task.step.owner, Forked())
        end(process, task, out)
        return
    task.left -= 1
    device = process.devices[task.left]
    out.send(uacce_of(device), DupFiles(task.number, task.step.owner))


def end(process: Process, task: Operation, out: Out) -> None:
    """It is over; of one that was forgotten the outcome has been stated."""
    del process.tasks[task.number]
    if process.busy == task.number:
        process.busy = NOT_BUSY
    if not task.forgotten:
        state_outcome(task, out)


def state_outcome(task: Operation | Task, out: Out) -> None:
    """One fact, in Jepsen's words."""
    operation, wanted = task.step.operation, task.step.expect
    expected = wanted[0] if len(wanted) == 1 else f"any({', '.join(wanted)})" if wanted else ""
    met = not wanted or task.outcome in wanted
    if task.outcome == OK:
        out.record(OpOk(task.op, operation, expected, met))
    elif task.outcome == INFO:
        out.record(OpInfo(task.op, operation, expected))
    else:
        out.record(OpFail(task.op, operation, task.outcome, expected, met))
