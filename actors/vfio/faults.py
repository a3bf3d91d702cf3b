"""Page requests of bound PASIDs, to the guest and back (§4.4).

None of it goes behind `pasid_lock`: an unbind holds that while the driver waits for the answers.
A guest that has ended answers nothing more, so VFIO answers for it.

Kernel: the fault handler and page response of "vfio: expose virtual SVA to VMs";
iommu_report_device_fault, iopf_queue_flush_dev.
"""

from typing import TYPE_CHECKING

from actors.vfio import tasks
from actors.vfio.state import NOBODY, Answer, Respond, refusal
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    Done,
    FlushFaults,
    PageRequestReport,
    PageResponse,
    Refused,
    RespondPage,
    ResponseCode,
)
from protocol.names import IOMMU, VFIO, Name, guest_of, vm_of

if TYPE_CHECKING:
    from actors.vfio import Vfio


def on_page_request_report(vfio: "Vfio", report: PageRequestReport, out: Out) -> None:
    """The guest answers, if it still runs."""
    if vfio.answers_pages(report.vm):
        out.send(guest_of(report.vm), report)
        return

    task = Respond(number=tasks.number(vfio), vm=report.vm, caller=VFIO, call=NOBODY)
    vfio.tasks[task.number] = task
    response = PageResponse(
        call=task.number,
        vm=report.vm,
        device=report.device,
        pasid=report.pasid,
        incarnation=report.incarnation,
        group=report.group,
        code=ResponseCode.INVALID,
    )
    out.send(IOMMU, response)


def on_respond_page(vfio: "Vfio", answer: RespondPage, sender: Name, out: Out) -> None:
    """Whether there is such a request, and whose, the driver knows."""
    vm = vm_of(sender)
    if not vfio.is_open(vm):
        out.send(sender, Refused(answer.call, Errno.EOPNOTSUPP))
        return

    task = Respond(number=tasks.number(vfio), vm=vm, caller=sender, call=answer.call)
    vfio.tasks[task.number] = task
    response = PageResponse(
        call=task.number,
        vm=vm,
        device=answer.device,
        pasid=answer.pasid,
        incarnation=answer.incarnation,
        group=answer.group,
        code=answer.code,
    )
    out.send(IOMMU, response)


def resume(vfio: "Vfio", respond: Respond, answer: Answer, out: Out) -> None:
    """The driver's answer is the guest's; to our own nobody listens."""
    del vfio.tasks[respond.number]
    if respond.caller == VFIO:
        return

    failed = refusal(answer)
    own = Done(respond.call) if failed is None else Refused(respond.call, failed)
    out.send(respond.caller, own)


def on_flush_faults(flush: FlushFaults, sender: Name, out: Out) -> None:
    """Links are in order, so whatever was reported before this has been taken in."""
    out.send(sender, Done(flush.call))
