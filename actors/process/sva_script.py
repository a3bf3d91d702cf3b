"""The script of a process of a modern kernel: one step after the other, by one of its threads (§8).

Kernel: none; this is the program that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from actors.process import script, sva_exec, sva_exit, sva_mm, sva_submit
from actors.process.state import FIRST, NOT_BUSY, Phase
from actors.process.sva_state import FIRST_THREAD, Fd, Task, Thread
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import OpInvoked
from protocol.messages import Done, Kill, Refused
from protocol.messages.accelerators import (
    CloseFile,
    OpenDevice,
    OpenDeviceGot,
    PutQueue,
    StartQueue,
    UseFile,
    WriteDescriptor,
)
from protocol.names import Name
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess

Answer: TypeAlias = Done | Refused | OpenDeviceGot


def go_on(process: SvaProcess, out: Out) -> None:
    """Begin whatever need not wait."""
    steps = process.plan.steps
    while process.phase is Phase.RUN and process.busy == NOT_BUSY and process.position < len(steps):
        process.position += 1
        begin(process, steps[process.position - 1], out)


def begin(process: SvaProcess, step: Step, out: Out) -> None:
    """One operation, with the smallest number that is free."""
    number = FIRST
    while number in process.tasks or number in process.drops:
        number += 1
    process.invoked += 1
    task = Task(number, process.invoked, step, step.number or FIRST_THREAD)
    process.tasks[number] = task
    process.busy = number if step.wait else NOT_BUSY
    out.record(OpInvoked(task.op, step.operation, device=step.device))
    if task.thread in process.threads:
        call(process, task, out)
    else:
        fail(process, task, Errno.ENOENT, out)


def call(process: SvaProcess, task: Task, out: Out) -> None:
    """The operation's first call, if it has any."""
    step = task.step
    match step.operation:
        case "open":
            out.send(process.doors[step.device], OpenDevice(task.number, process.mm))
        case "map" | "remap" | "poll" | "start" | "put" | "write" | "close":
            task.left = step.count
            of_file(process, task, out)
        case "fork":
            sva_exec.fork_next(process, task, out)
        case "exec":
            sva_exec.begin(process, task, out)
        case "clone":
            process.born += 1
            process.threads[process.born] = Thread()
            sva_mm.count(process, process.mm, out, users=1)
            end(process, task, out)
        case "unmap" | "upgrade":
            change(process, task, out)
        case "kill":
            out.send(step.owner, Kill())
            end(process, task, out)
        case "exit":
            end(process, task, out)
            leave(process, task, out)
        case _:
            sva_submit.begin(process, task, out)


def of_file(process: SvaProcess, task: Task, out: Out) -> None:
    """Of the file of that device that was opened last, or inherited."""
    step, number = task.step, task.number
    fd = file_of(process, step.device)
    if fd is None:
        fail(process, task, Errno.EBADF, out)
        return
    match step.operation:
        case "start":
            out.send(fd.door, StartQueue(number, fd.file))
        case "put":
            out.send(fd.door, PutQueue(number, fd.file))
        case "write":
            task.left -= 1
            page = step.count - task.left
            out.send(fd.door, WriteDescriptor(number, fd.file, process.mm, page, mapped=True))
        case "close":
            task.stage = 1 if fd.mapped else 2
            if fd.mapped:
                fd.mapped = False
            else:
                process.files.remove(fd)
            out.send(fd.door, CloseFile(number, fd.file, mapping=task.stage == 1))
        case _:
            how = {"map": "mmap", "remap": "mremap"}.get(step.operation, step.operation)
            out.send(fd.door, UseFile(number, fd.file, process.mm, how))


def file_of(process: SvaProcess, device: Name) -> Fd | None:
    """The one that was opened last."""
    return next((fd for fd in reversed(process.files) if fd.device == device), None)


def change(process: SvaProcess, task: Task, out: Out) -> None:
    """munmap, or more permission: who has translations is told, and then the call returns."""
    mm = process.mms[process.mm]
    if task.step.operation == "unmap":
        mm.unmapped = sorted({*mm.unmapped, *range(1, task.step.count + 1)})
    task.walk = list(mm.notifiers)
    go_on_telling(process, task, out)


def go_on_telling(process: SvaProcess, task: Task, out: Out) -> None:
    """Page 0 stands for more than one."""
    page = 1 if task.step.count == 1 and task.step.operation == "unmap" else 0
    told = sva_mm.tell(process.mms[process.mm], task.walk, task.number, page, out)
    sva_mm.end_graces(process, out)
    if not told:
        end(process, task, out)


def leave(process: SvaProcess, task: Task, out: Out) -> None:
    """The first thread's exit is that of the group; another one's is its own."""
    if task.thread == FIRST_THREAD:
        sva_exit.die(process, out)
    else:
        for other in list(process.tasks.values()):
            if other.thread == task.thread:
                sva_exit.forget(process, other, out)
        process.thread_gone(task.thread, out)
        sva_mm.count(process, process.mm, out, users=-1)


def on_answer(process: SvaProcess, task: Task, answer: Answer, out: Out) -> None:
    """A system call has returned; those of several steps run to their end even in the dying."""
    step = task.step
    if isinstance(answer, Refused):
        task.outcome = answer.errno.value
    match step.operation, answer:
        case "open", OpenDeviceGot():
            process.files.append(Fd(step.device, process.doors[step.device], answer.file))
            process.file_bound(task, out)
            out.send(
                process.doors[step.device], UseFile(task.number, answer.file, process.mm, "mmap")
            )
        case "open" | "map", Done():
            fd = file_of(process, step.device)
            assert fd is not None, "it has just been mapped"
            fd.mapped = True
            end(process, task, out)
        case "fork", Done():
            sva_exec.fork_next(process, task, out)
        case "exec", _:
            sva_exec.on_answer(process, task, out)
        case "unmap" | "upgrade", _:
            go_on_telling(process, task, out)
        case "close", Done() if task.stage == 1:
            of_file(process, task, out)
        case "write", Done() if task.left and not task.forgotten:
            of_file(process, task, out)
        case _:
            if step.operation == "close":
                process.file_closed(task, out)
            end(process, task, out)


def fail(process: SvaProcess, task: Task, errno: Errno, out: Out) -> None:
    """Without having called anybody."""
    task.outcome = errno.value
    end(process, task, out)


def end(process: SvaProcess, task: Task, out: Out) -> None:
    """It is over; of one that was forgotten the outcome has been stated."""
    del process.tasks[task.number]
    if process.busy == task.number:
        process.busy = NOT_BUSY
    if not task.forgotten:
        script.state_outcome(task, out)
    for other in list(process.tasks.values()):
        if other.step.operation == "exec":
            sva_exec.go_on(process, other, out)
