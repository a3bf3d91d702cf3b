"""do_exit: system calls return, then exit_mm, then exit_files; much later the mm's struct goes.

An address space that loses its last user is taken down in one order, by an exit or an exec: every
domain is told (ReleaseMm) before the page tables go, then the mappings go, each of which holds a
file.

Kernel: kernel/exit.c do_exit; kernel/fork.c __mmput; mm/mmu_notifier.c; mm/mmap.c exit_mmap.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.process import script, sva_exec, sva_mm, sva_script
from actors.process.state import EXIT, INFO, Phase, Waits
from actors.process.sva_state import TakeDown, Task
from protocol.effects import Out
from protocol.facts import PageTablesFreed, ProcessExited
from protocol.messages import ReleaseFds
from protocol.messages.accelerators import CloseFile
from protocol.messages.address_spaces import ReleaseMm
from protocol.names import IOMMU, Call, Name

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess

LAZY_TLB: Final = "lazy-tlb"
"""A CPU that still has the mm loaded keeps its struct until it switches to another."""
OF_EXIT: Final[Call] = 0


def die(process: SvaProcess, out: Out) -> None:
    """No thread runs in user mode again; nobody will know what became of its operations."""
    if process.phase is not Phase.RUN:
        return  # It is dying already, or was never born.
    process.phase = Phase.DYING
    out.record(ProcessExited(process.name))
    for task in list(process.tasks.values()):
        forget(process, task, out)


def forget(process: SvaProcess, task: Task, out: Out) -> None:
    """Its thread dies: only its system call has to return."""
    if not task.forgotten:
        task.outcome, task.forgotten = INFO, True
        script.state_outcome(task, out)
    if task.waits is Waits.DESCRIPTORS:
        sva_script.end(process, task, out)


def go_on(process: SvaProcess, out: Out) -> None:
    """When the last system call has returned."""
    if process.phase is Phase.DYING and not process.tasks:
        exit_mm(process, out)


def exit_mm(process: SvaProcess, out: Out) -> None:
    """The threads give up the mm; a CPU may keep the struct for a while."""
    process.phase = Phase.EXIT_MM
    users = len(process.threads)
    for number in list(process.threads):
        process.thread_gone(number, out)
    sva_mm.count(process, process.mm, out, count=1)
    out.set_timer(f"{LAZY_TLB}:{process.mm}")
    put_users(process, process.mm, users, OF_EXIT, out)


def put_users(process: SvaProcess, mm: Name, users: int, task: Call, out: Out) -> None:
    """mmput: the last user takes the address space down."""
    sva_mm.count(process, mm, out, users=-users)
    process.down = TakeDown(mm, task, list(process.mms[mm].notifiers))
    if process.mms[mm].users:
        done(process, process.down, out)
    else:
        process.release(out)


def release(process: SvaProcess, out: Out) -> None:
    """mmu_notifier_release, domain by domain, before anything of the page tables goes."""
    tell_next(process, _down(process), out)


def tell_next(process: SvaProcess, down: TakeDown, out: Out) -> None:
    """Whoever has left the list meanwhile is not told."""
    mm = process.mms[down.mm]
    mm.calling.pop(EXIT, None)
    while down.walk:
        domain = down.walk.pop(0)
        if domain in mm.notifiers:
            mm.notifiers.remove(domain)
            mm.calling[EXIT] = domain
            out.send(IOMMU, ReleaseMm(EXIT, domain))
            return
    sva_mm.end_graces(process, out)
    exit_mmap(process, down, out)


def exit_mmap(process: SvaProcess, down: TakeDown, out: Out) -> None:
    """The page tables, then the mappings."""
    down.mappings = True
    out.record(PageTablesFreed(down.mm, 0, 0))
    unmap_next(process, down, out)


def unmap_next(process: SvaProcess, down: TakeDown, out: Out) -> None:
    """One portal after the other; then what the users together held of the struct goes."""
    for fd in process.files:
        if fd.mapped:
            fd.mapped = False
            out.send(fd.door, CloseFile(EXIT, fd.file, mapping=True))
            return
    process.address_space_gone(down.mm, out)
    done(process, down, out)
    process.drop(down.mm, out)


def done(process: SvaProcess, down: TakeDown, out: Out) -> None:
    """Whoever has put the last user goes on."""
    process.down = None
    if down.task == OF_EXIT:
        process.phase = Phase.DEAD
        process.files.clear()
        for door in dict.fromkeys(process.doors.values()):
            out.send(door, ReleaseFds(process.name))
    else:
        sva_exec.old_gone(process, process.tasks[down.task], out)


def on_answer(process: SvaProcess, out: Out) -> None:
    """Of a callback, or of a mapping's file."""
    down = _down(process)
    if down.mappings:
        unmap_next(process, down, out)
    else:
        tell_next(process, down, out)
        sva_mm.end_graces(process, out)


def _down(process: SvaProcess) -> TakeDown:
    assert process.down is not None, "an address space is on its way out"
    return process.down
