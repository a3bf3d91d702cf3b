"""Bind a process's own address space on a device: one PASID for the mm, as long as its struct.

The mm is pinned before anything refers to it, and the driver takes its own reference on the PASID
as it does for a guest: so the number outlives whoever frees it while a device is bound.

Kernel: intel_svm_bind_mm in drivers/iommu/intel/svm.c, iommu_sva_alloc_pasid; 2667ed10d9f0 ("mm:
Fix PASID use-after-free issue").  §4.9 (mends S14, S15).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from actors.iommu_driver import lock
from actors.iommu_driver.ids import free_id, keep
from actors.iommu_driver.native_state import MM, Hold, MmStep
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import Bind, DevState, Svm
from actors.iommu_driver.svm import REASON, give_up, look_up
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryAllocated, SvmCreated
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AssignPasid,
    AttachData,
    BindGpasid,
    BindMm,
    GetPasid,
    LoadMsr,
    PinMm,
    Refused,
    RegisterMmNotifier,
    SetKind,
    UnpinMm,
)
from protocol.names import CORE, INVALID_PASID, NO_SET, PASID_MIN, Incarnation, Name, Pasid

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_bind_mm(driver: IommuDriver, request: BindMm, sender: Name, out: Out) -> None:
    """Everything else needs the mutex.  The PASID is not known yet."""
    if request.device not in driver.units:
        out.send(sender, Refused(request.call, Errno.EINVAL))
        return
    wanted = BindGpasid(
        request.call, request.vm, request.device, 0, 0, gpasid=INVALID_PASID, table=0, format=MM
    )
    number = smallest_free(driver.tasks)
    bind = Bind(number, 0, request.device, sender, wanted, step=MmStep.MUTEX)
    insert(driver.tasks, number, bind)
    lock.take(driver, bind, out)


def pin_mm(_driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The struct must not go while we look at its PASID."""
    bind.step = MmStep.PIN
    out.send(bind.request.vm, PinMm(bind.number))


def pinned(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """An mm has one PASID for its life (N13): the first bind gets it, the others use it."""
    if bind.pasid:
        driver.join_mm(bind, out)
    elif driver.host_set == NO_SET:
        bind.step = MmStep.HOST_SET
        out.send(CORE, AllocSet(bind.number, "", driver.host_quota, SetKind.NULL))
    else:
        alloc_pasid(driver, bind, out)


def alloc_pasid(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """Out of the host's own set, within what the device can carry."""
    bind.step = MmStep.ALLOC
    most = driver.pasids[bind.device] - 1
    out.send(CORE, AllocPasid(bind.number, driver.host_set, PASID_MIN, most))


def name_pasid(bind: Bind, pasid: Pasid, incarnation: Incarnation) -> None:
    """From here on the task knows it."""
    bind.pasid = pasid
    bind.request = replace(bind.request, pasid=pasid, incarnation=incarnation)


def assign_pasid(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The mm keeps it, and frees it with its struct."""
    bind.step = MmStep.ASSIGN
    request = bind.request
    assigned = AssignPasid(bind.number, driver.host_set, request.pasid, request.incarnation)
    out.send(request.vm, assigned)


def join_mm(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """An svm that is there has a pin of its own; without one the pin becomes the new svm's."""
    svm = look_up(driver, bind.pasid, out)
    if svm is None:
        driver.hold_pasid(bind, out)
    else:
        bind.step = MmStep.UNPIN
        out.send(bind.request.vm, UnpinMm(bind.number))


def joined(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The same device again is counted; a device that is being torn down is busy."""
    svm = driver.svms.get(bind.pasid)
    sdev = None if svm is None else svm.devices.get(bind.device)
    if bind.errno is not None or svm is None:
        driver.finish(bind, out)
    elif svm.work_queued:
        give_up(driver, bind, Errno.EINVAL, out)
    elif sdev is None:
        driver.make_sdev(bind, out)
    elif sdev.state is DevState.LINKED:
        sdev.users += 1
        driver.finish(bind, out)
    else:
        give_up(driver, bind, Errno.EBUSY, out)


def hold_pasid(_driver: IommuDriver, bind: Bind, out: Out) -> None:
    """Our own reference, as for a guest: reclaim waits for us, whatever order others keep."""
    bind.step = MmStep.GET
    request = bind.request
    out.send(CORE, GetPasid(bind.number, NO_SET, request.pasid, request.incarnation, REASON))


def pasid_held(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The reference is ours."""
    driver.make_mm_svm(bind, out)
    svm = driver.svms[bind.pasid]
    out.record(SvmCreated(svm.pasid, svm.incarnation, svm.vm, svm.id))


def make_mm_svm(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """It exists with what it rests on so far; the data makes it known to the core."""
    request = bind.request
    bind.first = True
    svm = Svm(
        id=free_id(driver),
        pasid=request.pasid,
        incarnation=request.incarnation,
        vm=request.vm,
        gpasid=request.gpasid,
        table=request.table,
        native=True,
        holds=[Hold.PASID, Hold.PIN],
    )
    keep(driver, svm)
    out.record(MemoryAllocated("svm", svm.object()))
    bind.step = MmStep.ATTACH_DATA
    out.send(CORE, AttachData(bind.number, svm.pasid, svm.incarnation, svm.id))


def register_notifier(_driver: IommuDriver, bind: Bind, out: Out) -> None:
    """Before any entry points to the page tables."""
    bind.step = MmStep.REGISTER
    out.send(bind.request.vm, RegisterMmNotifier(bind.number))


def load_msr(_driver: IommuDriver, bind: Bind, out: Out) -> None:
    """With the first device the tasks of the mm may submit."""
    bind.step = MmStep.LOAD_MSR
    out.send(bind.request.vm, LoadMsr(bind.number, bind.pasid, bind.request.incarnation))
