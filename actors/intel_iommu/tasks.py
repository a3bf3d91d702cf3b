"""How a task goes on: its steps one after the other, each to its answer; what failed is undone.

A step may put others in front of what is left.  A spinlock that is kept by somebody else is waited
for with the step put back.

Kernel: none; a thread that calls and waits.  §1.3, §1.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.intel_iommu.locks import Lock
from actors.intel_iommu.order import insert, smallest_free
from actors.intel_iommu.state import Do, Place, Task, What
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.messages import AnyMessage, Done, DrainRequestsGot, ReadPrqGot, Refused
from protocol.names import Call, Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu

SPINLOCK: Final = "spinlock"
NOWHERE: Final = Place("", 0, 0)
INVERSE: Final = {
    What.TAG: What.UNTAG,
    What.LINK: What.UNLINK,
    What.IOPF_GET: What.IOPF_PUT,
    What.IOPF_PUT: What.IOPF_GET,
    What.UNLINK: What.LINK,
    What.UNTAG: What.TAG,
}
"""What takes a step back; the others change nothing that stays, or cannot fail any more."""


def new_task(driver: IntelIommu, name: str, asker: Name, call: Call, place: Place) -> Task:
    """With the smallest number that is free."""
    task = Task(smallest_free(driver.tasks), name, asker, call, place)
    insert(driver.tasks, task.number, task)
    return task


def state_thread(task: Task, out: Out) -> None:
    """A task that takes spinlocks runs in the thread of whoever has called, with its locks."""
    out.record(ThreadEntered(task.title, f"{task.asker}/{task.call}"))


def run(driver: IntelIommu, task: Task, out: Out) -> None:
    """Until a step has to wait, or the task is over."""
    while task.todo:
        task.doing = task.todo.pop(0)
        if not driver.begin(task, task.doing, out):
            return
        step_over(task)
    driver.finish(task, out)


def step_over(task: Task) -> None:
    """What can be undone is remembered, unless it is being undone."""
    do = task.doing
    task.doing, task.whom, task.awaits = None, "", False
    if do is not None and do.what in INVERSE and task.errno is None:
        task.done.append(do)


def fail(driver: IntelIommu, task: Task, errno: Errno, out: Out) -> None:
    """What was done is undone, the last first."""
    task.doing, task.whom = None, ""
    task.errno = errno
    task.todo = driver.undo(task)
    task.done = []
    run(driver, task, out)


def undo(_driver: IntelIommu, task: Task) -> list[Do]:
    """Errors unwind in reverse."""
    return [Do(INVERSE[do.what], do.domain) for do in reversed(task.done)]


def ask(task: Task, whom: Name, message: AnyMessage, out: Out) -> bool:
    """The step is over when it is answered."""
    task.whom = whom
    out.send(whom, message)
    return False


def on_answer(
    driver: IntelIommu, answer: Done | Refused | ReadPrqGot | DrainRequestsGot, out: Out
) -> None:
    """To a call of a task, or of the PRQ thread."""
    task = driver.tasks[answer.call]
    if not isinstance(task, Task):
        driver.round_goes_on(task, answer, out)
        return
    errno = answer.errno if isinstance(answer, Refused) else None
    what = None if task.doing is None else task.doing.what
    if isinstance(answer, ReadPrqGot):
        driver.ring_scanned(task, answer, out)
    elif isinstance(answer, DrainRequestsGot):
        driver.fenced(task, answer, out)
    elif errno is not None and task.errno is None and what in MAY_FAIL:
        driver.refused(task, errno, out)
    else:
        if what is What.IOPF_GET:
            driver.iopf_got(task, out)
        driver.answered(task, out)


MAY_FAIL: Final = (What.IOPF_GET, What.WRITE, What.NOTIFIER)
"""Steps that a refusal ends; a device that is gone, or a queue that it is not on, ends none."""


def answered(driver: IntelIommu, task: Task, out: Out) -> None:
    """The step that has asked is over."""
    step_over(task)
    run(driver, task, out)


# --- Spinlocks ------------------------------------------------------------------------------------


def enter(driver: IntelIommu, task: Task, lock: str, out: Out) -> bool:
    """Taken, or the step is put back and waits.  Whoever enters leaves in the same input."""
    held = driver.locks.get(lock)
    if held is not None and held.holder != task.number:
        out.record(LockWaited(lock, SPINLOCK, task.title))
        held.waiting.append(task.number)
        if task.doing is not None:
            task.todo.insert(0, task.doing)
        return False
    if held is None:
        out.record(LockTaken(lock, SPINLOCK, task.title))
    return True


def leave(driver: IntelIommu, task: Task, lock: str, out: Out) -> None:
    """Unless the task keeps it."""
    if lock not in driver.locks:
        out.record(LockReleased(lock, SPINLOCK, task.title))


def keep(driver: IntelIommu, task: Task, lock: str, out: Out) -> bool:
    """Taken until it is let go, or the step is put back and waits."""
    if not enter(driver, task, lock, out):
        return False
    driver.locks[lock] = Lock(task.number)
    return True


def let_go(driver: IntelIommu, task: Task, lock: str, out: Out) -> None:
    """Whoever has waited goes on, in the order of asking."""
    waiting = driver.locks.pop(lock).waiting
    out.record(LockReleased(lock, SPINLOCK, task.title))
    for number in waiting:
        other = driver.tasks[number]
        assert isinstance(other, Task), "the PRQ thread takes none of them"
        run(driver, other, out)


def on_lost(driver: IntelIommu, name: Name, out: Out) -> None:
    """Whoever waits for its answer takes it as refused; a device is gone from here on."""
    if name in driver.devices:
        driver.gone.append(name)
    for task in list(driver.tasks.values()):
        if isinstance(task, Task) and task.whom == name:
            on_answer(driver, Refused(task.number, Errno.ENODEV), out)


def awaits_round(driver: IntelIommu, task: Task, unit: Name) -> bool:
    """Whether its drain waits for the PRQ thread of that unit."""
    return task.awaits and driver.devices[task.place.device].unit == unit
