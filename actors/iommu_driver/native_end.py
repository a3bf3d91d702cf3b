"""Unbind a process's address space, and end its svm: what it rests on goes in one order (O5).

Unbind complete, then the notifier, the MSR, the private data, the PASID's reference, and last the
pin of the mm struct, which may be what frees the PASID.

Kernel: intel_svm_unbind_mm in drivers/iommu/intel/svm.c (5.15); 2667ed10d9f0.  §4.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.iommu_driver import lock
from actors.iommu_driver.ids import forget
from actors.iommu_driver.native_state import Hold, MmStep, Release
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Operation, Svm, Unbind, Work
from actors.iommu_driver.svm import REASON, look_up
from protocol.effects import Out
from protocol.facts import MemoryFreed, SvmFreed, WorkEnded
from protocol.messages import (
    DetachData,
    LoadMsr,
    PutPasid,
    UnbindGpasid,
    UnbindMm,
    UnpinMm,
    UnregisterMmNotifier,
)
from protocol.names import CORE, Name, Pasid

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_unbind_mm(driver: IommuDriver, request: UnbindMm, sender: Name, out: Out) -> None:
    """Nothing is looked at before the mutex is held."""
    wanted = UnbindGpasid(
        call=request.call,
        vm=request.vm,
        device=request.device,
        pasid=request.pasid,
        incarnation=request.incarnation,
        why=request.why,
    )
    number = smallest_free(driver.tasks)
    task = Unbind(number, request.pasid, request.device, sender, wanted, step=MmStep.MUTEX)
    insert(driver.tasks, number, task)
    lock.take(driver, task, out)


def unbind_mm(driver: IommuDriver, task: Unbind, out: Out) -> None:
    """The last of its users takes the device off; a release callback finishes first."""
    svm = look_up(driver, task.pasid, out)
    if svm is None or not driver.may_unbind(svm, task.request):
        driver.finish(task, out)  # Nothing to do is success.
        return
    sdev = svm.devices[task.device]
    if sdev.users > 1:
        sdev.users -= 1
        driver.finish(task, out)
    elif release_of(driver, task.pasid) is not None:
        task.step = MmStep.RELEASE
    else:
        driver.unlink(task, out)


def release_of(driver: IommuDriver, pasid: Pasid) -> Release | None:
    """The callback that is under way, if there is one: an mm is released once."""
    releases = (task for task in driver.tasks.values() if isinstance(task, Release))
    return next((one for one in releases if one.pasid == pasid), None)


def has_put(svm: Svm) -> bool:
    """An mm's svm, which has given up the PASID and only waits for the rest to go."""
    return svm.native and Hold.PASID not in svm.holds


def end_mm(driver: IommuDriver, task: Operation, out: Out) -> None:
    """The next thing in the order, one at a time; at the end the svm itself."""
    svm = driver.svms[task.pasid]
    task.step = MmStep.END
    for hold in driver.MM_END:
        if hold in svm.holds:
            svm.holds.remove(hold)
            driver.let_go(task, hold, out)
            return
    forget(driver, task.pasid)
    out.record(MemoryFreed("svm", svm.object()))
    driver.finish(task, out)


def let_go(driver: IommuDriver, task: Operation, hold: Hold, out: Out) -> None:
    """Each is answered before the next one goes."""
    svm = driver.svms[task.pasid]
    match hold:
        case Hold.NOTIFIER:
            out.send(svm.vm, UnregisterMmNotifier(task.number))
        case Hold.MSR:
            out.send(svm.vm, LoadMsr(task.number, 0, svm.incarnation))
        case Hold.DATA:
            out.send(CORE, DetachData(task.number, svm.pasid, svm.incarnation))
        case Hold.PASID:
            if isinstance(task, Work):
                out.record(WorkEnded(task.work, svm.pasid, svm.incarnation))
            driver.drop_pasid(task, svm, out)
        case Hold.PIN:
            out.send(svm.vm, UnpinMm(task.number))
        case _:
            assert_never(hold)


def drop_pasid(_driver: IommuDriver, task: Operation, svm: Svm, out: Out) -> None:
    """Only our reference: the PASID is the mm's, as long as its struct."""
    out.record(SvmFreed(svm.pasid, svm.incarnation, svm.id))
    out.send(CORE, PutPasid(task.number, svm.pasid, svm.incarnation, REASON))


def entry_was_gone(driver: IommuDriver, task: Operation, out: Out) -> None:
    """Of a guest: nothing was cached through it.  Of an mm: release took it, and DMA went on.

    What the device asked for since then the unit answers itself.  One flush fetches the questions,
    the drain's pushes the answers through; a drain alone could overtake them.
    """
    if driver.svms[task.pasid].native:
        driver.invalidate_dev_tlb(task, out)
    else:
        driver.begin_drain(task, out)
