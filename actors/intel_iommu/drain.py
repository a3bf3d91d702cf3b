"""The drain: the page requests of one (device, PASID) that had come in before the gate was closed.

Those in the ring are taken out by the PRQ thread; those that it has reported are the fault core's,
whose work is flushed; those on their way a fenced invalidation brings in, again after an overflow.
Any device that can ask for pages is drained: Linux 7.3 passes over one that has no domain with a
handler, and its requests may then meet the PASID's next domain.

Kernel: intel_iommu_drain_pasid_prq in drivers/iommu/intel/prq.c.  §8 (I26).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.state import Do, Place, Task, What
from actors.intel_iommu.tasks import answered, ask, new_task, run
from actors.intel_iommu.teardown import flush_begins, life_of
from protocol.domains import NULL
from protocol.effects import Out
from protocol.facts import DrainScanned, SleepMay
from protocol.messages import (
    DrainRequests,
    DrainRequestsGot,
    PageRequest,
    ReadPrq,
    ReadPrqGot,
    ReturnToService,
)
from protocol.messages.address_spaces import FlushIopfDevice
from protocol.messages.guests import SettleAnswers
from protocol.names import IOPF, Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def begin_drain(driver: IntelIommu, task: Task, out: Out) -> bool:
    """It sleeps."""
    if driver.is_drained(task):
        out.record(SleepMay(task.title, "drain"))
        task.todo[:0] = driver.drain_steps(task)
    return True


def is_drained(driver: IntelIommu, task: Task) -> bool:
    """Only a device with PRI can have asked for a page."""
    return driver.devices[task.place.device].pri


def drain_steps(_driver: IntelIommu, _task: Task) -> list[Do]:
    """The ring, the fault core, the hardware."""
    return [Do(What.SCAN), Do(What.FLUSH_FAULTS), Do(What.FENCE)]


def scan_ring(driver: IntelIommu, task: Task, out: Out) -> bool:
    """Look at the ring without taking anything from it."""
    unit = driver.devices[task.place.device].unit
    return ask(task, unit, ReadPrq(task.number, thread=False), out)


def ring_scanned(driver: IntelIommu, task: Task, ring: ReadPrqGot, out: Out) -> None:
    """While one of ours is there, the PRQ thread has to pass once more."""
    found = sum(1 for request in ring.requests if driver.is_of(task, request))
    place = task.place
    out.record(DrainScanned(place.device, place.pasid, place.incarnation, found))
    if found:
        await_round(driver, task, What.SCAN, out)
    else:
        answered(driver, task, out)


def is_of(_driver: IntelIommu, task: Task, request: PageRequest) -> bool:
    """Whether the drain is for it; after a reset, for all of the device's."""
    any_pasid = task.name == "reset"
    place = task.place
    return request.device == place.device and (any_pasid or request.pasid == place.pasid)


def await_round(driver: IntelIommu, task: Task, then: What, out: Out) -> None:
    """prq_complete; with no round under way it is complete already."""
    task.todo.insert(0, Do(then))
    task.whom, task.awaits = "", True
    unit = driver.devices[task.place.device].unit
    if driver.round_of(unit) is None:
        answered(driver, task, out)


def flush_faults(driver: IntelIommu, task: Task, out: Out) -> bool:
    """All that was reported is dealt with, or answered; a device that is not there has nothing."""
    device = task.place.device
    if driver.iopf.get(device, 0) == 0:
        return True
    return ask(task, IOPF, FlushIopfDevice(task.number, device), out)


def fence(driver: IntelIommu, task: Task, out: Out) -> bool:
    """What the device posted before is in the ring or answered."""
    if task.name == "reset":
        unit: Name = driver.devices[task.place.device].unit
    else:
        unit = flush_begins(driver, task, "drain", out)
    return ask(task, unit, DrainRequests(*life_of(task)), out)


def fenced(driver: IntelIommu, task: Task, drained: DrainRequestsGot, out: Out) -> None:
    """An overflow may have swallowed a request of ours that the device will repeat."""
    if drained.overflow and task.name != "reset":
        await_round(driver, task, What.FENCE, out)
    else:
        answered(driver, task, out)


def on_device_reset(driver: IntelIommu, device: Name, out: Out) -> None:
    """What the device had posted comes in and is dealt with; then it may work again."""
    task = new_task(driver, "reset", NULL, 0, Place(device, 0, 0))
    steps = (What.FENCE, What.SCAN, What.FLUSH_FAULTS, What.FENCE, What.RETURN)
    task.todo = [Do(what) for what in steps]
    run(driver, task, out)


def on_settle(driver: IntelIommu, settle: SettleAnswers, iopf: Name, out: Out) -> None:
    """A flush of the device TLB is complete when what was answered before has arrived (§5.5)."""
    place = Place(settle.device, settle.pasid, settle.incarnation)
    task = new_task(driver, "settle", iopf, settle.call, place)
    task.todo = [Do(What.FETCH)]
    run(driver, task, out)


def return_to_service(_driver: IntelIommu, task: Task, out: Out) -> bool:
    """What the device had asked for is drained and discarded (O18)."""
    out.send(task.place.device, ReturnToService())
    return True
