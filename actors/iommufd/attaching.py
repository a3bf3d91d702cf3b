"""Attach: the first device of a group goes to the core, the others of it only join.

Kernel: iommufd_hw_pagetable_attach, iommufd_hwpt_attach_device, iommufd_hwpt_pasid_compat.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import handles, objects
from actors.iommufd.sites import HANDLE, RECORD
from actors.iommufd.state import Attach, Device, Do, Ioas, Nested, Paging, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommufd import PtAttached
from protocol.messages.iommu_core import AttachDevicePasid, AttachGroupHandle
from protocol.messages.iommufd import ReplacePt
from protocol.names import IOMMU_CORE, Pasid

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def look_pt(fd: Iommufd, task: Task, out: Out) -> bool:
    """Whatever kind of object it is, it is held."""
    if objects.look(fd, task, task.pt, None, out) is None:
        task.fail(Errno.ENOENT)
    return True


def switch(fd: Iommufd, task: Task, _out: Out) -> bool:
    """A page table is taken as it is; an IOAS has or gets one; nothing else will do."""
    found = fd.objects[task.pt]
    if isinstance(found, Paging | Nested):
        task.hwpt = task.pt
        task.then(Do.TRY)
    elif isinstance(found, Ioas):
        task.then(Do.AUTO)
    else:
        task.errno = Errno.EINVAL
    return True


def try_it(fd: Iommufd, task: Task, out: Out) -> bool:
    """Attach or replace, with the group locked."""
    group = fd.device(task.device).group
    if not fd.lock(task, f"group:{group}", Do.TRY, out):
        return False
    if isinstance(task.request, ReplacePt):
        task.then(Do.REPLACE)
        return True
    task.errno = refusal(fd, task, fd.device(task.device), out)
    if task.errno is not None:
        fd.unlock(task, "group:", out)
        return True
    task.then(Do.ATTACHED)
    found = fd.attaches_of(group).get(task.pasid)
    if found is not None:
        return True
    name, domain = fd.device(task.device).device, fd.pagetable(task.hwpt).domain
    handles.make(fd, task, domain, out)
    if task.pasid == NO_PASID:
        message = AttachGroupHandle(task.number, group, domain, task.handle)
        out.send(IOMMU_CORE, message)
    else:
        pasid = AttachDevicePasid(task.number, name, task.pasid, 0, domain, task.handle)
        out.send(IOMMU_CORE, pasid)
    return False


def refusal(fd: Iommufd, task: Task, device: Device, out: Out) -> Errno | None:
    """Before the core is asked: taken by this device, by another page table, not compatible."""
    found = fd.attaches_of(device.group).get(task.pasid)
    if found is None and out.may_fail(RECORD):
        return Errno.ENOMEM
    if found is not None and task.device in found.devices:
        return Errno.EBUSY
    if found is not None:
        return None if found.hwpt == task.hwpt else Errno.EINVAL
    if not fd.compatible(device.group, task.hwpt, task.pasid) or faults_refused(fd, task):
        return Errno.EINVAL
    if out.may_fail(HANDLE):
        return Errno.ENOMEM
    return None


def compatible(fd: Iommufd, group: str, hwpt: int, pasid: Pasid) -> bool:
    """With PASIDs attached, every page table of the group is made for PASIDs."""
    flags = fd.pagetable(hwpt).flags
    attaches = fd.attaches_of(group)
    if pasid == NO_PASID:
        return "PASID" in flags or not any(one != NO_PASID for one in attaches)
    if "PASID" not in flags:
        return False
    rid = attaches.get(NO_PASID)
    return rid is None or "PASID" in fd.pagetable(rid.hwpt).flags


def faults_refused(fd: Iommufd, task: Task) -> bool:
    """Whether it is a VF, that shares its device's PRI, and the page table has a fault queue."""
    return fd.device(task.device).device in fd.functions and fd.pagetable(task.hwpt).fault != 0


def attached(fd: Iommufd, task: Task, out: Out) -> bool:
    """The core has agreed, or another device of the group was there before."""
    device = fd.device(task.device)
    if task.errno is not None:
        handles.free(fd, task.handle, out)
    else:
        attaches = fd.attaches_of(device.group)
        record = attaches.get(task.pasid)
        if record is None:
            record = attaches[task.pasid] = Attach(task.hwpt, [], task.handle)
        record.devices.append(task.device)
        device.users += 1
        table = fd.pagetable(task.hwpt)
        table.users += 1
        fits = "PASID" in table.flags
        fact = PtAttached(
            device.device, device.group, task.pasid, task.hwpt, table.domain, compatible=fits
        )
        out.record(fact)
        objects.count(fd, task.device, "attach", out)
        objects.count(fd, task.hwpt, "attach", out)
    fd.unlock(task, "group:", out)
    return True


STEPS = {Do.LOOK_PT: look_pt, Do.SWITCH: switch, Do.TRY: try_it, Do.ATTACHED: attached}
