"""IA32_PASID of each thread: loaded when its first ENQCMD faults, and by nobody else.

So no bind has to find the threads of an mm, and no unbind may touch them: the PASID is the mm's
until its struct goes, and that is after its threads.

Kernel: try_fixup_enqcmd_gp of arch/x86/kernel/traps.c, 7.3; 9bfecd058339.  §8 (I16).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.process import sva_submit
from actors.process.state import Msr, Waits
from actors.process.sva_state import Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MsrCleared, MsrLoaded
from protocol.facts.accelerators import EnqcmdFaulted
from protocol.messages.accelerators import GetMmPasid, MmPasidGot
from protocol.names import INVALID_PASID, SVA_CORE, Name

if TYPE_CHECKING:
    from actors.process.sva_process import SvaProcess


def mend_gp(process: SvaProcess, task: Task, out: Out) -> None:
    """A thread whose MSR was loaded once faults for another reason: it gets its signal."""
    thread = process.threads[task.thread]
    if thread.activated:
        give_up(process, task, 0, out)
        return
    task.waits = Waits.ENQCMD
    out.send(SVA_CORE, GetMmPasid(task.number, process.mm))


def on_mm_pasid_got(process: SvaProcess, task: Task, got: MmPasidGot, out: Out) -> None:
    """With the mm's PASID the command is tried again."""
    task.waits = Waits.CALL
    if task.forgotten:
        sva_submit.land(process, task, out)
    elif got.pasid == INVALID_PASID:
        give_up(process, task, 0, out)
    else:
        load(process, task.thread, Msr(got.pasid, got.incarnation), out)
        sva_submit.submit_next(process, task, out)


def load(process: SvaProcess, number: int, msr: Msr, out: Out) -> None:
    """Valid from here on, in this thread."""
    thread = process.threads[number]
    thread.msr, thread.activated = msr, True
    out.record(MsrLoaded(thread_name(process, number), msr.pasid, msr.incarnation))


def give_up(process: SvaProcess, task: Task, pasid: int, out: Out) -> None:
    """SIGSEGV, which a script knows as EFAULT."""
    thread = process.threads[task.thread]
    name = thread_name(process, task.thread)
    out.record(EnqcmdFaulted(name, process.mm, pasid, thread.activated))
    sva_submit.give_up(process, task, Errno.EFAULT, out)


def thread_gone(process: SvaProcess, number: int, out: Out) -> None:
    """It never runs in user mode again."""
    clear(process, number, "exit", out)
    del process.threads[number]


def clear(process: SvaProcess, number: int, why: str, out: Out) -> None:
    """Nothing can be submitted with it any more."""
    thread = process.threads[number]
    if thread.msr is not None:
        name = thread_name(process, number)
        out.record(MsrCleared(name, thread.msr.pasid, thread.msr.incarnation, why))
    thread.msr = None


def file_bound(_process: SvaProcess, _task: Task, _out: Out) -> None:
    """An open has returned: no thread is told of the PASID."""


def file_closed(_process: SvaProcess, _task: Task, _out: Out) -> None:
    """A close has returned: no thread loses it."""


def thread_name(process: SvaProcess, number: int) -> Name:
    """As facts have it."""
    return f"{process.name}:{number}"
