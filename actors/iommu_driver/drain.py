"""The drain: take out the page requests that had passed the gate before it was closed.

First those in the ring, by the PRQ thread; then those reported, which nobody else will answer any
more; then those on their way, by a fenced invalidation.  In the middle the mutex is let go, because
a page response may stand between VFIO and its answer.  Meanwhile the device is UNLINKED: binding it
is EBUSY, unbinding it is done, its domain stays.

Kernel: intel_svm_drain_prq in drivers/iommu/intel/svm.c (5.13 and later).  §4.3 (mends S12, S34c).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver import lock
from actors.iommu_driver.state import Operation, Round, Step, Svm, name_of
from actors.iommu_driver.teardown import flush_begins
from protocol.effects import Out
from protocol.facts import DrainScanned, MemoryUsed, SleepMay
from protocol.messages import (
    DrainRequests,
    DrainRequestsGot,
    FlushFaults,
    PageGroupResponse,
    ReadPrq,
    ReadPrqGot,
    ResponseCode,
)
from protocol.names import VFIO, Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def begin_drain(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Only a device with PRI can have asked for a page."""
    if not driver.pri[task.device]:
        driver.torn_down(task, out)
        return
    out.record(SleepMay(name_of(task), "drain"))
    driver.scan_ring(task, out)


def scan_ring(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Look at the ring without taking anything from it."""
    svm = driver.svms[task.pasid]
    task.step = Step.READ_PRQ
    out.send(driver.unit_of(svm, task.device), ReadPrq(task.number, thread=False))


def ring_scanned(driver: IommuDriver, task: Operation, ring: ReadPrqGot, out: Out) -> None:
    """While one of ours is there, the PRQ thread has to pass once more."""
    svm = driver.svms[task.pasid]
    ours = (task.device, task.pasid)
    found = sum(1 for request in ring.requests if (request.device, request.pasid) == ours)
    out.record(DrainScanned(task.device, svm.pasid, svm.incarnation, found))
    if found:
        await_round(driver, task, Step.ROUND_THEN_SCAN, out)
    else:
        driver.flush_faults(task, out)


def await_round(driver: IommuDriver, task: Operation, step: Step, out: Out) -> None:
    """prq_complete; with no round under way it is complete already."""
    task.step = step
    unit = driver.unit_of(driver.svms[task.pasid], task.device)
    if round_of(driver, unit) is None:
        round_ended(driver, task, out)


def round_of(driver: IommuDriver, unit: Name) -> Round | None:
    """The round that is under way, if there is one."""
    rounds = (task for task in driver.tasks.values() if isinstance(task, Round))
    return next((one for one in rounds if one.unit == unit), None)


def awaits_round(driver: IommuDriver, task: Operation, unit: Name) -> bool:
    """Whether the task is a drain that waits for this unit's PRQ thread."""
    if task.step not in (Step.ROUND_THEN_SCAN, Step.ROUND_THEN_DRAIN):
        return False
    return driver.unit_of(driver.svms[task.pasid], task.device) == unit


def round_ended(driver: IommuDriver, task: Operation, out: Out) -> None:
    """What the task wanted the round for."""
    if task.step is Step.ROUND_THEN_SCAN:
        driver.scan_ring(task, out)
    else:
        driver.drain_requests(task, out)


def flush_faults(driver: IommuDriver, task: Operation, out: Out) -> None:
    """All that was reported reaches its consumer, which may need the mutex for an answer."""
    task.step = Step.FLUSH_FAULTS
    lock.release(driver, task, out)
    consumer = consumer_of(driver.svms[task.pasid])
    out.send(consumer, FlushFaults(task.number, task.device))


def consumer_of(svm: Svm) -> Name:
    """Who deals with its faults: VFIO for a guest, the mm itself for a process."""
    return svm.vm if svm.native else VFIO


def answer_pending(driver: IommuDriver, task: Operation, out: Out) -> None:
    """INVALID to whatever its consumer has left unanswered: it will find no svm_dev any more."""
    svm = driver.svms[task.pasid]
    out.record(MemoryUsed("sdev", svm.object(task.device)))
    pending = svm.devices[task.device].pending
    unit = driver.unit_of(svm, task.device)
    for group in list(pending):
        response = PageGroupResponse(
            device=task.device,
            pasid=svm.pasid,
            incarnation=pending.pop(group),
            group=group,
            code=ResponseCode.INVALID,
            mapped=False,
        )
        driver.answer_group(unit, response, 0, out)
    driver.drain_requests(task, out)


def drain_requests(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Behind a fence: what the device posted before is in the ring or answered."""
    svm = driver.svms[task.pasid]
    task.step = Step.DRAIN_REQUESTS
    flush_begins(driver, task, "drain", out)
    out.send(
        driver.flush_unit_of(svm, task.device),
        DrainRequests(task.number, task.device, svm.pasid, svm.incarnation),
    )


def requests_drained(
    driver: IommuDriver, task: Operation, drained: DrainRequestsGot, out: Out
) -> None:
    """An overflow may have swallowed a request of ours that the device will repeat."""
    if drained.overflow:
        await_round(driver, task, Step.ROUND_THEN_DRAIN, out)
    else:
        driver.torn_down(task, out)
