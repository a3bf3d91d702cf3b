"""pasid_mutex: binds, unbinds, the FREE work and page responses take it, in order of asking.

The PRQ thread and the FREE notification do not.  Its holder may wait for the core, for a unit, for
the PRQ thread and for VFIO's FlushFaults, none of which waits for it.

Kernel: pasid_mutex in drivers/iommu/intel/svm.c.  §1.7, §4.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.iommu_driver.native_state import MmStep
from actors.iommu_driver.state import (
    MUTEX,
    Bind,
    Locker,
    Response,
    Step,
    Unbind,
    Work,
    name_of,
)
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, LockWaited

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def take(driver: IommuDriver, task: Locker, out: Out) -> None:
    """The task goes on (`locked`) when its turn has come: not before the end of this input."""
    mutex = driver.pasid_mutex
    if mutex.holder is not None or mutex.waiters:
        out.record(LockWaited(MUTEX, "mutex", name_of(task)))
    mutex.waiters.append(task.number)


def release(driver: IommuDriver, task: Locker, out: Out) -> None:
    """Only the holder lets go."""
    assert driver.may_let_go(task), f"{name_of(task)} does not hold {MUTEX}"
    driver.pasid_mutex.holder = None
    out.record(LockReleased(MUTEX, "mutex", name_of(task)))


def may_let_go(driver: IommuDriver, task: Locker) -> bool:
    """Whether the task holds the mutex."""
    return driver.pasid_mutex.holder == task.number


def hand_over(driver: IommuDriver, out: Out) -> None:
    """A free mutex goes to whoever has waited longest."""
    mutex = driver.pasid_mutex
    while mutex.holder is None and mutex.waiters:
        task = driver.tasks[mutex.waiters.pop(0)]
        assert isinstance(task, Locker), "only these ask for the mutex"
        mutex.holder = task.number
        out.record(LockTaken(MUTEX, "mutex", name_of(task)))
        locked(driver, task, out)


def locked(driver: IommuDriver, task: Locker, out: Out) -> None:
    """The task holds the mutex now, for the first time or again in the middle of its drain."""
    match task:
        case Bind(step=MmStep.MUTEX) | Unbind(step=MmStep.MUTEX):
            driver.begin_mm(task, out)
        case Bind(step=Step.MUTEX):
            driver.find_pasid(task, out)
        case Unbind(step=Step.MUTEX):
            driver.unbind_device(task, out)
        case Work(step=Step.MUTEX):
            driver.next_device(task, out)
        case Response():
            driver.respond(task, out)
        case Bind() | Unbind() | Work():
            driver.answer_pending(task, out)
        case _:
            assert_never(task)
