"""The PRQ thread of each unit, and the answers that go back through it.

One round at a time: read the ring, hand each request to the fault core and wait until it has it,
move the head.  The interrupt only wakes the thread; when it runs is chance (a timer), and a request
may be old by then: that is what a drain is for.

Kernel: prq_event_thread, intel_iommu_page_response in drivers/iommu/intel/prq.c of Linux 7.3.  §8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.intel_iommu.locks import Lock
from actors.intel_iommu.order import insert, smallest_free
from actors.intel_iommu.state import Round, Stage, Task
from actors.intel_iommu.tasks import answered, awaits_round, run
from protocol.effects import Out
from protocol.facts import LockReleased, LockTaken, PageAnswered, PageReported, ThreadEntered
from protocol.facts.intel_iommu import ReportBegun, ReportEnded
from protocol.messages import (
    AdvancePrq,
    Done,
    DrainRequestsGot,
    PageGroupResponse,
    PageRequest,
    ReadPrq,
    ReadPrqGot,
    Refused,
    ResponseCode,
    TimerFired,
)
from protocol.messages.address_spaces import (
    DiscardPartialFaults,
    ReportPageRequest,
    RespondPageRequest,
)
from protocol.names import IOPF, Incarnation, Name

if TYPE_CHECKING:
    from actors.intel_iommu import IntelIommu

TIMER: Final = "prq:"
"""Before the name of a unit: its PRQ thread is to run."""


def iopf_lock(unit: Name) -> str:
    """iommu->iopf_lock: what is looked up for a report stays until it is made."""
    return f"iopf_lock {unit}"


def round_of(driver: IntelIommu, unit: Name) -> Round | None:
    """The round that is under way, if there is one."""
    rounds = (one for one in driver.tasks.values() if isinstance(one, Round))
    return next((one for one in rounds if one.unit == unit), None)


def on_page_request_interrupt(driver: IntelIommu, unit: Name, out: Out) -> None:
    """An interrupt during a round makes another round; one that has not begun sees all."""
    running = round_of(driver, unit)
    if running is None:
        wake(driver, unit, out)
    elif running.stage is not Stage.WOKEN:
        running.again = True


def wake(driver: IntelIommu, unit: Name, out: Out) -> None:
    """A round is due; as any thread, it runs when the scheduler lets it."""
    one = Round(smallest_free(driver.tasks), unit)
    insert(driver.tasks, one.number, one)
    out.set_timer(TIMER + unit)


def on_timer_fired(driver: IntelIommu, fired: TimerFired, out: Out) -> None:
    """The thread runs.  PPR is cleared before the ring is read, so that nothing comes unseen."""
    one = round_of(driver, fired.timer.removeprefix(TIMER))
    assert one is not None, "there is one timer per round"
    out.record(ThreadEntered(one.title, f"{TIMER}{one.unit}/0"))
    one.stage = Stage.READ
    out.send(one.unit, ReadPrq(one.number, thread=True))


def round_goes_on(
    driver: IntelIommu, one: Round, answer: Done | Refused | ReadPrqGot | DrainRequestsGot, out: Out
) -> None:
    """The ring has been read, a request taken, or the head moved.

    Whether the fault core could use a request makes no difference: it has answered, if need be.
    """
    if isinstance(answer, ReadPrqGot):
        one.requests, one.overflow = answer.requests, answer.overflow
    elif one.stage is Stage.REPORT:
        out.record(ReportEnded(one.title))
        driver.reported(one, out)
    if one.stage is Stage.ADVANCE and one.overflow:
        one.stage = Stage.DISCARD  # The last of a group may be among those that found no room.
        out.send(IOPF, DiscardPartialFaults(one.number, one.unit))
    elif one.stage in (Stage.ADVANCE, Stage.DISCARD):
        driver.end_round(one, out)
    else:
        driver.next_request(one, out)


def next_request(driver: IntelIommu, one: Round, out: Out) -> None:
    """The oldest that the thread has not seen; when there is none any more the head moves."""
    while one.reported < len(one.requests):
        one.reported += 1
        driver.begin_report(one, out)
        if driver.is_there(one.requests[one.reported - 1].device):
            one.stage = Stage.REPORT
            driver.report(one, out)
            return
        refuse(driver, one.requests[one.reported - 1], out)
        driver.reported(one, out)
    one.stage = Stage.ADVANCE
    out.send(one.unit, AdvancePrq(one.number, len(one.requests)))


def begin_report(driver: IntelIommu, one: Round, out: Out) -> None:
    """With the lock of the unit, which release takes, too: nobody else keeps it."""
    lock = iopf_lock(one.unit)
    driver.locks[lock] = Lock(one.number)
    out.record(LockTaken(lock, "mutex", one.title))


def is_there(driver: IntelIommu, device: Name) -> bool:
    """Whether it has not been released."""
    return device not in driver.released


def refuse(driver: IntelIommu, request: PageRequest, out: Out) -> None:
    """Nobody is asked: the device is not the fault core's any more."""
    if request.last:
        life = (request.device, request.pasid, request.incarnation, request.group)
        code, unit = ResponseCode.INVALID, driver.devices[request.device].unit
        out.record(PageAnswered(*life, int(code), 0))
        out.send(unit, PageGroupResponse(*life, code, mapped=False))


def reported(driver: IntelIommu, one: Round, out: Out) -> None:
    """The request is somebody else's; who waits for that goes on."""
    lock = iopf_lock(one.unit)
    waiting = driver.locks.pop(lock).waiting
    out.record(LockReleased(lock, "mutex", one.title))
    for number in waiting:
        task = driver.tasks[number]
        assert isinstance(task, Task), "there is one PRQ thread for a unit"
        run(driver, task, out)


def report(_driver: IntelIommu, one: Round, out: Out) -> None:
    """Oldest first, partial ones, too; only the last of a group is owed an answer."""
    request = one.requests[one.reported - 1]
    out.record(ReportBegun(request.device, one.title))
    life = (request.device, request.pasid, request.incarnation)
    if request.last:
        out.record(PageReported(*life, request.group))
    message = ReportPageRequest(one.number, *life, request.group, request.page, request.last)
    out.send(IOPF, message)


def end_round(driver: IntelIommu, one: Round, out: Out) -> None:
    """prq_complete: drains look again, and the thread, too, if it was interrupted."""
    del driver.tasks[one.number]
    for task in list(driver.tasks.values()):
        if isinstance(task, Task) and awaits_round(driver, task, one.unit):
            answered(driver, task, out)
    if one.again:
        wake(driver, one.unit, out)


def on_respond(driver: IntelIommu, response: RespondPageRequest, out: Out) -> None:
    """The one answer to a group goes back to its device."""
    life = (response.device, response.pasid, response.incarnation)
    answerer = driver.answerer(response)
    out.record(PageAnswered(*life, response.group, int(response.code), answerer))
    unit = driver.devices[response.device].unit
    out.send(unit, PageGroupResponse(*life, response.group, response.code, response.mapped))


def answerer(driver: IntelIommu, response: RespondPageRequest) -> Incarnation:
    """Whose page it is that the device will find: of who is attached now.  INVALID is nobody's."""
    if response.code is not ResponseCode.SUCCESS:
        return 0
    tag = (response.device, response.pasid)
    places = [place for one in driver.domains.values() for place in one.places]
    return next((one.incarnation for one in places if (one.device, one.pasid) == tag), 0)
