"""Answers to the driver's calls: each finds its task by the call's number, and the task goes on.

Kernel: where drivers/iommu/intel/svm.c returns from a call.  §1.6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never

from actors.iommu_driver import native, reset
from actors.iommu_driver.native_state import MmStep, Release
from actors.iommu_driver.prq import end_round
from actors.iommu_driver.reset_state import Reset
from actors.iommu_driver.state import Bind, Operation, Registration, Round, Unbind, Work
from protocol.effects import Out
from protocol.messages import (
    Done,
    DrainRequestsGot,
    FindPasidGot,
    PutPasidGot,
    ReadPrqGot,
    Refused,
)

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver

Answer: TypeAlias = Done | Refused | FindPasidGot | PutPasidGot | ReadPrqGot | DrainRequestsGot


def on_answer(driver: IommuDriver, answer: Answer, out: Out) -> None:
    """One handler per kind of answer; the task's step says which call it was."""
    match answer:
        case Done():
            on_done(driver, answer, out)
        case FindPasidGot():
            on_find_pasid_got(driver, answer, out)
        case PutPasidGot():
            on_put_pasid_got(driver, answer, out)
        case ReadPrqGot():
            on_read_prq_got(driver, answer, out)
        case DrainRequestsGot():
            on_drain_requests_got(driver, answer, out)
        case Refused():
            on_refused(driver, answer, out)
        case _:
            assert_never(answer)


def on_done(driver: IommuDriver, done: Done, out: Out) -> None:
    """The call has succeeded."""
    task = driver.tasks[done.call]
    match task:
        case Bind() | Unbind() | Work():
            operation_goes_on(driver, task, out)
        case Round():
            end_round(driver, task, out)
        case Release():
            driver.release_goes_on(task, out)
        case Registration():
            del driver.tasks[task.number]
        case _:
            raise AssertionError("a page response waits for the mutex and for no answer")


def operation_goes_on(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Of a process, of a guest's bind, or of a teardown."""
    if type(task.step) is MmStep:
        native.goes_on(driver, task, out)
    elif isinstance(task, Bind):
        driver.bind_goes_on(task, out)
    else:
        driver.teardown_goes_on(task, out)


def on_refused(driver: IommuDriver, refused: Refused, out: Out) -> None:
    """The call has failed.  A bind fails with it; a teardown goes on."""
    task = driver.tasks[refused.call]
    match task:
        case Bind() | Unbind() | Work() if type(task.step) is MmStep:
            native.refused(driver, task, refused.errno, out)
        case Release():
            driver.release_goes_on(task, out)
        case Bind():
            driver.bind_refused(task, refused.errno, out)
        case Unbind() | Work():
            driver.teardown_refused(task, out)
        case _:
            raise AssertionError("no call of the PRQ thread or at the start can be refused")


def on_find_pasid_got(driver: IommuDriver, found: FindPasidGot, out: Out) -> None:
    """The PASID exists."""
    task = driver.tasks[found.call]
    assert isinstance(task, Bind), "only bind looks a PASID up"
    driver.pasid_found(task, out)


def on_put_pasid_got(driver: IommuDriver, got: PutPasidGot, out: Out) -> None:
    """Whether that reclaimed the PASID is nothing to us."""
    task = driver.tasks[got.call]
    assert isinstance(task, Operation), "only the end of an svm puts"
    if isinstance(task.step, MmStep):
        native.goes_on(driver, task, out)
    else:
        driver.finish(task, out)


def on_read_prq_got(driver: IommuDriver, ring: ReadPrqGot, out: Out) -> None:
    """For the PRQ thread, or for a drain that only looks."""
    task = driver.tasks[ring.call]
    if isinstance(task, Round):
        driver.ring_read(task, ring, out)
    elif isinstance(task, Reset):
        reset.scanned(driver, task, ring, out)
    else:
        assert isinstance(task, Operation), "only the PRQ thread and drains read the ring"
        driver.ring_scanned(task, ring, out)


def on_drain_requests_got(driver: IommuDriver, drained: DrainRequestsGot, out: Out) -> None:
    """What the device had posted has arrived."""
    task = driver.tasks[drained.call]
    if isinstance(task, Reset):
        reset.fenced(driver, task, out)
    else:
        assert isinstance(task, Operation), "only a drain drains"
        driver.requests_drained(task, drained, out)
