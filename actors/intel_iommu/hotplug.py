"""A device that goes: no page request of it is reported any more, and its hardware is taken down.

The PRQ thread has the lock of its unit from where it looks a device up until the fault core has the
request, and release takes that lock: no report outlives its device (def054b01a86).  What the ring
has of it then the thread answers itself.  Whatever is still attached is detached here.

Kernel: intel_iommu_probe_device, intel_iommu_release_device of Linux 7.3, which drops the whole
PASID table; iommu->iopf_lock.  §8 (I39).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.attach import state_outcome
from actors.intel_iommu.prq import iopf_lock
from actors.intel_iommu.state import Do, Place, Task, What
from actors.intel_iommu.tasks import enter, leave, new_task, run, state_thread
from protocol.domains import BLOCKING
from protocol.effects import Out
from protocol.facts.intel_iommu import DeviceProbed, DeviceReleased
from protocol.messages import Done
from protocol.messages.hotplug import ProbeDevice, ReleaseDevice
from protocol.names import Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def on_probe(driver: IntelIommu, probe: ProbeDevice, core: Name, out: Out) -> None:
    """Into the tree that the PRQ thread looks in."""
    if probe.device in driver.released:
        driver.released.remove(probe.device)
    out.record(DeviceProbed(probe.device))
    out.send(core, Done(probe.call))


def on_release(driver: IntelIommu, release: ReleaseDevice, core: Name, out: Out) -> None:
    """Out of the tree first, so that nothing new is reported; then place by place."""
    task = new_task(driver, "unplug", core, release.call, Place(release.device, 0, 0))
    state_thread(task, out)
    task.domain = BLOCKING.name
    task.todo = [Do(What.FORGET), Do(What.LEAVE)]
    run(driver, task, out)


def forget_device(driver: IntelIommu, task: Task, out: Out) -> bool:
    """When no request of the unit is being reported."""
    device = task.place.device
    lock = iopf_lock(driver.devices[device].unit)
    if not enter(driver, task, lock, out):
        return False
    driver.released.append(device)
    out.record(DeviceReleased(device))
    leave(driver, task, lock, out)
    return True


def leave_next(driver: IntelIommu, task: Task, out: Out) -> bool:
    """As a detach of what is there."""
    device = task.place.device
    places = [(one.name, place) for one in driver.domains.values() for place in one.places]
    for name, place in places:
        if place.device == device:
            task.place, task.old = place, name
            task.todo[:0] = [*driver.detach_steps(task, out), Do(What.LEFT), Do(What.LEAVE)]
            return True
    return True


def left(driver: IntelIommu, task: Task, out: Out) -> bool:
    """The device has it no more."""
    state_outcome(driver, task, out)
    return True
