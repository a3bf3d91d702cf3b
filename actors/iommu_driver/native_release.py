"""The mm notifier's release: the address space goes, and the devices may still be running.

Each device's entry is cleared with FPD, so that later faults are silent, and flushed, before the
CPU page tables are freed (O6).  Nothing is unlinked, drained or put: unbind comes later, when the
files are closed, and finds no entry (S13).  An unbind that has cleared an entry may not have
flushed it yet, so the caches are flushed whether or not there was one.

Kernel: intel_mm_release in drivers/iommu/intel/svm.c.  §4.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver.native_state import MmStep, Release
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Unbind
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.facts import FlushRequested
from protocol.messages import (
    ClearPresent,
    Done,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    MmRelease,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_mm_release(driver: IommuDriver, request: MmRelease, sender: Name, out: Out) -> None:
    """A callback takes no mutex: whoever unregisters waits for it, and may hold it."""
    svm = look_up(driver, request.pasid, out)
    devices = [] if svm is None or svm.vm != request.vm else list(svm.devices.items())
    release = Release(
        number=smallest_free(driver.tasks),
        asker=sender,
        call=request.call,
        pasid=request.pasid,
        incarnation=request.incarnation,
        devices=[(name, sdev.did) for name, sdev in devices],
    )
    insert(driver.tasks, release.number, release)
    driver.release_next(release, out)


def release_next(driver: IommuDriver, release: Release, out: Out) -> None:
    """The next device, or the answer."""
    if not release.devices:
        driver.released(release, out)
        return
    device, _ = release.devices[0]
    release.step = MmStep.CLEAR_PRESENT
    out.send(
        driver.units[device],
        ClearPresent(
            call=release.number,
            device=device,
            pasid=release.pasid,
            incarnation=release.incarnation,
            vm=release.asker,
            why="release",
            fpd=True,
        ),
    )


def release_goes_on(driver: IommuDriver, release: Release, out: Out) -> None:
    """PASID cache, IOTLB, device TLB; that nothing was present, or the device has gone, is fine."""
    device, did = release.devices[0]
    unit = driver.units[device]
    life = (release.number, device, release.pasid, release.incarnation)
    match release.step:
        case MmStep.CLEAR_PRESENT:
            release.step = MmStep.INVALIDATE_PASID_CACHE
            flush_begins(release, "pasid-cache", unit, out)
            out.send(unit, InvalidatePasidCache(*life, did))
        case MmStep.INVALIDATE_PASID_CACHE:
            release.step = MmStep.INVALIDATE_IOTLB
            flush_begins(release, "iotlb", unit, out)
            out.send(unit, InvalidateIotlb(*life, did))
        case MmStep.INVALIDATE_IOTLB:
            release.step = MmStep.INVALIDATE_DEV_TLB
            flush_begins(release, "device-tlb", unit, out)
            out.send(unit, InvalidateDevTlb(*life))
        case _:
            del release.devices[0]
            driver.release_next(release, out)


def flush_begins(release: Release, flush: str, unit: Name, out: Out) -> None:
    """Said of each invalidation, with the unit that it goes to (N20)."""
    device, _ = release.devices[0]
    out.record(FlushRequested(flush, device, unit, release.pasid, release.incarnation))


def released(driver: IommuDriver, release: Release, out: Out) -> None:
    """No hardware uses the page tables: they may go.  So may an unbind that has waited."""
    del driver.tasks[release.number]
    out.send(release.asker, Done(release.call))
    for task in list(driver.tasks.values()):
        if isinstance(task, Unbind) and task.step is MmStep.RELEASE and task.pasid == release.pasid:
            driver.unlink(task, out)
