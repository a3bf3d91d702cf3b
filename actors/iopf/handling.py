"""The handlers of a group: work for an SVA domain, a context for a page table of iommufd.

A group that goes to a context leaves the list of its device first: it has one owner at a time, and
whoever takes the device off its queue finds only what is still the fault core's (738e6f32e61d).

Kernel: iommu_sva_iopf_handler, iommu_sva_handle_iopf, iommu_sva_handle_mm of Linux 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.iopf import reporting
from actors.iopf.state import GROUP, TIMER, Group, Report, Request, Settling, Step, Work
from protocol.domains import SVA, made_domain, maker_of
from protocol.effects import Out
from protocol.facts import MemoryUsed
from protocol.facts.iopf import FaultWorkQueued
from protocol.messages import Done, Refused, ResponseCode
from protocol.messages.address_spaces import HandleMmFault
from protocol.messages.guests import SettleAnswers
from protocol.messages.iommu_core import AttachHandleGot
from protocol.messages.iommufd import DeliverFault, RespondFault
from protocol.names import IOMMU, Name

if TYPE_CHECKING:
    from actors.iopf import Iopf


def hand_over(iopf: Iopf, task: Report, out: Out) -> None:
    """By the kind of the domain; the driver's thread goes on as soon as somebody has it."""
    group = iopf.groups[task.group]
    if made_domain(group.domain).kind == SVA:
        iopf.queue_work(task.group, out)
        reporting.end(iopf, task, None, out)
        return
    iopf.give_away(task.group, out)
    task.step = Step.DELIVER
    out.send(maker_of(group.domain), delivery(task, group))


def delivery(task: Report, group: Group) -> DeliverFault:
    """What the context is told of a group."""
    return DeliverFault(
        call=task.number,
        handle=group.handle,
        device=group.last.device,
        pasid=group.last.pasid,
        number=group.last.group,
        incarnation=group.last.incarnation,
        group=task.group,
        count=len(group.requests),
        page=group.last.page,
    )


def delivered(iopf: Iopf, task: Report, out: Out, *, taken: bool) -> None:
    """It is the context's now; if that does not want it the device hears of a failure."""
    if not taken:
        iopf.answer_group(task.group, ResponseCode.FAILURE, out)
        iopf.free_group(task.group, out)
    reporting.end(iopf, task, None, out)


def queue_work(iopf: Iopf, group: int, out: Out) -> None:
    """On the unordered queue of its IOMMU: when it runs, and before which other, is chance."""
    device = iopf.groups[group].last.device
    work = Work(iopf.number_for(group), group, iopf.units[device])
    iopf.tasks[work.number] = work
    out.record(FaultWorkQueued(work.number, work.unit, device))
    out.set_timer(f"{TIMER}{work.number}")


def go_on_working(
    iopf: Iopf, work: Work, answer: AttachHandleGot | Done | Refused | None, out: Out
) -> None:
    """One request after the other is the mm's to handle; the first that fails is the last."""
    out.record(MemoryUsed(GROUP, str(work.group)))
    group = iopf.groups.get(work.group)
    if group is None:
        iopf.work_ended(work, out)  # It has been freed under the worker; nothing is known of it.
        return
    mm = maker_of(group.domain)
    if answer is not None:
        work.done += 1
    if isinstance(answer, Refused) or mm not in iopf.processes:
        code = ResponseCode.INVALID  # A script may name an mm that no process has.
    elif work.done == len(group.requests):
        code = ResponseCode.SUCCESS
    else:
        out.send(mm, HandleMmFault(work.number, mm, group.requests[work.done].page))
        return
    iopf.answer_group(work.group, code, out)
    iopf.free_group(work.group, out)
    iopf.work_ended(work, out)


def on_respond_fault(iopf: Iopf, respond: RespondFault, sender: Name, out: Out) -> None:
    """The context has an answer, of its user or its own; it owns the group, so there is one."""
    out.record(MemoryUsed(GROUP, str(respond.group)))
    group = iopf.groups.get(respond.group)
    if group is not None:
        iopf.answer_group(respond.group, ResponseCode(respond.code), out)
        iopf.free_group(respond.group, out)
        if iopf.settles(group.last):
            settling = Settling(iopf.number_for(respond), sender, respond.call)
            iopf.tasks[settling.number] = settling
            where = (respond.device, respond.pasid, respond.incarnation)
            out.send(IOMMU, SettleAnswers(settling.number, *where))
            return
    out.send(sender, Done(respond.call))


def settles(_iopf: Iopf, request: Request) -> bool:
    """Whether who answers waits until the device has it; a mock device waits for nothing.

    A detach waits for a writer, and answers the rest itself, all behind its drain: no other comes,
    and the PASID may be another's next.  Stricter than 7.3 (§8.23).
    """
    return not request.mock


def settled(iopf: Iopf, settling: Settling, out: Out) -> None:
    """The device has it, and its PASID may be another's."""
    del iopf.tasks[settling.number]
    out.send(settling.sender, Done(settling.call))
