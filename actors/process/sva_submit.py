"""`dma`, `fault` and `stray`: a thread submits with its IA32_PASID, or to a dedicated WQ's portal.

ENQCMD takes the PASID from the MSR and asks nobody; without a valid one it faults (#GP), and the
kernel may mend that.  Without the portal mapped any store faults: EFAULT, where there is a signal.

Kernel: arch/x86/kernel/traps.c of 7.3; Documentation/arch/x86/sva.rst.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.process import sva_script
from actors.process.state import OK, Waits
from actors.process.submit import FIRST_ABSENT
from actors.process.sva_mm import STRAY
from actors.process.sva_state import Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import EnqcmdIssued, EnqcmdRetired
from protocol.messages import (
    DescriptorDone,
    EnqcmdWrite,
    EnqcmdWriteGot,
    HostLost,
    Status,
    SubmitDescriptor,
)

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess


def begin(process: SvaProcess, task: Task, out: Out) -> None:
    """So many descriptors, one after the other."""
    task.left = task.step.count
    submit_next(process, task, out)


def submit_next(process: SvaProcess, task: Task, out: Out) -> None:
    """The next one, while the portal is mapped and the thread has a PASID."""
    device = task.step.device
    while task.left and not task.forgotten:
        mapped = any(fd.mapped and fd.device == device for fd in process.files)
        if not mapped or device in process.lost:
            give_up(process, task, Errno.EFAULT, out)
            return
        if device not in process.dedicated:
            enqcmd(process, task, out)
            return
        page = take_off(process, task)
        there = is_mapped(process, task, page)
        out.send(device, SubmitDescriptor(task.tag, page, there, process.mm))
    land(process, task, out)


def enqcmd(process: SvaProcess, task: Task, out: Out) -> None:
    """With the value that the thread's MSR has at this moment."""
    msr = process.threads[task.thread].msr
    if msr is None:
        process.mend_gp(task, out)
        return
    device = task.step.device
    page = take_off(process, task)
    task.waits, task.msr = Waits.ENQCMD, msr
    out.record(EnqcmdIssued(process.mm, device, msr.pasid, msr.incarnation))
    out.send(
        device,
        EnqcmdWrite(
            call=task.number,
            vm=process.mm,
            pasid=msr.pasid,
            incarnation=msr.incarnation,
            tag=task.tag,
            page=page,
            mapped=is_mapped(process, task, page),
        ),
    )


def take_off(process: SvaProcess, task: Task) -> int:
    """A tag that no other descriptor of the process has, and the page that it touches."""
    taken = [tag for other in process.tasks.values() for tag in other.flying]
    task.tag = 1
    while task.tag in taken:
        task.tag += 1
    task.flying.append(task.tag)
    task.left -= 1
    if task.step.operation == "dma":
        return task.step.count - task.left
    process.faulted += 1
    return (STRAY if task.step.operation == "stray" else FIRST_ABSENT) + process.faulted


def is_mapped(process: SvaProcess, task: Task, page: int) -> bool:
    """Whether the page table has the page when the descriptor is submitted."""
    return task.step.operation == "dma" and page not in process.mms[process.mm].unmapped


def on_retired(process: SvaProcess, task: Task, got: EnqcmdWriteGot, out: Out) -> None:
    """The command is in the device, or the queue is full or stopped."""
    assert task.msr is not None, "it was issued with a PASID"
    device = task.step.device
    out.record(EnqcmdRetired(process.mm, device, task.msr.pasid, task.msr.incarnation))
    task.waits, task.msr = Waits.CALL, None
    if got.accepted:
        submit_next(process, task, out)
    else:
        task.flying = [tag for tag in task.flying if tag != task.tag]
        give_up(process, task, Errno.EAGAIN, out)


def give_up(process: SvaProcess, task: Task, errno: Errno, out: Out) -> None:
    """No more of them; those that are in the device are waited for."""
    task.outcome = errno.value if task.outcome == OK else task.outcome
    task.left = 0
    land(process, task, out)


def land(process: SvaProcess, task: Task, out: Out) -> None:
    """Over when all have been completed; a dying process waits for none."""
    task.waits = Waits.DESCRIPTORS
    if not task.flying or task.forgotten:
        sva_script.end(process, task, out)


def on_descriptor_done(process: SvaProcess, done: DescriptorDone, out: Out) -> None:
    """A completion record; nobody reads that of a forgotten operation, or of a write()."""
    for task in list(process.tasks.values()):
        if done.tag in task.flying and task.step.device == done.device:
            task.flying.remove(done.tag)
            if done.status is not Status.SUCCESS and task.outcome == OK:
                task.outcome = done.status.value
            if task.waits is Waits.DESCRIPTORS:
                land(process, task, out)
            return


def on_host_lost(process: SvaProcess, lost: HostLost, out: Out) -> None:
    """What is in a device that was pulled out is never completed; its portal faults."""
    if lost.name not in process.doors:
        return
    process.lost = sorted([*process.lost, lost.name])
    for task in list(process.tasks.values()):
        waits = task.flying or (task.waits is Waits.ENQCMD and task.msr is not None)
        if task.step.device == lost.name and waits:
            task.flying, task.msr, task.left = [], None, 0
            task.outcome = Status.ABORT.value if task.outcome == OK else task.outcome
            land(process, task, out)
