"""`dma` and `fault`: a task submits with its IA32_PASID, or to the portal of its dedicated WQ.

ENQCMD takes the PASID from the MSR and asks nobody; without a valid one it faults (#GP), and
without the portal mapped any store does: both end in EFAULT here, where the kernel sends a signal.

Kernel: arch/x86/kernel/traps.c; Documentation/arch/x86/sva.rst.  §4.10.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.process import ia32_pasid, script
from actors.process.state import OK, Operation, Waits
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import EnqcmdIssued, EnqcmdRetired
from protocol.messages import (
    DescriptorDone,
    EnqcmdWrite,
    EnqcmdWriteGot,
    Status,
    SubmitDescriptor,
)

if TYPE_CHECKING:
    from actors.process import Process

FIRST_ABSENT: Final = 1 << 16
"""Pages below it are mapped; each `fault` touches the next one from here on."""


def begin(process: Process, task: Operation, out: Out) -> None:
    """So many descriptors, one after the other."""
    task.left = task.step.count
    submit_next(process, task, out)


def submit_next(process: Process, task: Operation, out: Out) -> None:
    """The next one, while the portal is mapped and the CPU has a PASID."""
    device = task.step.device
    while task.left and not task.forgotten:
        if device not in process.mapped:
            give_up(process, task, Errno.EFAULT, out)
            return
        if device not in process.dedicated:
            enqcmd(process, task, out)
            return
        page = take_off(process, task)
        out.send(device, SubmitDescriptor(task.tag, page, task.step.operation == "dma"))
    land(process, task, out)


def enqcmd(process: Process, task: Operation, out: Out) -> None:
    """With the value that the MSR has at this moment."""
    msr = process.msr_for_enqcmd(out)
    if msr is None:
        give_up(process, task, Errno.EFAULT, out)
        return
    device = task.step.device
    page = take_off(process, task)
    task.waits, task.msr = Waits.ENQCMD, msr
    out.record(EnqcmdIssued(process.name, device, msr.pasid, msr.incarnation))
    out.send(
        device,
        EnqcmdWrite(
            call=task.number,
            vm=process.name,
            pasid=msr.pasid,
            incarnation=msr.incarnation,
            tag=task.tag,
            page=page,
            mapped=task.step.operation == "dma",
        ),
    )


def take_off(process: Process, task: Operation) -> int:
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
    return FIRST_ABSENT + process.faulted


def on_retired(process: Process, task: Operation, got: EnqcmdWriteGot, out: Out) -> None:
    """The command is in the device, or the queue is full or stopped."""
    assert task.msr is not None, "it was issued with a PASID"
    device = task.step.device
    out.record(EnqcmdRetired(process.name, device, task.msr.pasid, task.msr.incarnation))
    task.waits, task.msr = Waits.CALL, None
    ia32_pasid.clear_awaited(process, out)
    if got.accepted:
        submit_next(process, task, out)
    else:
        task.flying = [tag for tag in task.flying if tag != task.tag]
        give_up(process, task, Errno.EAGAIN, out)


def give_up(process: Process, task: Operation, errno: Errno, out: Out) -> None:
    """No more of them; those that are in the device are waited for."""
    task.outcome = errno.value if task.outcome == OK else task.outcome
    task.left = 0
    land(process, task, out)


def land(process: Process, task: Operation, out: Out) -> None:
    """Over when all have been completed; a dying process waits for none."""
    task.waits = Waits.DESCRIPTORS
    if not task.flying or task.forgotten:
        script.end(process, task, out)


def on_descriptor_done(process: Process, done: DescriptorDone, out: Out) -> None:
    """A completion record; nobody reads that of a forgotten operation."""
    for task in list(process.tasks.values()):
        if done.tag in task.flying and task.step.device == done.device:
            task.flying.remove(done.tag)
            if done.status is not Status.SUCCESS and task.outcome == OK:
                task.outcome = done.status.value
            if task.waits is Waits.DESCRIPTORS:
                land(process, task, out)
            return
