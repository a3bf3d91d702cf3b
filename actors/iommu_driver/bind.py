"""Bind a guest's first level to a PASID on one device, top to bottom, and undo it where it fails.

The first bind of a PASID makes its svm and takes the driver's own reference before anything else,
and attaches the SPID after everything else: whoever hears BIND finds a usable entry.

Kernel: intel_svm_bind_gpasid in drivers/iommu/intel/svm.c, "[PATCH V4 14/18] iommu/vt-d: Listen to
IOASID notifications".  §4.2 (mends S9, S10, S21, S40; seed 000).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_driver import domains, lock
from actors.iommu_driver.native_state import NATIVE_DID
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import (
    Bind,
    DevState,
    Step,
    Svm,
    SvmDev,
    name_of,
)
from actors.iommu_driver.svm import give_up, look_up
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import DeviceBound, MemoryAllocated
from protocol.messages import AttachSpid, BindGpasid, FindPasid, Refused, WriteEntry
from protocol.names import CORE, NO_SET, PASID_COUNT, PASID_MIN, Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver


def on_bind_gpasid(driver: IommuDriver, request: BindGpasid, sender: Name, out: Out) -> None:
    """What can be refused without the mutex is refused without it."""
    errno = driver.bind_refusal(request)
    if errno is not None:
        out.send(sender, Refused(request.call, errno))
        return

    device = driver.hardware(request.device)
    bind = Bind(smallest_free(driver.tasks), request.pasid, device, sender, request)
    insert(driver.tasks, bind.number, bind)
    lock.take(driver, bind, out)


def bind_refusal(driver: IommuDriver, request: BindGpasid) -> Errno | None:
    """The checks before the mutex, in the kernel's order."""
    device = driver.hardware(request.device)
    if device not in driver.units:
        return Errno.EINVAL
    if request.format != "vtd":
        return Errno.EINVAL
    if driver.pasids[device] != PASID_COUNT:
        return Errno.EINVAL
    if not PASID_MIN <= request.pasid < PASID_COUNT:
        return Errno.EINVAL
    if driver.domain_id(request.device, request.vm) is None:
        return Errno.EINVAL
    return None


def find_pasid(_driver: IommuDriver, bind: Bind, out: Out) -> None:
    """Does the PASID exist?  Whose it is, is VFIO's to check: hence no set."""
    bind.step = Step.FIND_PASID
    out.send(CORE, FindPasid(bind.number, NO_SET, bind.pasid))


def pasid_found(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """A further device joins the svm that is there; the first one makes it."""
    svm = look_up(driver, bind.pasid, out)
    if svm is None:
        bind.first = True
        driver.get_reference(bind, out)
        return

    errno = driver.join_refusal(svm, bind.request)
    if errno is None:
        driver.make_sdev(bind, out)
    else:
        give_up(driver, bind, errno, out)


def join_refusal(driver: IommuDriver, svm: Svm, request: BindGpasid) -> Errno | None:
    """One bind per (device, PASID), and none to an svm that is on its way out.

    Two mdevs of a device have two second levels and one entry, so they count as one (seed 000).
    While a drain has let go of the mutex its device is still there, UNLINKED: EBUSY as well.
    """
    if svm.vm != request.vm:
        return Errno.EPERM  # VFIO's check, once more: an svm never mixes two VMs (N10).
    if driver.hardware(request.device) in svm.devices:
        return Errno.EBUSY
    if svm.work_queued or not svm_is_bound(svm):
        return Errno.EINVAL
    return None


def svm_is_bound(svm: Svm) -> bool:
    """Whether any device is linked."""
    return any(sdev.state is DevState.LINKED for sdev in svm.devices.values())


def make_sdev(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """From here on the svm_dev keeps the domain; it may have been detached since the first look."""
    svm = driver.svms[bind.pasid]
    did = NATIVE_DID if svm.native else driver.domain_id(bind.request.device, bind.request.vm)
    errno = Errno.EINVAL if did is None else out.may_fail(driver.SDEV)
    if did is None or errno is not None:
        driver.undo(bind, errno or Errno.EINVAL, out)
        return

    insert(svm.devices, bind.device, SvmDev(did, [bind.request.device]))
    out.record(MemoryAllocated("sdev", svm.object(bind.device)))
    enable_pasid(driver, bind, out)


def enable_pasid(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """PASID on, in the device's context entry."""
    errno = out.may_fail(driver.ENABLE_PASID)
    if errno is None:
        driver.write_entry(bind, out)
    else:
        driver.undo(bind, errno, out)


def write_entry(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The nested entry; the unit refuses it if one is present."""
    svm = driver.svms[bind.pasid]
    bind.step = Step.WRITE_ENTRY
    out.send(
        driver.unit_of(svm, bind.device),
        WriteEntry(
            call=bind.number,
            device=bind.device,
            pasid=svm.pasid,
            incarnation=svm.incarnation,
            vm=svm.vm,
            table=bind.request.table,
            did=svm.devices[bind.device].did,
        ),
    )


def link_device(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The entry is usable: PRQ thread and page responses find the device now."""
    svm = driver.svms[bind.pasid]
    svm.devices[bind.device].state = DevState.LINKED
    out.record(
        DeviceBound(
            device=bind.device,
            pasid=svm.pasid,
            incarnation=svm.incarnation,
            vm=svm.vm,
            task=name_of(bind),
        )
    )
    domains.record_bound(driver, svm, bind.request.device, out)
    if bind.first and svm.native:
        driver.load_msr(bind, out)
    elif bind.first:
        driver.attach_spid(bind, out)
    else:
        driver.finish(bind, out)


def attach_spid(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """This is what sends BIND, once, for the first device."""
    svm = driver.svms[bind.pasid]
    bind.step = Step.ATTACH_SPID
    out.send(CORE, AttachSpid(bind.number, svm.pasid, svm.incarnation, svm.gpasid))


def bind_goes_on(driver: IommuDriver, bind: Bind, out: Out) -> None:
    """The call it waited for has succeeded."""
    match bind.step:
        case Step.GET_PASID:
            driver.make_svm(bind, out)
        case Step.ATTACH_DATA:
            driver.svms[bind.pasid].has_data = True
            driver.make_sdev(bind, out)
        case Step.WRITE_ENTRY:
            driver.link_device(bind, out)
        case Step.ATTACH_SPID:
            driver.svms[bind.pasid].has_spid = True
            driver.finish(bind, out)
        case _:
            driver.teardown_goes_on(bind, out)
