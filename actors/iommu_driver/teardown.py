"""Teardown of one (device, PASID), for unbind, for the FREE work and for a bind that failed.

P first, so that nothing new is fetched; then the caches from the inside out; then the rest of the
entry, which nothing can reach any more; then the drain.  Each is waited for, and each goes to the
unit that the device is behind.

Kernel: intel_pasid_tear_down_entry in drivers/iommu/intel/pasid.c; the order is that of 2026
(CVE-2026-45894).  §4.3 (mends S27, S46).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.iommu_driver import domains, lock
from actors.iommu_driver.state import (
    Bind,
    DevState,
    Operation,
    Step,
    Svm,
    Unbind,
    Work,
    name_of,
    vm_for,
    why_of,
)
from actors.iommu_driver.svm import free_sdev
from protocol.effects import Out
from protocol.facts import (
    DeviceTornDown,
    DeviceUnbound,
    FlushRequested,
    MemoryUsed,
    SleepMay,
)
from protocol.messages import (
    ClearPresent,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    ZeroEntry,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def unit_of(driver: IommuDriver, _svm: Svm, device: Name) -> Name:
    """An entry is in the table of the unit that its own device is behind."""
    return driver.units[device]


def flush_unit_of(driver: IommuDriver, svm: Svm, device: Name) -> Name:
    """What was cached through an entry is in that same unit (N20, mends S27)."""
    return driver.unit_of(svm, device)


def unlink(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Off the list first: from here on the PRQ thread reports nothing for this device."""
    svm = driver.svms[task.pasid]
    out.record(MemoryUsed("sdev", svm.object(task.device)))
    svm.devices[task.device].state = DevState.UNLINKED
    if not isinstance(task, Work):
        domains.record_unbound(driver, svm, task.request.device, out)
    out.record(
        DeviceUnbound(
            device=task.device,
            pasid=svm.pasid,
            incarnation=svm.incarnation,
            vm=svm.vm,
            why=why_of(task),
            task=name_of(task),
        )
    )
    driver.clear_present(task, out)


def clear_present(driver: IommuDriver, task: Operation, out: Out) -> None:
    """P goes alone.  After FREE later faults are silent (FPD): the guest has given the PASID up."""
    svm = driver.svms[task.pasid]
    task.step = Step.CLEAR_PRESENT
    out.send(
        driver.unit_of(svm, task.device),
        ClearPresent(
            call=task.number,
            device=task.device,
            pasid=svm.pasid,
            incarnation=svm.incarnation,
            vm=vm_for(task, svm),
            why=why_of(task),
            fpd=isinstance(task, Work),
        ),
    )


def invalidate_pasid_cache(driver: IommuDriver, task: Operation, out: Out) -> None:
    """With this the gate is closed: the unit itself answers new page requests."""
    svm = driver.svms[task.pasid]
    did = svm.devices[task.device].did
    task.step = Step.INVALIDATE_PASID_CACHE
    flush_begins(driver, task, "pasid-cache", out)
    out.send(
        driver.flush_unit_of(svm, task.device),
        InvalidatePasidCache(task.number, task.device, svm.pasid, svm.incarnation, did),
    )


def invalidate_iotlb(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Only after the PASID cache, or it would be filled again."""
    svm = driver.svms[task.pasid]
    did = svm.devices[task.device].did
    task.step = Step.INVALIDATE_IOTLB
    flush_begins(driver, task, "iotlb", out)
    out.send(
        driver.flush_unit_of(svm, task.device),
        InvalidateIotlb(task.number, task.device, svm.pasid, svm.incarnation, did),
    )


def invalidate_dev_tlb(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Only after the IOTLB, for the same reason."""
    svm = driver.svms[task.pasid]
    task.step = Step.INVALIDATE_DEV_TLB
    flush_begins(driver, task, "device-tlb", out)
    out.send(
        driver.flush_unit_of(svm, task.device),
        InvalidateDevTlb(task.number, task.device, svm.pasid, svm.incarnation),
    )


def zero_entry(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Nothing can fetch it any more."""
    svm = driver.svms[task.pasid]
    task.step = Step.ZERO_ENTRY
    out.send(
        driver.unit_of(svm, task.device),
        ZeroEntry(task.number, task.device, svm.pasid, svm.incarnation),
    )


def flush_begins(driver: IommuDriver, task: Operation, flush: str, out: Out) -> None:
    """Said of each invalidation, with the unit that it goes to (N20)."""
    svm = driver.svms[task.pasid]
    unit = driver.flush_unit_of(svm, task.device)
    out.record(SleepMay(name_of(task), "invalidation"))
    out.record(FlushRequested(flush, task.device, unit, svm.pasid, svm.incarnation))


def torn_down(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Cleared, flushed, drained: now, and not before, the svm_dev may go."""
    svm = driver.svms[task.pasid]
    out.record(MemoryUsed("sdev", svm.object(task.device)))
    out.record(DeviceTornDown(task.device, svm.pasid, svm.incarnation))
    free_sdev(svm, task.device, out)
    match task:
        case Work():
            driver.next_device(task, out)
        case Bind() | Unbind():
            driver.leave_svm(task, out)
        case _:
            assert_never(task)


def teardown_goes_on(driver: IommuDriver, task: Operation, out: Out) -> None:
    """The call it waited for has been answered."""
    match task.step:
        case Step.CLEAR_PRESENT:
            driver.invalidate_pasid_cache(task, out)
        case Step.INVALIDATE_PASID_CACHE:
            driver.invalidate_iotlb(task, out)
        case Step.INVALIDATE_IOTLB:
            driver.invalidate_dev_tlb(task, out)
        case Step.INVALIDATE_DEV_TLB:
            driver.zero_entry(task, out)
        case Step.ZERO_ENTRY:
            driver.begin_drain(task, out)
        case Step.FLUSH_FAULTS:
            task.step = Step.MUTEX_AGAIN
            lock.take(driver, task, out)  # Behind those that have asked for it meanwhile.
        case Step.DETACH_SPID:
            driver.svms[task.pasid].has_spid = False
            driver.end_svm(task, out)
        case Step.DETACH_DATA:
            driver.svms[task.pasid].has_data = False
            driver.end_svm(task, out)
        case _:
            raise AssertionError(f"{task.step} is not answered like this")


def teardown_refused(driver: IommuDriver, task: Operation, out: Out) -> None:
    """A teardown cannot fail.

    A device that is gone has no TLB (S48).
    """
    if task.step is Step.CLEAR_PRESENT:
        driver.entry_was_gone(task, out)
    else:
        driver.teardown_goes_on(task, out)
