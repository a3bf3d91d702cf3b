"""The guest's page faults: each is answered once, and the page is there (§4.7).

A guest that misbehaves keeps the answer back now and then; nothing in the kernel bounds that time.

Kernel: the guest's prq_event_thread and its fault handler.
"""

from typing import TYPE_CHECKING

from actors.guest.state import Responding
from protocol.effects import Out
from protocol.facts import PageWithheld
from protocol.messages import PageRequestReport, RespondPage, ResponseCode

if TYPE_CHECKING:
    from actors.guest import Guest


def on_page_request_report(guest: "Guest", report: PageRequestReport, out: Out) -> None:
    """Answer, or remember for which descriptor it is useless to wait."""
    if guest.withholds(out):
        withhold(guest, report, out)
        return

    number = guest.free_number()
    guest.tasks[number] = Responding(guest.door)
    response = RespondPage(
        call=number,
        device=report.device,
        pasid=report.pasid,
        incarnation=report.incarnation,
        group=report.group,
        code=ResponseCode.SUCCESS,
    )
    out.send(guest.door, response)


def withhold(guest: "Guest", report: PageRequestReport, out: Out) -> None:
    """The descriptor that touched the page is left to wait.

    Through a dedicated queue it has the PASID of the queue, whatever the guest believes that to be.
    """
    out.record(PageWithheld(report.device, report.pasid, report.incarnation, report.group))
    for task in guest.running():
        known = report.device in guest.dedicated or task.value.gpasid == report.gpasid
        if known and guest.hardware(task.step) == report.device:
            for flight in task.flying:
                flight.withheld = flight.withheld or flight.page == report.page
