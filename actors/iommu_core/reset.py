"""A reset: the device is blocked everywhere until it has ended, and nobody attaches meanwhile.

Nested resets only count (0d5fd7a9323c); what is done is done to that device alone, and not to its
siblings (1615e8896a8f).  A PASID may be detached meanwhile: then it is not set again (I38).

Kernel: pci_dev_reset_iommu_prepare, pci_dev_reset_iommu_done of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.state import Dev, DriverCall, GroupState, Task
from protocol.domains import BLOCKING
from protocol.effects import Out
from protocol.facts.iommu_core import DeviceBlocked, DeviceUnblocked, ResetAsked
from protocol.messages import Done
from protocol.messages.iommu_core import ResetDone, ResetPrepare
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def begin_prepare(
    core: IommuCore, group: GroupState, prepare: ResetPrepare, sender: Name, out: Out
) -> None:
    """The outermost takes every PASID away; without ATS there is nothing to wait for."""
    device = core.devices[prepare.device]
    if device.ats:
        out.record(ResetAsked(device.name, done=False))
    if not device.ats or not core.counts(device, 1):
        out.send(sender, Done(prepare.call))
        return
    calls = [
        DriverCall(device.name, pasid, incarnation, BLOCKING.name, domain, away=True)
        for pasid, incarnation, domain in core.attached(group, device)
    ]
    core.start(group, Task(prepare, sender, calls), out)


def counts(_core: IommuCore, device: Dev, by: int) -> bool:
    """One deeper, or less deep; whether the outermost begins or ends with that."""
    before, device.reset_depth = device.reset_depth, max(0, device.reset_depth + by)
    return 0 in (before, device.reset_depth) and before != device.reset_depth


def attached(core: IommuCore, group: GroupState, device: Dev) -> list[tuple[int, int, Name]]:
    """The PASIDs of a device in ascending order, with their domains."""
    if device.max_pasids == 0:
        return []
    slots = sorted(core.table(group, device.name).items())
    return [(pasid, one.incarnation, core.domain_in(one)) for pasid, one in slots if pasid]


def end_prepare(core: IommuCore, group: GroupState, prepare: ResetPrepare, out: Out) -> None:
    """From here on attach and replace are refused in the whole group."""
    core.devices[prepare.device].blocked = True
    group.recovering += 1
    out.record(DeviceBlocked(prepare.device))


def begin_done(core: IommuCore, group: GroupState, done: ResetDone, sender: Name, out: Out) -> None:
    """The outermost gives the device what is in the group's table now."""
    device = core.devices[done.device]
    if device.ats:
        out.record(ResetAsked(device.name, done=True))
    if not device.ats or not core.counts(device, -1):
        out.send(sender, Done(done.call))
        return
    calls = [
        DriverCall(device.name, pasid, incarnation, domain, BLOCKING.name)
        for pasid, incarnation, domain in core.attached(group, device)
    ]
    core.start(group, Task(done, sender, calls), out)


def end_done(core: IommuCore, group: GroupState, done: ResetDone, out: Out) -> None:
    """It is a device like the others again."""
    core.devices[done.device].blocked = False
    group.recovering -= 1
    out.record(DeviceUnblocked(done.device))
