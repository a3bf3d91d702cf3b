"""Detach, and what happens when a device refuses.

Detach cannot fail and checks nothing: with the wrong domain, or with nothing attached, the driver
is called for every device, and the slot is empty afterwards, whosever it was.

Kernel: iommu_detach_device_pasid, __iommu_remove_group_pasid of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iommu_core.lock import away
from actors.iommu_core.state import Attaching, DriverCall, GroupState, Task
from protocol.domains import BLOCKING
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iommu_core import DetachAsked, SlotReleased
from protocol.messages import Done
from protocol.messages.iommu_core import DetachDevicePasid, ResetDone, ResetPrepare
from protocol.names import Name

if TYPE_CHECKING:
    from actors.iommu_core import IommuCore


def begin_detach(
    core: IommuCore, group: GroupState, detach: DetachDevicePasid, sender: Name, out: Out
) -> None:
    """The blocking domain on each device, but those that a reset has blocked already."""
    owner = core.owner_of_slots(group, detach.device)
    out.record(DetachAsked(owner, detach.pasid, detach.domain))
    calls = [
        DriverCall(
            one.name, detach.pasid, detach.incarnation, BLOCKING.name, detach.domain, away=True
        )
        for one in core.asked(group, core.devices[detach.device])
        if not one.blocked
    ]
    core.start(group, Task(detach, sender, calls), out)


def release_slot(core: IommuCore, group: GroupState, detach: DetachDevicePasid, out: Out) -> None:
    """Whatever was there."""
    slot = core.table(group, detach.device).pop(detach.pasid, None)
    if slot is not None:
        core.forget_handle(slot.handle)
        owner = core.owner_of_slots(group, detach.device)
        out.record(SlotReleased(owner, detach.pasid, slot.incarnation, "detach"))


def refused(core: IommuCore, task: Task, call: DriverCall, errno: Errno) -> None:
    """The first refusal of an attach turns it back; nothing else can be turned back.

    A device that will not have its old domain again gets the blocking one.
    """
    if not isinstance(task.request, Attaching):
        return
    if task.errno is None:
        task.errno = errno
        task.calls = core.undo(task)
    elif not call.away:
        task.calls.insert(0, away(call))


def end_other(core: IommuCore, group: GroupState, task: Task, out: Out) -> None:
    """Nothing else than attaching can fail."""
    match task.request:
        case DetachDevicePasid():
            core.release_slot(group, task.request, out)
        case ResetPrepare():
            core.end_prepare(group, task.request, out)
        case ResetDone():
            core.end_done(group, task.request, out)
        case _:
            raise AssertionError("attaching ends elsewhere")
    out.send(task.sender, Done(task.request.call))
