"""exec and fork: a new mm without a PASID; what the old one had goes with it.

exec kills the other threads, takes the old address space down, and then closes the descriptors: so
here, too, the mm is gone before its files are.

Kernel: begin_new_exec and exec_mmap of fs/exec.c, dup_mm of kernel/fork.c, 7.3.  §8 (I15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.process import sva_exit, sva_msr, sva_script
from actors.process.sva_state import FIRST_THREAD, Mm, Task
from protocol.effects import Out
from protocol.facts.accelerators import MmMade
from protocol.messages import DupFiles
from protocol.messages.accelerators import BeginChild, CloseFile, InitMmPasid
from protocol.names import SVA_CORE, Name

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess


def fork_next(process: SvaProcess, task: Task, out: Out) -> None:
    """The descriptors, door by door; then the mm; then the child runs."""
    doors = list(process.doors.values())
    child = task.step.owner
    if task.stage < len(doors):
        task.stage += 1
        out.send(doors[task.stage - 1], DupFiles(task.number, child))
    elif task.stage == len(doors):
        task.stage += 1
        out.send(SVA_CORE, InitMmPasid(task.number, child, process.parent_of(child)))
    else:
        out.send(
            child,
            BeginChild(
                tuple(one.door for one in process.files), tuple(one.file for one in process.files)
            ),
        )
        sva_script.end(process, task, out)


def parent_of(process: SvaProcess, _child: Name) -> Name:
    """dup_mm copies the whole struct, and then begins parts of it anew."""
    return process.mm


def begin(process: SvaProcess, task: Task, out: Out) -> None:
    """The other threads die; what they have called has to return first."""
    for other in list(process.tasks.values()):
        if other is not task:
            sva_exit.forget(process, other, out)
    go_on(process, task, out)


def go_on(process: SvaProcess, task: Task, out: Out) -> None:
    """By stages: alone, the new mm, the old one, the descriptors."""
    if task.stage == 0 and len(process.tasks) == 1:
        task.stage = 1
        process.execs += 1
        out.send(SVA_CORE, InitMmPasid(task.number, next_mm(process), ""))


def next_mm(process: SvaProcess) -> Name:
    """Another mm, of the same process."""
    return f"{process.name}.mm{process.execs + 1}"


def on_answer(process: SvaProcess, task: Task, out: Out) -> None:
    """The new mm has begun, or a descriptor is closed."""
    if task.stage == 1:
        task.stage = 2
        switch(process, task, out)
    else:
        close_next(process, task, out)


def switch(process: SvaProcess, task: Task, out: Out) -> None:
    """exec_mmap: in the new mm from here on; then the old one loses its users."""
    old, users = process.mm, len(process.threads)
    for number in list(process.threads):
        if number != task.thread:
            process.thread_gone(number, out)
    process.forget_msr(task.thread, out)
    process.threads = {FIRST_THREAD: process.threads[task.thread]}
    process.born = task.thread = FIRST_THREAD
    process.mm = next_mm(process)
    process.mms[process.mm] = Mm()
    out.record(MmMade(process.name, process.mm, "exec"))
    sva_exit.put_users(process, old, users, task.number, out)


def forget_msr(process: SvaProcess, number: int, out: Out) -> None:
    """A new program has new registers, and may fault once more to get its own PASID."""
    sva_msr.clear(process, number, "exec", out)
    process.threads[number].activated = False


def old_gone(process: SvaProcess, task: Task, out: Out) -> None:
    """The address space has gone; its descriptors are closed (O_CLOEXEC)."""
    for fd in process.files:
        fd.mapped = False
    close_next(process, task, out)


def close_next(process: SvaProcess, task: Task, out: Out) -> None:
    """One after the other."""
    if not process.files:
        sva_script.end(process, task, out)
        return
    fd = process.files.pop(0)
    out.send(fd.door, CloseFile(task.number, fd.file, mapping=False))
