"""do_exit: system calls return, then exit_mm, then exit_files; much later the mm struct goes.

exit_mm before exit_files: so the address space goes while the device may still be running, and the
driver is asked to take the hardware off it first (§5.2 of the kernel's order; S13).  exit is the
way out of a process that closed nothing, whether it was killed or simply returned.

Kernel: kernel/exit.c do_exit; kernel/fork.c __mmput; mm/mmap.c exit_mmap.  §4.10 (O6).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.process import memory, script
from actors.process.state import EXIT, INFO, Phase, Waits
from protocol.effects import Out
from protocol.facts import MmNotifierUnregistered, PageTablesFreed, ProcessExited
from protocol.messages import Done, MmRelease, PutFile, ReleaseFds
from protocol.names import IOMMU, uacce_of

if TYPE_CHECKING:
    from actors.process import Process

LAZY_TLB: Final = "lazy-tlb"
"""A CPU that still has the mm loaded keeps its struct until it switches to another."""


def die(process: Process, out: Out) -> None:
    """No task runs in user mode again; nobody will know what became of its operations."""
    if process.phase is not Phase.RUN:
        return  # It is dying already, or was never born.
    process.phase = Phase.DYING
    out.record(ProcessExited(process.name))
    for task in list(process.tasks.values()):
        task.outcome, task.forgotten = INFO, True
        script.state_outcome(task, out)
        if task.waits is Waits.DESCRIPTORS:
            script.end(process, task, out)


def go_on(process: Process, out: Out) -> None:
    """When the last system call has returned."""
    if process.phase is Phase.DYING and not process.tasks:
        exit_mm(process, out)


def exit_mm(process: Process, out: Out) -> None:
    """The task gives up its mm; a CPU may keep the struct for a while."""
    process.phase = Phase.EXIT_MM
    process.task_gone(out)
    process.mm.count += 1
    out.set_timer(LAZY_TLB)
    put_user(process, out)
    if process.mm.users:
        exit_files(process, out)


def put_user(process: Process, out: Out) -> None:
    """mmput: the last user takes the address space down, notifiers first."""
    process.mm.users -= 1
    if not process.mm.users:
        process.release(out)


def release(process: Process, out: Out) -> None:
    """mmu_notifier_release, before anything of the page tables goes (O6)."""
    this = process.mm
    if this.notifier:
        this.releasing = True
        out.send(IOMMU, MmRelease(EXIT, process.name, this.pasid, this.incarnation))
    else:
        exit_mmap(process, out)


def released(process: Process, out: Out) -> None:
    """The callback has returned, and the driver is off the list."""
    this = process.mm
    this.releasing = this.notifier = False
    if this.leaving is not None:
        who, call = this.leaving
        this.leaving = None
        out.record(MmNotifierUnregistered(process.name, this.pasid, this.incarnation))
        process.notifier_left()
        out.send(who, Done(call))
    exit_mmap(process, out)


def exit_mmap(process: Process, out: Out) -> None:
    """The page tables, then the mappings, each of which may hold a file."""
    this = process.mm
    out.record(PageTablesFreed(process.name, this.pasid, this.incarnation))
    unmap_next(process, out)


def unmap_next(process: Process, out: Out) -> None:
    """One portal after the other; then what the users together held of the struct goes."""
    if process.mapped:
        device = process.mapped.pop(0)
        out.send(uacce_of(device), PutFile(EXIT, mapping=True))
        return
    process.address_space_gone(out)
    if process.phase is Phase.EXIT_MM:
        exit_files(process, out)
    memory.drop(process, out)


def exit_files(process: Process, out: Out) -> None:
    """Every descriptor that is left, in any order."""
    process.phase = Phase.DEAD
    for device in process.devices:
        out.send(uacce_of(device), ReleaseFds(process.name))


def on_answer(process: Process, out: Out) -> None:
    """Of the callback, or of a mapping's file."""
    if process.mm.releasing:
        released(process, out)
    else:
        unmap_next(process, out)
