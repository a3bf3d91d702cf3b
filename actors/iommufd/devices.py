"""Devices as objects: bind, which claims DMA ownership, and unbind; and mock devices around them.

Kernel: iommufd_device_bind, iommufd_device_unbind; iommufd_test_mock_domain of selftest.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommufd import objects
from actors.iommufd.sites import BIND, FILE, MOCK
from actors.iommufd.state import Device, Do, FaultQueue, Mock, Task
from protocol.domains import NO_PASID
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommufd import DeviceUnbound
from protocol.machine import Machine
from protocol.messages.iommu_core import ClaimDmaOwner, ReleaseDmaOwner
from protocol.messages.iommufd import BindDevice, MakeMockDevice
from protocol.names import IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.iommufd import Iommufd


def mock(fd: Iommufd, task: Task, out: Out) -> bool:
    """The device itself."""
    if (errno := out.may_fail(MOCK)) is not None:
        drop_mock(fd, task)
        task.fail(errno)
    else:
        task.then(Do.BIND)
    return True


def bind(fd: Iommufd, task: Task, out: Out) -> bool:
    """An object first, then the claim."""
    asked = task.request
    assert isinstance(asked, BindDevice | MakeMockDevice), "only these bind"
    made = Device(device=asked.device, group=asked.group)
    task.device = objects.reserve(fd, task, made, out)
    errno = bind_refusal(fd, asked, out) if task.device else None
    if errno is not None:
        del fd.objects[task.device]
        task.fail(errno)
    if task.errno is not None:
        drop_mock(fd, task)
        return True
    task.then(Do.BOUND)
    out.send(IOMMU_CORE, ClaimDmaOwner(task.number, asked.device, fd.name))
    return False


def bind_refusal(fd: Iommufd, asked: BindDevice | MakeMockDevice, out: Out) -> Errno | None:
    """EINVAL not cache coherent; EPERM its writes may be interrupts of others, unless it is a mock.

    One without a group is refused by the core, ENODEV.
    """
    errno = out.may_fail(BIND)
    if errno is None and asked.group in fd.unsafe and not isinstance(asked, MakeMockDevice):
        return Errno.EPERM
    return errno


def unsafe(machine: Machine) -> tuple[Name, ...]:
    """Groups with a device whose MSIs are not isolated (allow_unsafe_interrupts is off)."""
    groups = {device: group.name for group in machine.groups for device in group.devices}
    wrong = [one.name for one in machine.devices if "msi-not-isolated" in one.quirks]
    return tuple(dict.fromkeys(groups.get(one, one) for one in wrong))


def functions(machine: Machine) -> tuple[Name, ...]:
    """VFs whose device has PRI: it is the PF's, so a VF's failed answer would stop others."""
    return tuple(one.name for one in machine.devices if one.pf and machine.device(one.pf).pri)


def bound(fd: Iommufd, task: Task, out: Out) -> bool:
    """The driver that has bound it is a user until it unbinds."""
    if task.errno is not None:
        del fd.objects[task.device]
        drop_mock(fd, task)
        task.fail(task.errno)
        return True
    fd.device(task.device).users += 1
    objects.publish(fd, task.device, out)
    asked = task.request
    if isinstance(asked, MakeMockDevice):
        task.pasid, task.pt = NO_PASID, asked.pt
        task.then(Do.MOCK_PT, Do.PUT_OLD, Do.MOCK_MADE)
    return True


def mock_pt(fd: Iommufd, task: Task, out: Out) -> bool:
    """A mock device begins with a page table for DMA without PASID."""
    if objects.look(fd, task, task.pt, None, out) is None:
        task.then(Do.UNBIND)
        task.refused = Errno.ENOENT
        return True
    task.then(Do.PAUSE, Do.SWITCH)
    return True


def mock_made(fd: Iommufd, task: Task, out: Out) -> bool:
    """It can be used; or it is taken apart again."""
    if task.errno is not None:
        task.refused = task.errno
        task.then(Do.UNBIND)
        return True
    mock = fd.objects[task.mock]
    assert isinstance(mock, Mock), "it was reserved for one"
    mock.device = task.device
    objects.publish(fd, task.mock, out)
    return True


def unbind(fd: Iommufd, task: Task, out: Out) -> bool:
    """Waits for those that just look at the device; then nobody else may need it."""
    device = fd.device(task.device)
    if device.looks:
        device.unbinder = task.number
        task.then(Do.UNBIND)
        return False
    device.users -= 1
    has = fd.attaches_of(device.group)
    left = tuple(sorted(one for one, record in has.items() if task.device in record.devices))
    out.record(DeviceUnbound(device.device, device.group, left))
    if objects.remove(fd, task.device, out) is None:
        drop_mock(fd, task)  # A bug of the driver, and a warning: the object stays.
        return True
    task.then(Do.UNBOUND)
    out.send(IOMMU_CORE, ReleaseDmaOwner(task.number, device.device))
    return False


def unbound(fd: Iommufd, task: Task, _out: Out) -> bool:
    """A mock device that has come to nothing gives its id back, too."""
    drop_mock(fd, task)
    if task.refused is not None:
        task.fail(task.refused)
    return True


def drop_mock(fd: Iommufd, task: Task) -> None:
    """The id of a mock device that nobody has found yet."""
    if isinstance(task.request, MakeMockDevice):
        del fd.objects[task.mock]


def made(fd: Iommufd, task: Task, out: Out) -> bool:
    """A plain object is there; a fault queue has a file that its user must get."""
    if task.errno is None and isinstance(fd.objects[task.fresh], FaultQueue):
        task.errno = out.may_fail(FILE)
    if task.errno is not None:
        return fd.abort_queue(task, out)
    objects.publish(fd, task.fresh, out)
    return True


def bind_now(fd: Iommufd, task: Task, out: Out) -> bool:
    """In the order of the kernel."""
    return fd.bind(task, out)


def bound_now(fd: Iommufd, task: Task, out: Out) -> bool:
    """In the order of the kernel."""
    return fd.bound(task, out)


STEPS = {
    Do.MOCK: mock,
    Do.BIND: bind_now,
    Do.BOUND: bound_now,
    Do.MOCK_PT: mock_pt,
    Do.MOCK_MADE: mock_made,
    Do.UNBIND: unbind,
    Do.UNBOUND: unbound,
    Do.MADE: made,
}
