"""References on page faults: a device is on the fault core's queue while some domain wants them.

Without PRI there is nothing to be had: SVA does without, as the device may have ways of its own;
any other domain with a handler is refused.

Kernel: intel_iommu_enable_iopf, intel_iommu_disable_iopf, iopf_for_domain_replace of 7.3.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.intel_iommu.state import DomainState, Task
from actors.intel_iommu.tasks import ask, fail
from protocol.domains import NULL, SVA
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import SleepMay
from protocol.facts.intel_iommu import IopfDeviceAdded, IopfDeviceLeaves, IopfReferenced
from protocol.messages.address_spaces import AddIopfDevice, RemoveIopfDevice
from protocol.names import IOPF, Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu


def handles_faults(_driver: IntelIommu, domain: DomainState) -> bool:
    """SVA always does, others if they were made so."""
    return domain.kind == SVA or domain.faults


def counts_faults(driver: IntelIommu, name: Name, device: Name, out: Out) -> bool:
    """Whether the domain has a reference on the device."""
    if name == NULL or not driver.devices[device].pri:
        return False
    return driver.handles_faults(driver.domain(name, out))


def get(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """The first puts the device on the queue; ENODEV without PRI, else what the fault core says."""
    device, domain = task.place.device, driver.domain(name, out)
    if not driver.handles_faults(domain) or (domain.kind == SVA and not driver.devices[device].pri):
        return True
    if not driver.devices[device].pri:
        fail(driver, task, Errno.ENODEV, out)
        return False
    if driver.iopf.get(device, 0):
        count(driver, device, 1, out)
        return True
    out.record(SleepMay(task.title, "iopf"))
    return ask(task, IOPF, AddIopfDevice(task.number, device), out)


def got(driver: IntelIommu, task: Task, out: Out) -> None:
    """The device is on the queue."""
    out.record(IopfDeviceAdded(task.place.device))
    count(driver, task.place.device, 1, out)


def put(driver: IntelIommu, task: Task, name: Name, out: Out) -> bool:
    """The last takes the device off the queue; there is nothing to be had there any more."""
    device = task.place.device
    if not driver.counts_faults(name, device, out) or driver.iopf.get(device, 0) == 0:
        return True
    count(driver, device, -1, out)
    if device in driver.iopf:
        return True
    out.record(SleepMay(task.title, "iopf"))
    out.record(IopfDeviceLeaves(device))
    return ask(task, IOPF, RemoveIopfDevice(task.number, device), out)


def count(driver: IntelIommu, device: Name, by: int, out: Out) -> None:
    """How many there are now."""
    number = driver.iopf.pop(device, 0) + by
    if number:
        driver.iopf[device] = number
    out.record(IopfReferenced(device, number))
