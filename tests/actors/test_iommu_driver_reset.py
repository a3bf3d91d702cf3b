"""After a reset of a device: fence, ring, discard, fence; then it returns to service (O18)."""

from protocol.facts import PageAnswered
from protocol.messages import (
    DeviceReset,
    DrainRequests,
    DrainRequestsGot,
    PageGroupResponse,
    ReadPrq,
    ResponseCode,
    ReturnToService,
    TimerFired,
)
from tests.actors.iommu_driver_hands import LIFE, Hands, P, bound, request_of

FENCE = ("dmar0", DrainRequests(1, "dsa0", 0, 0))
SCAN = ("dmar0", ReadPrq(1, thread=False))
BACK = ("dsa0", ReturnToService())
INVALID = PageGroupResponse("dsa0", P, LIFE, 1, ResponseCode.INVALID, mapped=False)


def reset(hands: Hands) -> Hands:
    """The device is out of service, and says so."""
    hands.give(DeviceReset(), "dsa0")
    return hands


def test_with_nothing_on_its_way_the_device_is_fenced_twice_and_returned() -> None:
    hands = reset(bound("dsa0"))
    hands.settle()
    assert hands.sent == [FENCE, SCAN, FENCE, BACK]


def test_an_overflow_is_no_reason_to_fence_again() -> None:
    hands = reset(bound("dsa0"))
    hands.answer(DrainRequests, DrainRequestsGot(1, overflow=True))
    hands.settle()
    assert hands.sent == [FENCE, SCAN, FENCE, BACK]


def test_what_is_in_the_ring_waits_for_the_thread_and_is_then_discarded() -> None:
    hands = bound("dsa0")
    hands.ring(request_of("dsa0"))
    reset(hands)
    hands.settle(TimerFired)
    assert BACK not in hands.sent, "the request is in the ring, and the thread has not run"
    hands.settle()
    assert hands.sent[-3:] == [("dmar0", INVALID), ("dmar0", DrainRequests(2, "dsa0", 0, 0)), BACK]
    assert hands.said(PageAnswered) == [PageAnswered("dsa0", P, LIFE, 1, 1, 0)]


def test_another_devices_requests_are_not_waited_for() -> None:
    hands = bound("dsa0")
    hands.rings["dmar0"] = [request_of("dsa2")]
    reset(hands)
    hands.settle()
    assert hands.sent == [FENCE, SCAN, FENCE, BACK]


def test_the_round_of_another_unit_ends_nothing() -> None:
    hands = bound("dsa0", "dsa1")
    hands.ring(request_of("dsa0"))
    hands.ring(request_of("dsa1"), unit="dmar1")
    reset(hands)
    hands.settle(TimerFired)
    hands.timers.sort(reverse=True)
    hands.run_thread()  # That of dmar1.
    hands.settle(TimerFired)
    assert BACK not in hands.sent
    hands.settle()
    assert hands.sent[-1] == BACK
