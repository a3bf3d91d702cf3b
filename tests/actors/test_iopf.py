"""The fault core: who gets a page request, who answers it, and what is left of it."""

import pytest

from actors.iopf import Iopf
from protocol.errors import Errno
from protocol.facts import MemoryUsed
from protocol.facts.iopf import FaultParamUsed, FaultWorkEnded
from protocol.messages import Done, Refused, ResponseCode
from protocol.messages.address_spaces import DiscardPartialFaults, HandleMmFault
from protocol.messages.iommu_core import AttachHandleGet
from protocol.messages.iommufd import DeliverFault, ReportFault
from tests.actors.iopf_hands import (
    CONTEXT,
    FAULTY,
    NESTED,
    PLAIN,
    SVA,
    Hands,
    add,
    flush,
    on_queue,
    remove,
    report,
    respond,
)
from tests.helpers import Failing

SUCCESS, INVALID, FAILURE = ResponseCode.SUCCESS, ResponseCode.INVALID, ResponseCode.FAILURE
EINVAL = Refused(1, Errno.EINVAL)


def clean(iopf: Iopf) -> bool:
    """Nothing is under way or kept."""
    return not (iopf.tasks or iopf.groups or iopf.flushes)


# --- Routing --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("slots", "queued"),
    [
        ((), True),
        (((5, PLAIN),), True),
        (((5, SVA),), False),
        # No user_pasid_table on VT-d: the RID's page table says nothing about a PASID.
        (((0, NESTED),), True),
    ],
)
def test_who_has_no_handler_is_answered_invalid_once(
    slots: tuple[tuple[int, tuple[str, str]], ...], queued: bool
) -> None:
    hands = on_queue(*slots) if queued else Hands()
    hands.slots = {("g", pasid): slot for pasid, slot in slots}
    assert hands.ask(report(last=False)) == EINVAL
    assert hands.ask(report()) == EINVAL
    assert hands.responses == [("d1", 1, INVALID)]
    assert clean(hands.iopf)


def test_a_request_without_a_pasid_goes_to_the_handle_of_the_rid() -> None:
    hands = on_queue((0, FAULTY))
    assert hands.ask(report(pasid=0)) == Done(1)
    assert [one.handle for one in hands.delivered] == [FAULTY[0]]


def test_a_mock_device_falls_back_to_a_nested_page_table_and_waits_for_nothing() -> None:
    hands = on_queue((0, NESTED))
    assert hands.ask(ReportFault(1, "d1", 5, 3)) == Done(1)
    (delivered,) = hands.delivered
    assert hands.ask(respond(delivered), CONTEXT) == Done(9)
    assert hands.responses == []
    hands.slots = {("g", 0): FAULTY}
    assert hands.ask(ReportFault(1, "d1", 5, 3)) == EINVAL
    assert hands.ask(ReportFault(1, "d1", 0, 3)) == Done(1)


# --- SVA ------------------------------------------------------------------------------------------


def test_a_group_is_handled_request_by_request_and_answered_once() -> None:
    hands = on_queue((5, SVA))
    for page in (1, 2):
        assert hands.ask(report(page=page, last=False)) == Done(1)
    hands.ask(report(group=2, page=3, last=False))
    assert hands.ask(report(page=3)) == Done(1)
    assert hands.responses == []
    hands.work()
    assert hands.handled == [("proc1", 1), ("proc1", 2), ("proc1", 3)]
    assert hands.responses == [("d1", 1, SUCCESS)]
    assert clean(hands.iopf)
    assert [one.group for one in hands.iopf.params[1].partial] == [2]


def test_the_first_request_that_fails_is_the_last() -> None:
    hands = on_queue((5, SVA))
    for page, last in ((1, False), (9, False), (2, True)):
        hands.ask(report(page=page, last=last))
    hands.work()
    assert hands.handled == [("proc1", 1), ("proc1", 9)]
    assert hands.responses == [("d1", 1, INVALID)]


def test_works_run_in_any_order_and_beside_each_other() -> None:
    hands = on_queue((5, SVA))
    for group in (1, 2, 3):
        hands.ask(report(group=group))
    hands.hold = (HandleMmFault,)
    hands.work(2)
    hands.work(0)
    hands.go_on()
    hands.work()
    assert [group for _, group, _ in hands.responses] == [3, 1, 2]


# --- iommufd --------------------------------------------------------------------------------------


def test_a_context_gets_a_group_that_is_on_no_other_list() -> None:
    hands = on_queue((5, FAULTY))
    hands.ask(report(page=1, last=False))
    hands.hold = (DeliverFault,)
    assert hands.ask(report(page=2)) is None
    assert hands.iopf.params[1].faults == []
    hands.go_on()
    assert hands.answers[1] == Done(1)
    (delivered,) = hands.delivered
    assert (delivered.count, delivered.incarnation) == (2, 7)
    assert hands.ask(remove()) == Done(3)
    assert hands.responses == []
    assert hands.ask(respond(delivered), CONTEXT) == Done(9)
    assert hands.responses == [("d1", 1, SUCCESS)]
    assert clean(hands.iopf)
    assert not hands.iopf.params


def test_a_context_that_takes_no_group_makes_it_a_failure() -> None:
    hands = on_queue((5, FAULTY))
    hands.refuse = True
    assert hands.ask(report()) == Done(1)
    assert hands.responses == [("d1", 1, FAILURE)]
    assert clean(hands.iopf)


# --- Devices --------------------------------------------------------------------------------------


def test_a_device_is_added_once_and_only_with_somebody_who_can_answer_it() -> None:
    hands = on_queue()
    assert hands.ask(add()) == Refused(2, Errno.EBUSY)
    assert hands.ask(add("n0")) == Refused(2, Errno.ENODEV)
    assert hands.ask(flush("d2")) == Refused(4, Errno.ENODEV)
    assert hands.ask(remove("d2")) == Done(3)


def test_a_flush_waits_for_the_works_of_its_unit_that_are_there() -> None:
    hands = on_queue((5, SVA))
    hands.slots["e1", 5] = SVA
    hands.ask(add("d2"))
    hands.ask(add("e1"))
    hands.ask(report(group=1, device="d2"))
    hands.ask(report(group=2, device="e1"))
    assert hands.ask(flush("d1")) is None
    hands.ask(report(group=3))
    hands.work(1)
    hands.work(1)
    assert 4 not in hands.answers
    hands.work()
    assert hands.answers[4] == Done(4)
    assert hands.ask(flush("d1", 5)) == Done(5)


def test_a_removed_device_has_its_groups_answered_and_freed() -> None:
    hands = on_queue((5, SVA))
    hands.ask(report(group=8, last=False))
    hands.ask(report(group=1))
    hands.ask(report(group=2))
    assert hands.ask(remove()) == Done(3)
    assert hands.responses == [("d1", 1, INVALID), ("d1", 2, INVALID)]
    assert not hands.iopf.groups
    assert not hands.iopf.params
    used = [fact.users for fact in hands.facts if isinstance(fact, FaultParamUsed)]
    assert used == [1, 2, 3, 2, 1, 0]
    assert hands.ask(report()) == EINVAL


def test_who_removes_without_a_flush_leaves_workers_with_what_is_freed() -> None:
    hands = on_queue((5, SVA))
    hands.ask(report())
    hands.ask(remove())
    before = len(hands.stated(MemoryUsed))
    hands.work()
    assert len(hands.stated(MemoryUsed)) == before + 1
    assert len(hands.stated(FaultWorkEnded)) == 1
    assert hands.responses == [("d1", 1, INVALID)]
    assert clean(hands.iopf)


def test_after_an_overflow_partial_requests_are_forgotten_on_one_unit() -> None:
    hands = on_queue((5, SVA))
    hands.ask(report(last=False))
    assert hands.ask(DiscardPartialFaults(6, "dmar1")) == Done(6)
    assert len(hands.iopf.params[1].partial) == 1
    assert hands.ask(DiscardPartialFaults(6, "dmar0")) == Done(6)
    assert hands.iopf.params[1].partial == []
    assert hands.ask(DiscardPartialFaults(6, "dmar9")) == Refused(6, Errno.EINVAL)


# --- No memory ------------------------------------------------------------------------------------


def test_err_without_memory_a_partial_request_is_refused_and_a_last_one_fails() -> None:
    hands = on_queue((5, SVA))
    hands.chance = Failing("iopf.report.partial")
    assert hands.ask(report(last=False)) == Refused(1, Errno.ENOMEM)
    assert hands.ask(add("d2")) == Done(2)
    hands.chance = Failing("iopf.report.group", "iopf.add_device.param")
    hands.ask(report(page=1, last=False))
    assert hands.ask(report(page=2)) == Done(1)
    assert hands.responses == [("d1", 1, FAILURE)]
    assert hands.iopf.params[1].partial == []
    assert hands.ask(add("e1")) == Refused(2, Errno.ENOMEM)
    assert clean(hands.iopf)


def test_the_handle_is_asked_for_before_anything_else() -> None:
    hands = on_queue()
    hands.hold = (AttachHandleGet,)
    hands.ask(report())
    assert [message for message, _ in hands.waiting] == [AttachHandleGet(1, "g", 5, "")]
