"""A driver reports a page request: whose it is, and whether it makes a group.

The handle that is in place is looked up without a lock, so a PASID that is just being attached has
none (S18).  Who is nobody's is answered INVALID at once, and not asked for again; a request that is
not the last of its group is never answered.

Kernel: iommu_report_device_fault, find_fault_handler of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iopf.state import (
    GROUP,
    NOMEM_GROUP,
    NOMEM_PARTIAL,
    Group,
    Report,
    Request,
    Step,
)
from protocol.domains import ANY_KIND, NESTED, NO_PASID, has_fault_handler
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryAllocated
from protocol.facts.iopf import FaultGroupFormed, FaultParamUsed, FaultTaken, FaultUnhandled
from protocol.messages import Done, Refused, ResponseCode
from protocol.messages.address_spaces import ReportPageRequest
from protocol.messages.iommu_core import AttachHandleGet, AttachHandleGot
from protocol.messages.iommufd import ReportFault
from protocol.names import IOMMU_CORE, Name

if TYPE_CHECKING:
    from actors.iopf import Iopf


def on_report(iopf: Iopf, report: ReportPageRequest | ReportFault, sender: Name, out: Out) -> None:
    """First the handle: there may be nobody to ask.  EINVAL without an IOMMU that could answer."""
    if report.device not in iopf.units:
        out.send(sender, Refused(report.call, Errno.EINVAL))
        return
    request = request_of(report)
    task = Report(iopf.number_for(report), sender, report.call, request)
    iopf.tasks[task.number] = task
    where = (request.device, request.pasid, request.incarnation, request.group)
    out.record(FaultTaken(*where, request.last))
    look_up(iopf, task, ANY_KIND, out)


def request_of(report: ReportPageRequest | ReportFault) -> Request:
    """A mock device asks for one page, and waits for nothing."""
    if isinstance(report, ReportFault):
        return Request(report.device, report.pasid, 0, report.number, 0, last=True, mock=True)
    return Request(
        device=report.device,
        pasid=report.pasid,
        incarnation=report.incarnation,
        group=report.group,
        page=report.page,
        last=report.last,
    )


def look_up(iopf: Iopf, task: Report, kind: str, out: Out) -> None:
    """In the group of the device."""
    home = iopf.homes[task.request.device]
    pasid = NO_PASID if task.step is Step.LOOK_UP_RID else task.request.pasid
    out.send(IOMMU_CORE, AttachHandleGet(task.number, home, pasid, kind))


def go_on_reporting(
    iopf: Iopf, task: Report, answer: AttachHandleGot | Done | Refused, out: Out
) -> None:
    """The handle is there, or not; or the context has taken the group, or not."""
    if task.step is Step.DELIVER:
        iopf.delivered(task, taken=isinstance(answer, Done), out=out)
        return
    if not isinstance(answer, AttachHandleGot):
        if task.step is Step.LOOK_UP and iopf.falls_back_to_rid(task.request):
            task.step = Step.LOOK_UP_RID
            look_up(iopf, task, NESTED, out)
        else:
            iopf.unhandled(task, out)
        return
    number = iopf.on_queue.get(task.request.device)
    if not has_fault_handler(answer.domain) or number is None:
        iopf.unhandled(task, out)
        return
    param = iopf.params[number]
    if task.request.last:
        iopf.form_group(task, answer, out)
    elif (errno := out.may_fail(NOMEM_PARTIAL)) is not None:
        end(iopf, task, errno, out)
    else:
        param.partial.append(task.request)
        end(iopf, task, None, out)


def falls_back_to_rid(_iopf: Iopf, request: Request) -> bool:
    """user_pasid_table: a guest's own table of PASIDs is behind the RID; VT-d has none, mock has.

    The handle of DMA without PASID must then be a nested page table's.
    """
    return request.mock and request.pasid != NO_PASID


def unhandled(iopf: Iopf, task: Report, out: Out) -> None:
    """INVALID, so that the device does not ask again (I25); EINVAL for the driver."""
    request = task.request
    if request.last:
        where = (request.device, request.pasid, request.incarnation, request.group)
        out.record(FaultUnhandled(*where))
        iopf.answer_request(request, ResponseCode.INVALID, out)
    end(iopf, task, Errno.EINVAL, out)


def form_group(iopf: Iopf, task: Report, got: AttachHandleGot, out: Out) -> None:
    """With those that waited for the last one; without memory it is aborted, and they go."""
    last = task.request
    number = iopf.on_queue[last.device]
    param = iopf.params[number]
    waited = [one for one in param.partial if one.group == last.group]
    param.partial = [one for one in param.partial if one.group != last.group]
    if out.may_fail(NOMEM_GROUP) is not None:
        iopf.answer_request(last, ResponseCode.FAILURE, out)
        end(iopf, task, None, out)
        return
    task.group = iopf.group_number()
    iopf.groups[task.group] = Group([*waited, last], number, got.handle, got.domain)
    param.users += 1
    param.faults.append(task.group)
    out.record(MemoryAllocated(GROUP, str(task.group)))
    where = (last.device, last.pasid, last.incarnation, last.group)
    out.record(FaultGroupFormed(task.group, number, *where, got.handle))
    out.record(FaultParamUsed(number, param.users))
    iopf.hand_over(task, out)


def end(iopf: Iopf, task: Report, errno: Errno | None, out: Out) -> None:
    """The driver's thread goes on to its next request."""
    del iopf.tasks[task.number]
    out.send(task.sender, Done(task.call) if errno is None else Refused(task.call, errno))
