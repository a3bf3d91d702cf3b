"""After a reset: drain and discard what the device had asked for, then let it work again (O18).

The entries stay, so nothing closes the gate; but the device is out of service and posts nothing
new.  What it had posted is brought into the ring, and dealt with there; what was reported and not
answered is answered INVALID, since the device has forgotten it; and when the last answer has
reached the device, new groups may have old numbers.  Only then the device returns to service.

Kernel: the terminal conditions of VT-d specification 7.9.  §5.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver.drain import round_of
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.reset_state import Reset, ResetStep
from protocol.effects import Out
from protocol.messages import (
    DrainRequests,
    PageGroupResponse,
    ReadPrq,
    ReadPrqGot,
    ResponseCode,
    ReturnToService,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_device_reset(driver: IommuDriver, device: Name, out: Out) -> None:
    """First whatever the device had posted comes in."""
    reset = Reset(smallest_free(driver.tasks), device)
    insert(driver.tasks, reset.number, reset)
    driver.fence_reset(reset, ResetStep.FENCE_IN, out)


def fence_reset(driver: IommuDriver, reset: Reset, step: ResetStep, out: Out) -> None:
    """To the device and back, for all of its PASIDs."""
    reset.step = step
    out.send(driver.units[reset.device], DrainRequests(reset.number, reset.device, 0, 0))


def fenced(driver: IommuDriver, reset: Reset, out: Out) -> None:
    """An overflow swallowed nothing that the device would repeat."""
    if reset.step is ResetStep.FENCE_IN:
        scan(driver, reset, out)
        return

    del driver.tasks[reset.number]
    out.send(reset.device, ReturnToService())


def scan(driver: IommuDriver, reset: Reset, out: Out) -> None:
    """Look at the ring without taking anything from it."""
    reset.step = ResetStep.SCAN
    out.send(driver.units[reset.device], ReadPrq(reset.number, thread=False))


def scanned(driver: IommuDriver, reset: Reset, ring: ReadPrqGot, out: Out) -> None:
    """While it holds one of the device, the PRQ thread has to pass once more."""
    if all(request.device != reset.device for request in ring.requests):
        discard_pending(driver, reset.device, out)
        driver.fence_reset(reset, ResetStep.FENCE_OUT, out)
    elif round_of(driver, driver.units[reset.device]) is None:
        scan(driver, reset, out)  # Its interrupt is on its way.
    else:
        reset.step = ResetStep.ROUND


def awaits_round(driver: IommuDriver, task: Reset, unit: Name) -> bool:
    """Whether it waits for this unit's PRQ thread."""
    return task.step is ResetStep.ROUND and driver.units[task.device] == unit


def round_ended(driver: IommuDriver, unit: Name, out: Out) -> None:
    """prq_complete."""
    for task in list(driver.tasks.values()):
        if isinstance(task, Reset) and awaits_round(driver, task, unit):
            scan(driver, task, out)


def discard_pending(driver: IommuDriver, device: Name, out: Out) -> None:
    """INVALID to what was reported: its consumer's answer comes too late for the device."""
    for svm in driver.svms.values():
        sdev = svm.devices.get(device)
        for group in list(sdev.pending) if sdev else []:
            assert sdev is not None
            response = PageGroupResponse(
                device=device,
                pasid=svm.pasid,
                incarnation=sdev.pending.pop(group),
                group=group,
                code=ResponseCode.INVALID,
                mapped=False,
            )
            driver.answer_group(driver.unit_of(svm, device), response, 0, out)
