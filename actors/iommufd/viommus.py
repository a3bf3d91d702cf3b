"""vIOMMUs and vDevices: what a guest sees of an IOMMU, and which of its devices is which of ours.

A vIOMMU stands on a page table that is a parent, and nested page tables may be made of it.  A
device is behind one vIOMMU at most, as its vDevice; with the device its vDevice goes, too, and the
id is taken for as long as the context lives: the user who destroys it later must not hit another
object.

Kernel: drivers/iommu/iommufd/viommu.c, iommufd_device_remove_vdev in device.c, of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.state import AnyObject, Device, Do, Paging, Task
from actors.iommufd.virtual import Vdevice, Viommu
from protocol.domains import made_domain
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.guests import VdeviceBuried, VdeviceMade
from protocol.messages.guests import AllocVdevice, AllocViommu

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def begin(fd: Iommufd, task: Task, asked: AllocViommu | AllocVdevice, out: Out) -> None:
    """What it shall stand on is held: the page table, or the vIOMMU and then the device."""
    wanted: list[tuple[int, type[AnyObject]]]
    if isinstance(asked, AllocViommu):
        wanted = [(asked.device, Device), (asked.hwpt, Paging)]
    else:
        wanted = [(asked.viommu, Viommu), (asked.device, Device)]
    for at, kind in wanted:
        if objects.look(fd, task, at, kind, out) is None:
            task.fail(Errno.ENOENT)
            return
    task.then(Do.PAUSE, Do.VIOMMU if isinstance(asked, AllocViommu) else Do.VDEVICE)


def viommu(fd: Iommufd, task: Task, out: Out) -> bool:
    """It holds its parent."""
    asked = task.request
    assert isinstance(asked, AllocViommu), "only that makes one"
    parent = fd.objects[asked.hwpt]
    assert isinstance(parent, Paging), "it was looked up as one"
    if "NEST_PARENT" not in parent.flags:
        task.fail(Errno.EINVAL)
        return True
    task.fresh = objects.reserve(fd, task, Viommu(parent=asked.hwpt), out)
    if task.fresh:
        parent.users += 1
        objects.publish(fd, task.fresh, out)
    return True


def vdevice(fd: Iommufd, task: Task, out: Out) -> bool:
    """With the group locked: one for a device, one for an id."""
    asked = task.request
    assert isinstance(asked, AllocVdevice), "only that makes one"
    above, device = fd.objects[asked.viommu], fd.device(asked.device)
    assert isinstance(above, Viommu), "it was looked up as one"
    if not fd.lock(task, f"group:{device.group}", Do.VDEVICE, out):
        return False
    errno = refusal(fd, asked, device, above)
    if errno is None:
        made = Vdevice(viommu=asked.viommu, device=asked.device, virt=asked.virt)
        task.fresh = objects.reserve(fd, task, made, out)
    else:
        task.errno = errno
    if task.fresh:
        device.vdevice = task.fresh
        above.users += 1
        objects.publish(fd, task.fresh, out)
        out.record(VdeviceMade(task.fresh, asked.device))
    fd.unlock(task, "group:", out)
    return True


def refusal(fd: Iommufd, asked: AllocVdevice, device: Device, above: Viommu) -> Errno | None:
    """EINVAL of another IOMMU; ENOENT the device is on its way out; EEXIST."""
    unit = made_domain(fd.pagetable(above.parent).domain).unit
    if unit != asked_unit(fd, device):
        return Errno.EINVAL
    if device.unbinder:
        return Errno.ENOENT
    others = [one for one in fd.objects.values() if isinstance(one, Vdevice)]
    taken = any((one.viommu, one.virt) == (asked.viommu, asked.virt) for one in others)
    return Errno.EEXIST if device.vdevice or taken else None


def asked_unit(fd: Iommufd, device: Device) -> str:
    """The IOMMU that a device is behind."""
    return fd.units.get(device.device, "")


def has_vdevice(fd: Iommufd, hwpt: int, device: Device) -> bool:
    """Whether the device may have the page table: one of a vIOMMU wants a vDevice behind it."""
    table = fd.pagetable(hwpt)
    above = getattr(table, "viommu", 0)
    if not above:
        return True
    found = fd.objects.get(device.vdevice)
    return isinstance(found, Vdevice) and found.viommu == above


def bury(fd: Iommufd, device: Device, out: Out) -> None:
    """The device goes: its vDevice is destroyed, and the id becomes a tombstone."""
    found = fd.objects.get(device.vdevice)
    if not isinstance(found, Vdevice):
        return
    at, device.vdevice = device.vdevice, 0
    fd.objects[found.viommu].users -= 1
    del fd.objects[at]
    fd.tombstones.append(at)
    out.record(VdeviceBuried(at))


def release(fd: Iommufd, gone: Viommu | Vdevice) -> None:
    """What the user destroys himself holds nothing any more."""
    if isinstance(gone, Viommu):
        fd.objects[gone.parent].users -= 1
        return
    fd.device(gone.device).vdevice = 0
    fd.objects[gone.viommu].users -= 1


STEPS = {Do.VIOMMU: viommu, Do.VDEVICE: vdevice}
