"""Native SVA in the driver: what it is asked, and how its tasks go on.

Binds and unbinds of an mm are tasks like those of a guest, share its mutex, teardown and drain, and
differ where an mm is not a guest: a PASID of its own, a notifier, the MSR, no SPID.

Kernel: drivers/iommu/intel/svm.c, intel_svm_bind_mm and its neighbours.  §4.9.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeAlias, assert_never

from actors.iommu_driver import native_bind, native_end, native_release
from actors.iommu_driver.native_state import Hold, MmStep
from actors.iommu_driver.state import Bind, Operation, Unbind
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    AllocPasidGot,
    AllocSetGot,
    BindMm,
    MmRelease,
    PinMmGot,
    UnbindMm,
    UnpinMm,
)
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver

Inbox: TypeAlias = BindMm | UnbindMm | MmRelease | PinMmGot | AllocSetGot | AllocPasidGot


def on_message(driver: IommuDriver, message: Inbox, sender: Name, out: Out) -> None:
    """Requests, and answers that only a native bind can get."""
    match message:
        case BindMm():
            driver.on_bind_mm(message, sender, out)
        case UnbindMm():
            driver.on_unbind_mm(message, sender, out)
        case MmRelease():
            driver.on_mm_release(message, sender, out)
        case PinMmGot() | AllocSetGot() | AllocPasidGot():
            bind = driver.tasks[message.call]
            assert isinstance(bind, Bind), "only a bind asks for these"
            on_got(driver, bind, message, out)
        case _:
            assert_never(message)


def on_got(
    driver: IommuDriver, bind: Bind, got: PinMmGot | AllocSetGot | AllocPasidGot, out: Out
) -> None:
    """The mm is pinned, the host has a set, or there is a number."""
    match got:
        case PinMmGot():
            native_bind.name_pasid(bind, got.pasid, got.incarnation)
            driver.pinned(bind, out)
        case AllocSetGot():
            driver.host_set = got.set
            native_bind.alloc_pasid(driver, bind, out)
        case AllocPasidGot():
            native_bind.name_pasid(bind, got.pasid, got.incarnation)
            driver.assign_pasid(bind, out)
        case _:
            assert_never(got)


def begin_mm(driver: IommuDriver, task: Bind | Unbind, out: Out) -> None:
    """The mutex is held."""
    if isinstance(task, Bind):
        driver.pin_mm(task, out)
    else:
        driver.unbind_mm(task, out)


def goes_on(driver: IommuDriver, task: Operation, out: Out) -> None:
    """The call it waited for has succeeded."""
    if not isinstance(task, Bind) or task.step is MmStep.END:
        driver.end_svm(task, out)  # Its rule: an svm whose work is queued is ended by that work.
        return
    match task.step:
        case MmStep.ASSIGN:
            driver.join_mm(task, out)
        case MmStep.GET:
            native_bind.pasid_held(driver, task, out)
        case MmStep.ATTACH_DATA:
            driver.svms[task.pasid].holds.append(Hold.DATA)
            driver.register_notifier(task, out)
        case MmStep.REGISTER:
            driver.svms[task.pasid].holds.append(Hold.NOTIFIER)
            driver.make_sdev(task, out)
        case MmStep.LOAD_MSR:
            driver.svms[task.pasid].holds.append(Hold.MSR)
            driver.finish(task, out)
        case MmStep.UNPIN:
            driver.joined(task, out)
        case _:
            raise AssertionError(f"{task.step} is not answered like this")


def refused(driver: IommuDriver, task: Operation, errno: Errno, out: Out) -> None:
    """A bind fails with it and gives back the pin; an svm ends all the same."""
    if not isinstance(task, Bind) or task.step is MmStep.END:
        driver.end_svm(task, out)  # What was to go had gone already.
        return
    task.errno = errno
    match task.step:
        case MmStep.PIN:
            driver.finish(task, out)
        case MmStep.ATTACH_DATA | MmStep.REGISTER:
            driver.undo(task, errno, out)
        case _:
            task.step = MmStep.UNPIN
            out.send(task.request.vm, UnpinMm(task.number))


class NativeSva:
    """The driver's native operations, each step a method, as in `IommuDriver`."""

    __slots__ = ()

    MM_END: ClassVar[tuple[Hold, ...]] = (
        Hold.NOTIFIER,
        Hold.MSR,
        Hold.DATA,
        Hold.PASID,
        Hold.PIN,
    )
    """In which order an svm of an mm lets go of what it rests on."""

    begin_mm = begin_mm
    on_bind_mm = native_bind.on_bind_mm
    pin_mm = native_bind.pin_mm
    pinned = native_bind.pinned
    assign_pasid = native_bind.assign_pasid
    join_mm = native_bind.join_mm
    joined = native_bind.joined
    hold_pasid = native_bind.hold_pasid
    make_mm_svm = native_bind.make_mm_svm
    register_notifier = native_bind.register_notifier
    load_msr = native_bind.load_msr

    on_unbind_mm = native_end.on_unbind_mm
    unbind_mm = native_end.unbind_mm
    entry_was_gone = native_end.entry_was_gone
    end_mm = native_end.end_mm
    let_go = native_end.let_go
    drop_pasid = native_end.drop_pasid

    on_mm_release = native_release.on_mm_release
    release_next = native_release.release_next
    release_goes_on = native_release.release_goes_on
    released = native_release.released
