"""`pasid_lock`: all that one process does with its PASIDs happens one after the other (§1.7, §4.1).

v8 of the series dropped it, and bind raced with free (S10).

Kernel: drivers/vfio/vfio_pasid.c, vfio_mm::pasid_lock.
"""

from typing import TYPE_CHECKING

from actors.vfio.state import NOBODY, Locked, Respond
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited
from protocol.names import Name

if TYPE_CHECKING:
    from actors.vfio import Vfio

KIND = "mutex"


def lock_of(vm: Name) -> str:
    """The lock's name in the facts."""
    return f"pasid_lock:{vm}"


def take(vfio: "Vfio", task: Locked, out: Out) -> None:
    """Go on with the lock, now or in turn."""
    process = vfio.processes[task.vm]
    if process.holder != NOBODY:
        process.waiting.append(task.number)
        out.record(LockWaited(lock_of(task.vm), KIND, task.name))
        return

    process.holder = task.number
    out.record(LockTaken(lock_of(task.vm), KIND, task.name))
    vfio.begin(task, out)


def release(vfio: "Vfio", task: Locked, out: Out) -> None:
    """Let it go, if it is ours."""
    process = vfio.processes[task.vm]
    if process.holder == task.number:
        process.holder = NOBODY
        out.record(LockReleased(lock_of(task.vm), KIND, task.name))


def hand_over(vfio: "Vfio", vm: Name, out: Out) -> None:
    """Whoever has waited longest is next."""
    process = vfio.processes[vm]
    if process.holder != NOBODY or not process.waiting:
        return

    task = vfio.tasks[process.waiting.pop(0)]
    assert not isinstance(task, Respond), "a page response waits for no lock"
    take(vfio, task, out)
