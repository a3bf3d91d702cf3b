import pytest

from protocol.errors import Errno
from protocol.facts import LockTaken, LockWaited, MemoryUsed, PageAnswered, PageReported
from protocol.messages import (
    AdvancePrq,
    Done,
    FlushFaults,
    PageGroupResponse,
    PageRequest,
    PageRequestInterrupt,
    PageRequestReport,
    PageResponse,
    ReadPrq,
    Refused,
    ResponseCode,
    WriteEntry,
)
from protocol.names import VFIO
from tests.actors.iommu_driver_hands import (
    LIFE,
    Hands,
    P,
    bind_of,
    bound,
    fresh,
    request_of,
    unbind_of,
)


def reported() -> Hands:
    """dsa0 has asked for a page, and VFIO has been told."""

    def ask(hands: Hands) -> None:
        hands.ring(request_of())
        hands.settle()

    return bound("dsa0", then=ask)


def response_of(
    group: int = 1,
    code: ResponseCode = ResponseCode.SUCCESS,
    *,
    device: str = "dsa0",
    pasid: int = P,
    vm: str = "vm1",
) -> PageResponse:
    """VFIO's answer on behalf of the guest."""
    return PageResponse(9, vm, device, pasid, pasid * 10, group, code)


def test_a_round_reads_reports_and_moves_the_head() -> None:
    hands = bound("dsa0")
    hands.ring(request_of())
    hands.settle()
    assert hands.sent == [
        ("dmar0", ReadPrq(1, thread=True)),
        (VFIO, PageRequestReport("vm1", "dsa0", P, LIFE, P + 100, 1, 9)),
        ("dmar0", AdvancePrq(1, 1)),
    ]
    assert hands.facts == [
        MemoryUsed("svm", "svm1"),
        MemoryUsed("sdev", "svm1/dsa0"),
        PageReported("dsa0", P, LIFE, 1),
    ]
    assert hands.driver.svms[P].devices["dsa0"].pending == {1: LIFE}
    assert hands.driver.tasks == {}


def test_the_thread_takes_no_mutex() -> None:
    hands = bound("dsa0")
    hands.give(bind_of(pasid=6))
    hands.ring(request_of())
    hands.settle(WriteEntry)
    assert "PageRequestReport" in hands.calls()
    assert hands.said(LockWaited) == []


@pytest.mark.parametrize("request_", [request_of(pasid=6), request_of("dsa2"), request_of("none")])
def test_a_request_that_nobody_is_bound_for_is_answered_invalid(request_: PageRequest) -> None:
    hands = bound("dsa0")
    hands.ring(request_)
    hands.settle()
    device, pasid, life = request_.device, request_.pasid, request_.incarnation
    assert hands.sent[1:] == [
        (
            "dmar0",
            PageGroupResponse(device, pasid, life, 1, ResponseCode.INVALID, mapped=False),
        ),
        ("dmar0", AdvancePrq(1, 1)),
    ]
    assert hands.said(PageAnswered) == [PageAnswered(device, pasid, life, 1, 1, 0)]


def test_a_request_is_not_reported_before_the_device_is_linked_nor_after_it_is_unlinked() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(WriteEntry)
    hands.ring(request_of(group=1))
    hands.settle(WriteEntry)
    assert len(hands.said(PageAnswered)) == 1
    hands.settle()

    hands.give(unbind_of())
    hands.ring(request_of(group=2))
    hands.settle()
    assert len(hands.said(PageAnswered)) == 2
    assert hands.said(PageReported) == []


def test_only_the_last_of_a_group_is_dealt_with() -> None:
    hands = bound("dsa0")
    hands.ring(PageRequest("dsa0", P, LIFE, 1, 9, last=False), request_of())
    hands.settle()
    assert hands.calls() == ["ReadPrq", "PageRequestReport", "AdvancePrq"]
    assert hands.sent[-1] == ("dmar0", AdvancePrq(1, 2))


def test_an_interrupt_during_a_round_makes_another_round() -> None:
    hands = bound("dsa0")
    hands.ring(request_of())
    hands.run_thread()
    hands.give(PageRequestInterrupt(), "dmar0")
    hands.give(PageRequestInterrupt(), "dmar0")
    assert hands.calls() == ["ReadPrq"]
    hands.settle()
    assert hands.calls() == ["ReadPrq", "PageRequestReport", "AdvancePrq", "ReadPrq", "AdvancePrq"]
    assert hands.driver.tasks == {}


def test_an_interrupt_only_wakes_the_thread() -> None:
    """When it runs is chance: otherwise no request could grow old in the ring (S12)."""
    hands = bound("dsa0")
    hands.ring(request_of())
    hands.ring()
    assert hands.sent == []
    assert hands.timers == ["prq:dmar0"]
    hands.settle()
    assert hands.calls() == ["ReadPrq", "PageRequestReport", "AdvancePrq"]


def test_each_unit_has_its_own_round() -> None:
    hands = bound("dsa0", "dsa1")
    hands.ring(request_of())
    hands.ring(request_of("dsa1"), unit="dmar1")
    assert hands.timers == ["prq:dmar0", "prq:dmar1"]
    hands.settle()
    assert [fact.device for fact in hands.said(PageReported)] == ["dsa0", "dsa1"]


@pytest.mark.parametrize("code", list(ResponseCode))
def test_a_page_response_answers_its_request_once(code: ResponseCode) -> None:
    hands = reported()
    hands.give(response_of(code=code))
    assert hands.sent == [
        (
            "dmar0",
            PageGroupResponse("dsa0", P, LIFE, 1, code, mapped=code is ResponseCode.SUCCESS),
        ),
        (VFIO, Done(9)),
    ]
    assert hands.said(PageAnswered) == [PageAnswered("dsa0", P, LIFE, 1, int(code), LIFE)]
    hands.forget()
    hands.give(response_of(code=code))
    assert hands.sent == [(VFIO, Refused(9, Errno.EINVAL))]
    assert hands.driver.tasks == {}


@pytest.mark.parametrize(
    ("response", "errno"),
    [
        (response_of(pasid=6), Errno.EINVAL),
        (response_of(group=2), Errno.EINVAL),
        (response_of(device="dsa1"), Errno.ENODEV),
        (response_of(vm="vm2"), Errno.ENODEV),
    ],
    ids=["pasid", "group", "device", "vm"],
)
def test_err_a_page_response_to_no_request_of_its_own(response: PageResponse, errno: Errno) -> None:
    hands = reported()
    before = hands.state()
    hands.give(response)
    assert hands.sent == [(VFIO, Refused(9, errno))]
    assert hands.state() == before


def test_a_page_response_takes_the_mutex() -> None:
    hands = reported()
    hands.give(bind_of(pasid=6))
    hands.give(response_of())
    assert hands.got() == []
    assert hands.said(LockWaited) == [LockWaited("pasid_mutex", "mutex", "response:2")]
    hands.settle()
    assert hands.got() == [Done(7), Done(9)]
    assert [fact.task for fact in hands.said(LockTaken)] == ["bind:1", "response:2"]


def test_err_a_page_response_to_a_device_that_is_being_drained_is_enodev() -> None:
    """It gets its turn, in the middle of the drain; the drain has the answer."""
    hands = reported()
    hands.give(unbind_of())
    hands.give(response_of())
    hands.settle(FlushFaults)
    assert hands.got() == [Refused(9, Errno.ENODEV)]
    hands.settle()
    assert hands.said(PageAnswered) == [PageAnswered("dsa0", P, LIFE, 1, 1, 0)]


def test_a_page_response_may_come_while_free_is_pending() -> None:
    hands = reported()
    hands.driver.svms[P].work_queued = True
    hands.give(response_of())
    assert hands.got() == [Done(9)]
