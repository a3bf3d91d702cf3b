"""Devices on the queue of their IOMMU: added, flushed, removed.

Who removes a device has blocked its hardware and flushed the work before: what is on its list then
has no worker, and is answered INVALID and freed.

Kernel: iopf_queue_add_device, iopf_queue_flush_dev, iopf_queue_remove_device,
iopf_queue_discard_partial of Linux 7.3; 9759ae2cee7c, f0b9d31c6edd.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iopf.state import NOMEM_PARAM, Flush, Param, Work
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.iopf import (
    FaultDeviceAdded,
    FaultDeviceRemoved,
    FaultFlushBegun,
    FaultFlushEnded,
    FaultParamUsed,
    FaultWorkEnded,
)
from protocol.messages import Done, Refused, ResponseCode
from protocol.messages.address_spaces import (
    AddIopfDevice,
    DiscardPartialFaults,
    FlushIopfDevice,
    RemoveIopfDevice,
)
from protocol.names import Call, Name

if TYPE_CHECKING:
    from actors.iopf import Iopf


def on_add_device(iopf: Iopf, add: AddIopfDevice, sender: Name, out: Out) -> None:
    """ENODEV no IOMMU that could answer it; else it has a fault_param, and that one user."""
    if add.device not in iopf.units:
        out.send(sender, Refused(add.call, Errno.ENODEV))
        return
    if add.device in iopf.on_queue:
        out.send(sender, Refused(add.call, Errno.EBUSY))
        return
    if (errno := out.may_fail(NOMEM_PARAM)) is not None:
        out.send(sender, Refused(add.call, errno))
        return
    number = iopf.param_number()
    iopf.params[number] = Param(add.device)
    iopf.on_queue[add.device] = number
    out.record(FaultDeviceAdded(add.device, number))
    out.record(FaultParamUsed(number, 1))
    out.send(sender, Done(add.call))


def on_remove_device(iopf: Iopf, remove: RemoveIopfDevice, sender: Name, out: Out) -> None:
    """Partial requests just go; groups get their answer.  A device that is not there: a warning."""
    number = iopf.on_queue.get(remove.device)
    if number is not None:
        param = iopf.params[number]
        param.partial = []
        for group in list(param.faults):
            iopf.remove_group(group, out)
        del iopf.on_queue[remove.device]
        out.record(FaultDeviceRemoved(remove.device, number))
        iopf.put_param(number, out)
    out.send(sender, Done(remove.call))


def remove_group(iopf: Iopf, number: int, out: Out) -> None:
    """The device shall not ask again; nobody else will free it (9759ae2cee7c)."""
    iopf.answer_group(number, ResponseCode.INVALID, out)
    iopf.free_group(number, out)


def on_flush_device(iopf: Iopf, flush: FlushIopfDevice, sender: Name, out: Out) -> None:
    """All the work of the IOMMU's queue that is there now, whatever device it is for."""
    if flush.device not in iopf.on_queue:
        out.send(sender, Refused(flush.call, Errno.ENODEV))
        return
    unit = iopf.units[flush.device]
    waiting = Flush(sender, flush.call, iopf.to_wait_for(unit))
    out.record(FaultFlushBegun(waiting.title, unit))
    iopf.flushes.append(waiting)
    look_whether_flushed(iopf, out)


def to_wait_for(iopf: Iopf, unit: Name) -> list[Call]:
    """Queued or running."""
    works = [one for one in iopf.tasks.values() if isinstance(one, Work)]
    return [one.number for one in works if one.unit == unit]


def work_ended(iopf: Iopf, work: Work, out: Out) -> None:
    """Maybe the last that somebody waited for."""
    del iopf.tasks[work.number]
    out.record(FaultWorkEnded(work.number))
    for flush in iopf.flushes:
        if work.number in flush.works:
            flush.works.remove(work.number)
    look_whether_flushed(iopf, out)


def look_whether_flushed(iopf: Iopf, out: Out) -> None:
    """Answer those that wait for nothing any more."""
    ended = [one for one in iopf.flushes if not one.works]
    iopf.flushes = [one for one in iopf.flushes if one.works]
    for flush in ended:
        out.record(FaultFlushEnded(flush.title))
        out.send(flush.sender, Done(flush.call))


def on_discard_partial(iopf: Iopf, discard: DiscardPartialFaults, sender: Name, out: Out) -> None:
    """The last of their groups may have been lost in the overflow."""
    if discard.unit not in iopf.units.values():
        out.send(sender, Refused(discard.call, Errno.EINVAL))
        return
    for device, number in iopf.on_queue.items():
        if iopf.units[device] == discard.unit:
            iopf.params[number].partial = []
    out.send(sender, Done(discard.call))
