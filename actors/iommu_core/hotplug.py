"""Devices that come and go: they join their group, and leave it.

A device that joins gets no PASID that is attached there already; when one leaves the slots stay as
they are.  The driver of its IOMMU is asked under the group's lock, and takes its hardware down.

Kernel: iommu_probe_device, iommu_init_device, iommu_deinit_device of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.lock import hand_on, has, lets_go
from actors.iommu_core.state import GroupState, Task
from protocol.domains import DEFAULT, NULL
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommu_core import GroupJoined, GroupLeft, SlotReleased
from protocol.messages import Done, Refused
from protocol.messages.hotplug import ProbeDevice, ReleaseDevice
from protocol.messages.iommu_core import PlugDevice, UnplugDevice
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def on_plug(core: IommuCore, plug: PlugDevice, sender: Name, out: Out) -> None:
    """ENODEV no IOMMU, EBUSY it is there."""
    device = core.devices.get(plug.device)
    if device is None or not device.unit:
        out.send(sender, Refused(plug.call, Errno.ENODEV))
    elif device.group:
        out.send(sender, Refused(plug.call, Errno.EBUSY))
    else:
        ask_driver(core, core.groups[device.home], plug, sender, out)


def on_unplug(core: IommuCore, unplug: UnplugDevice, sender: Name, out: Out) -> None:
    """One that is not there: nothing to do."""
    device = core.devices.get(unplug.device)
    if device is None or not device.group:
        out.send(sender, Done(unplug.call))
    else:
        ask_driver(core, core.groups[device.group], unplug, sender, out)


def ask_driver(
    core: IommuCore, group: GroupState, request: PlugDevice | UnplugDevice, sender: Name, out: Out
) -> None:
    """With the lock kept; a machine without units has no driver that wants to know."""
    if not core.told:
        core.end_hotplug(group, request, out)
        out.send(sender, Done(request.call))
        return
    has(group, Task(request, sender, []), out)
    kind = ProbeDevice if isinstance(request, PlugDevice) else ReleaseDevice
    out.send(IOMMU, kind(group.number, request.device))


def told_driver(core: IommuCore, group: GroupState, task: Task, out: Out) -> None:
    """The driver has it, or is off it."""
    request = task.request
    assert isinstance(request, PlugDevice | UnplugDevice), "nobody else comes or goes"
    lets_go(group, out)
    core.end_hotplug(group, request, out)
    out.send(task.sender, Done(request.call))
    hand_on(core, group, out)


def end_hotplug(
    core: IommuCore, group: GroupState, request: PlugDevice | UnplugDevice, out: Out
) -> None:
    """It joins behind those that are there, or its PASIDs stay in the table without it."""
    device = core.devices[request.device]
    if isinstance(request, PlugDevice):
        device.group = device.home
        group.devices.append(device.name)
        out.record(GroupJoined(device.name, device.home))
        return
    group.devices.remove(device.name)
    if device.blocked:
        group.recovering -= 1
    device.group, device.blocked, device.reset_depth = "", False, 0
    core.on_left(group, device.name)
    if not group.devices:
        core.let_go(group, out)
        group.domain, group.owner, group.claims = DEFAULT.name, NULL, 0
    out.record(GroupLeft(device.name, group.name))


def let_go(core: IommuCore, group: GroupState, out: Out) -> None:
    """A group without devices is no more, and its slots with it."""
    slots = [
        (core.owner_of_slots(group, of), *item)
        for of, table in group.tables.items()
        for item in sorted(table.items())
    ]
    group.tables.clear()
    for owner, pasid, slot in slots:
        core.forget_handle(slot.handle)
        out.record(SlotReleased(owner, pasid, slot.incarnation, "group"))


def on_left(core: IommuCore, group: GroupState, device: Name) -> None:
    """A slot is the group's, so a device takes none along."""
