"""A task begins behind the lock, and ends with its answer and the next one's turn (§1.6).

Kernel: an ioctl of drivers/vfio/vfio_iommu_type1.c, from entry to return.
"""

from typing import TYPE_CHECKING

from actors.vfio import lock
from actors.vfio.state import Locked
from protocol.effects import Out
from protocol.messages import AnyMessage
from protocol.names import Call

if TYPE_CHECKING:
    from actors.vfio import Vfio


def number(vfio: "Vfio") -> Call:
    """The smallest that no task has."""
    free = 1
    while free in vfio.tasks:
        free += 1
    return free


def start(vfio: "Vfio", task: Locked, out: Out) -> None:
    """It is there from now on, and runs in its turn."""
    vfio.tasks[task.number] = task
    if vfio.needs_lock(task):
        lock.take(vfio, task, out)
    else:
        vfio.begin(task, out)


def end(vfio: "Vfio", task: Locked, answer: AnyMessage | None, out: Out) -> None:
    """It has let go of the lock; answer, and let the next one in."""
    del vfio.tasks[task.number]
    if answer is not None:
        out.send(task.caller, answer)
    lock.hand_over(vfio, task.vm, out)
