"""O18: page requests of before a reset, and where they may not be when the device is back."""

import pytest

from protocol.facts import (
    Event,
    FunctionReturned,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    RequestAutoAnswered,
    RequestRinged,
    RequestTaken,
)
from tests.protocol.stories import PASID, Story

P = PASID
ASKED = ("dsa0", PageRequested("dsa0", P, 1, 0))
RINGED = ("dmar0", RequestRinged("dmar0", "dsa0", P, 1, 0))
TAKEN = ("dmar0", RequestTaken("dmar0", "dsa0", P, 1, 0))
REPORTED = ("iommu", PageReported("dsa0", P, 1, 0))
ANSWERED = ("iommu", PageAnswered("dsa0", P, 1, 0, 1, 0))
BY_ITSELF = ("dmar0", RequestAutoAnswered("dmar0", "dsa0", P, 1, 1))
RETURNED = ("dsa0", FunctionReturned("dsa0"))
Told = tuple[str, Event]


def told(*story: Told) -> list[str]:
    one = Story("drained-before-return-to-service")
    for actor, fact in story:
        one.then(actor, fact)
    return one.said


@pytest.mark.parametrize(
    "before",
    [
        (),
        (ASKED, BY_ITSELF),
        (ASKED, RINGED, TAKEN, ANSWERED),
        (ASKED, RINGED, REPORTED, TAKEN, ANSWERED),
        (ASKED, RINGED, REPORTED, ANSWERED, TAKEN),
        (ASKED, ASKED, RINGED, BY_ITSELF, TAKEN),
    ],
)
def test_a_drained_device_returns(before: tuple[Told, ...]) -> None:
    assert told(*before, RETURNED) == []


@pytest.mark.parametrize(
    ("before", "where"),
    [
        ((ASKED,), "1 page requests on their way to its unit"),
        ((ASKED, ASKED, RINGED, TAKEN), "1 page requests on their way"),
        ((ASKED, RINGED), "page group 0 of PASID 5 in the ring"),
        ((ASKED, ASKED, RINGED, RINGED, TAKEN), "page group 0 of PASID 5 in the ring"),
        ((ASKED, RINGED, REPORTED, TAKEN), "page group 0 of PASID 5 with its consumer"),
    ],
)
def test_err_one_that_is_not_drained_does_not(before: tuple[Told, ...], where: str) -> None:
    (sentence,) = told(*before, RETURNED)
    assert sentence.startswith("dsa0 returned to service at ")
    assert where in sentence


SETTLED = ("dsa0", PageSettled("dsa0", P, 1, 0, 1))
CANCELLED = ("dsa0", PageSettled("dsa0", P, 1, 0, -1))


@pytest.mark.parametrize(
    "story",
    [
        (ASKED, RINGED, ANSWERED, SETTLED),
        (ASKED, BY_ITSELF, SETTLED),
        (ASKED, CANCELLED),
        (ASKED, BY_ITSELF, CANCELLED, RETURNED, ASKED, RINGED, ANSWERED, SETTLED),
    ],
)
def test_a_group_is_settled_by_its_own_answer(story: tuple[Told, ...]) -> None:
    assert told(*story) == []


@pytest.mark.parametrize(
    "before",
    [
        (ASKED, RINGED, TAKEN, ANSWERED, CANCELLED, RETURNED),
        (ASKED, BY_ITSELF, CANCELLED, RETURNED),
    ],
)
def test_err_or_by_that_of_one_before_it(before: tuple[Told, ...]) -> None:
    (sentence,) = told(*before, ASKED, SETTLED)
    assert sentence.startswith("page group 0 of PASID 5 (life 1) on dsa0 was settled at ")


def test_another_device_has_its_own_requests() -> None:
    assert told(ASKED, ("dsa1", FunctionReturned("dsa1"))) == []


def test_a_device_that_is_gone_owes_nothing() -> None:
    story = Story("drained-before-return-to-service")
    for actor, fact in (ASKED, RINGED):
        story.then(actor, fact)
    story.lose("dsa0")
    assert story.property.unmet() == []
    assert story.then(*RETURNED) == []
