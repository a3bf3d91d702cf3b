"""The PRQ thread and page responses: a page request is answered once, by whoever is bound then.

One round at a time per unit: read the ring, deal with every request in it, move the head.  The
interrupt only wakes the thread; when it runs is chance (a timer), and a request may be old by then:
that is what a drain is for (S12).  The thread takes no mutex.  A request of a (device, PASID) that
is not linked is answered INVALID at once; any other waits in its svm_dev for its consumer's answer.

Kernel: prq_event_thread, intel_svm_page_response in drivers/iommu/intel/svm.c.  §4.4 (mends S34).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.iommu_driver import lock, reset
from actors.iommu_driver.drain import awaits_round, consumer_of, round_ended, round_of
from actors.iommu_driver.order import insert, smallest_free
from actors.iommu_driver.state import (
    DevState,
    Operation,
    Response,
    Round,
    Step,
    SvmDev,
)
from actors.iommu_driver.svm import look_up
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryUsed, PageAnswered, PageReported
from protocol.messages import (
    AdvancePrq,
    Done,
    PageGroupResponse,
    PageRequest,
    PageRequestReport,
    PageResponse,
    ReadPrq,
    ReadPrqGot,
    Refused,
    ResponseCode,
    TimerFired,
)
from protocol.names import Incarnation, Name

if TYPE_CHECKING:
    from actors.iommu_driver import IommuDriver

TIMER: Final = "prq:"
"""Before the name of a unit: its PRQ thread is to run."""


def on_page_request_interrupt(driver: IommuDriver, unit: Name, out: Out) -> None:
    """An interrupt during a round makes another round; one that has not begun sees all."""
    running = round_of(driver, unit)
    if running is None:
        driver.wake_thread(unit, out)
    elif running.step is not Step.WOKEN:
        running.again = True


def wake_thread(driver: IommuDriver, unit: Name, out: Out) -> None:
    """A round is due; as any thread, it runs when the scheduler lets it."""
    one = Round(smallest_free(driver.tasks), unit)
    insert(driver.tasks, one.number, one)
    out.set_timer(TIMER + unit)


def on_timer_fired(driver: IommuDriver, fired: TimerFired, out: Out) -> None:
    """The thread runs.  PPR is cleared before the ring is read, so that nothing comes unseen."""
    one = round_of(driver, fired.timer.removeprefix(TIMER))
    assert one is not None, "there is one timer per round"
    one.step = Step.READ_PRQ
    out.send(one.unit, ReadPrq(one.number, thread=True))


def ring_read(driver: IommuDriver, one: Round, ring: ReadPrqGot, out: Out) -> None:
    """Each request, oldest first; then the head moves past them."""
    for request in ring.requests:
        driver.take_request(one.unit, request, out)
    one.step = Step.ADVANCE_PRQ
    out.send(one.unit, AdvancePrq(one.number, len(ring.requests)))


def take_request(driver: IommuDriver, unit: Name, request: PageRequest, out: Out) -> None:
    """Reported to its consumer, or answered INVALID.  The last of a group stands for all of it."""
    if not request.last:
        return

    svm = look_up(driver, request.pasid, out)
    sdev = None if svm is None else svm.devices.get(request.device)
    if svm is None or sdev is None or sdev.state is not DevState.LINKED:
        driver.answer_group(unit, invalid(request), 0, out)
        return

    out.record(MemoryUsed("sdev", svm.object(request.device)))
    insert(sdev.pending, request.group, request.incarnation)
    out.record(PageReported(request.device, request.pasid, request.incarnation, request.group))
    out.send(
        consumer_of(svm),
        PageRequestReport(
            vm=svm.vm,
            device=request.device,
            pasid=request.pasid,
            incarnation=request.incarnation,
            gpasid=svm.gpasid,
            group=request.group,
            page=request.page,
        ),
    )


def invalid(request: PageRequest) -> PageGroupResponse:
    """The answer to a request that nobody here is bound for."""
    return PageGroupResponse(
        device=request.device,
        pasid=request.pasid,
        incarnation=request.incarnation,
        group=request.group,
        code=ResponseCode.INVALID,
        mapped=False,
    )


def answer_group(
    _driver: IommuDriver,
    unit: Name,
    response: PageGroupResponse,
    answerer: Incarnation,
    out: Out,
) -> None:
    """Every response that leaves the driver leaves here."""
    out.record(
        PageAnswered(
            device=response.device,
            pasid=response.pasid,
            incarnation=response.incarnation,
            group=response.group,
            code=int(response.code),
            answerer=answerer,
        )
    )
    out.send(unit, response)


def end_round(driver: IommuDriver, one: Round, out: Out) -> None:
    """prq_complete: drains of this unit look again, and the thread too if it was interrupted."""
    del driver.tasks[one.number]
    for task in list(driver.tasks.values()):
        if isinstance(task, Operation) and awaits_round(driver, task, one.unit):
            round_ended(driver, task, out)
    reset.round_ended(driver, one.unit, out)
    if one.again:
        driver.wake_thread(one.unit, out)


def on_page_response(driver: IommuDriver, request: PageResponse, sender: Name, out: Out) -> None:
    """It needs the mutex, so that the svm_dev does not go while it is looked at."""
    response = Response(smallest_free(driver.tasks), sender, request)
    insert(driver.tasks, response.number, response)
    lock.take(driver, response, out)


def respond(driver: IommuDriver, task: Response, out: Out) -> None:
    """Mutex held: one answer for each request, from the VM that is bound."""
    errno = driver.answer_page(task.request, out)
    del driver.tasks[task.number]
    lock.release(driver, task, out)
    if errno is None:
        out.send(task.asker, Done(task.request.call))
    else:
        out.send(task.asker, Refused(task.request.call, errno))


def answer_page(driver: IommuDriver, request: PageResponse, out: Out) -> Errno | None:
    """An UNLINKED device answers no more: its drain does, with INVALID."""
    svm = look_up(driver, request.pasid, out)
    if svm is None:
        return Errno.EINVAL
    sdev: SvmDev | None = svm.devices.get(request.device)
    if svm.vm != request.vm or sdev is None or sdev.state is not DevState.LINKED:
        return Errno.ENODEV

    out.record(MemoryUsed("sdev", svm.object(request.device)))
    if request.group not in sdev.pending:
        return Errno.EINVAL
    response = PageGroupResponse(
        device=request.device,
        pasid=request.pasid,
        incarnation=sdev.pending.pop(request.group),
        group=request.group,
        code=request.code,
        mapped=request.code is ResponseCode.SUCCESS,
    )
    driver.answer_group(driver.unit_of(svm, request.device), response, svm.incarnation, out)
    return None
