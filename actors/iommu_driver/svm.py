"""The svm of a PASID: made by its first bind, ended by whoever tears down its last device.

It lives exactly as long as the driver's reference.  An svm whose work is queued is ended by that
work: any other task leaves it where it stands, however far it has come, so that the work never
meets the svm of another life (mends S10b).

Kernel: intel_svm_bind_gpasid and intel_svm_unbind_gpasid in drivers/iommu/intel/svm.c, V4 14/18.
§4.2 to §4.4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from actors.iommu_driver import lock
from actors.iommu_driver.ids import forget, free_id, keep
from actors.iommu_driver.native_state import MM
from actors.iommu_driver.state import (
    Bind,
    Operation,
    Step,
    Svm,
    Unbind,
    Work,
    name_of,
)
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
    SleepMay,
    SvmCreated,
    SvmFreed,
    WorkEnded,
)
from protocol.messages import (
    AttachData,
    BindMmGot,
    DetachData,
    DetachSpid,
    Done,
    GetPasid,
    PutPasid,
    Refused,
    WorkDone,
)
from protocol.names import CORE, NO_SET, WORKQUEUE, Name, Pasid

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver

REASON: Final = "svm"
"""Ours is the one reference `iommu:svm` of a PASID, however many devices it is bound to."""


def look_up(driver: IommuDriver, pasid: Pasid, out: Out) -> Svm | None:
    """The svm behind a PASID, which is then used."""
    svm = driver.svms.get(pasid)
    if svm is not None:
        out.record(MemoryUsed("svm", svm.object()))
    return svm


def get_reference(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """Our own reference, before anything refers to the PASID; the core refuses a pending one."""
    errno = out.may_fail(driver.SVM)
    if errno is not None:
        give_up(driver, bind, errno, out)
        return

    bind.step = Step.GET_PASID
    request = bind.request
    out.send(CORE, GetPasid(bind.number, NO_SET, bind.pasid, request.incarnation, REASON))


def make_svm(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The reference is ours."""
    request = bind.request
    svm = Svm(
        id=free_id(driver),
        pasid=request.pasid,
        incarnation=request.incarnation,
        vm=request.vm,
        gpasid=request.gpasid,
        table=request.table,
    )
    keep(driver, svm)
    out.record(MemoryAllocated("svm", svm.object()))
    out.record(SvmCreated(svm.pasid, svm.incarnation, svm.vm, svm.id))
    driver.attach_data(bind, out)


def attach_data(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The core keeps which svm stands behind the PASID, and hands it to every notification."""
    svm = driver.svms[bind.pasid]
    bind.step = Step.ATTACH_DATA
    out.send(CORE, AttachData(bind.number, svm.pasid, svm.incarnation, svm.id))


def free_sdev(svm: Svm, device: Name, out: Out) -> None:
    """Nothing on the device belongs to the PASID any more."""
    del svm.devices[device]
    out.record(MemoryFreed("sdev", svm.object(device)))


def leave_svm(driver: IommuDriver, task: Operation, out: Out) -> None:
    """This task's device has gone; whoever's was the last ends the svm, unless its work will."""
    svm = driver.svms[task.pasid]
    if svm.devices:
        driver.finish(task, out)
    else:
        driver.end_svm(task, out)


def end_svm(driver: IommuDriver, task: Operation, out: Out) -> None:
    """What is left of SPID, data and reference goes, in this order and one at a time."""
    svm = driver.svms[task.pasid]
    out.record(MemoryUsed("svm", svm.object()))
    if svm.work_queued and not isinstance(task, Work):
        wake_work(driver, svm.pasid, out)
        driver.finish(task, out)
    elif svm.native:
        driver.end_mm(task, out)
    elif svm.has_spid:
        driver.detach_spid(task, out)
    elif svm.has_data:
        driver.detach_data(task, out)
    else:
        driver.put_reference(task, out)


def detach_spid(driver: IommuDriver, task: Operation, out: Out) -> None:
    """This is what sends UNBIND, while the PASID is still held (O9)."""
    svm = driver.svms[task.pasid]
    task.step = Step.DETACH_SPID
    out.send(CORE, DetachSpid(task.number, svm.pasid, svm.incarnation))


def detach_data(driver: IommuDriver, task: Operation, out: Out) -> None:
    """No look-up finds the svm any more, once the readers that are under way are through."""
    svm = driver.svms[task.pasid]
    task.step = Step.DETACH_DATA
    out.record(SleepMay(name_of(task), "rcu"))
    out.send(CORE, DetachData(task.number, svm.pasid, svm.incarnation))


def put_reference(driver: IommuDriver, task: Operation, out: Out) -> None:
    """After this the number may begin another life."""
    svm = forget(driver, task.pasid)
    task.step = Step.PUT_PASID
    if isinstance(task, Work):
        out.record(WorkEnded(task.work, svm.pasid, svm.incarnation))
    out.record(SvmFreed(svm.pasid, svm.incarnation, svm.id))
    out.record(MemoryFreed("svm", svm.object()))
    out.send(CORE, PutPasid(task.number, svm.pasid, svm.incarnation, REASON))


def finish(driver: IommuDriver, task: Operation, out: Out) -> None:
    """The task lets the mutex go and answers."""
    del driver.tasks[task.number]
    lock.release(driver, task, out)
    match task:
        case Bind(errno=Errno() as errno):
            out.send(task.asker, Refused(task.request.call, errno))
        case Bind(request=request) if request.format == MM:
            out.send(task.asker, BindMmGot(request.call, request.pasid, request.incarnation))
        case Bind() | Unbind():
            out.send(task.asker, Done(task.request.call))
        case Work():
            out.send(WORKQUEUE, WorkDone(task.work))
        case _:
            assert_never(task)


def give_up(driver: IommuDriver, bind: Bind, errno: Errno, out: Out) -> None:
    """Nothing has been done yet."""
    bind.errno = errno
    driver.finish(bind, out)


def wake_work(driver: IommuDriver, pasid: Pasid, out: Out) -> None:
    """The last device that others were tearing down has gone: the work may be waiting for that."""
    for task in list(driver.tasks.values()):
        match task:
            case Work(step=Step.OTHER_TEARDOWN) if task.pasid == pasid:
                task.step = Step.MUTEX
                lock.take(driver, task, out)
            case _:
                pass  # Somebody else's, or it waits for the mutex already.
