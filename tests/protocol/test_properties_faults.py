"""Properties of page requests in a modern kernel."""

from typing import Final

import pytest

from protocol.facts import Event
from protocol.facts.iommufd import (
    FaultHeldUp,
    FaultQueued,
    FaultSettled,
    HandleFreed,
    HandleMade,
    UserMemoryLeft,
    UserMemoryTouched,
)
from protocol.facts.iopf import (
    FaultAnswered,
    FaultDeviceAdded,
    FaultDeviceRemoved,
    FaultFlushBegun,
    FaultFlushEnded,
    FaultGroupFormed,
    FaultGroupFreed,
    FaultGroupUnlisted,
    FaultParamUsed,
    FaultTaken,
    FaultUnhandled,
    FaultWorkEnded,
    FaultWorkQueued,
)
from protocol.facts.sva import BondFreed, HandleAllocated
from tests.protocol.stories import Story

WHERE: Final = ("d1", 5, 7)
TAKEN = FaultTaken(*WHERE, 1, last=True)
PARTIAL = FaultTaken(*WHERE, 1, last=False)
UNHANDLED = FaultUnhandled(*WHERE, 1)
FORMED = FaultGroupFormed(3, 1, *WHERE, 1, "h")
ADDED = FaultDeviceAdded("d1", 1)
REMOVED = FaultDeviceRemoved("d1", 1)
UNLISTED = FaultGroupUnlisted(3)
FREED = FaultGroupFreed(3)
QUEUED = FaultQueued(4, "h", "d1", 5, 1, 3)
SETTLED = FaultSettled(4, "h", "d1", 5, 1, "user", 3)
WORK = FaultWorkQueued(9, "dmar0", "d1")
OTHERS = FaultWorkQueued(8, "dmar1", "e1")
DONE = FaultWorkEnded(9)
FLUSH, FLUSHED = FaultFlushBegun("iommu:2", "dmar0"), FaultFlushEnded("iommu:2")
TOUCHED, LEFT = UserMemoryTouched("ctx:4", "user:1"), UserMemoryLeft("ctx:4", "user:1")
HELD_UP = FaultHeldUp("ctx:4", "d1", 1)
MADE, GONE = HandleMade("h"), HandleFreed("h")


def answered(code: int = 0) -> FaultAnswered:
    return FaultAnswered(*WHERE, 1, code)


def used(users: int) -> FaultParamUsed:
    return FaultParamUsed(1, users)


def story(name: str, facts: tuple[Event, ...]) -> Story:
    """One input each."""
    told = Story(name)
    for fact in facts:
        told.then("iopf", fact)
    return told


ONCE: Final = "fault-groups-answered-once"
OWNER: Final = "fault-groups-have-one-owner"
FLUSHES: Final = "fault-work-flushed-before-removal"
INVALID: Final = "unhandled-faults-are-invalid"
HANDLE: Final = "no-fault-under-a-freed-handle"
USER: Final = "page-requests-wait-for-no-user"
ENDS: Final = "reported-faults-are-answered"
LIFE: Final = (ADDED, used(1), FORMED, used(2))


@pytest.mark.parametrize(
    ("name", "facts"),
    [
        (ONCE, (PARTIAL, TAKEN, answered(), TAKEN, answered())),
        (OWNER, (*LIFE, answered(), UNLISTED, FREED, used(1), REMOVED, used(0))),
        (OWNER, (*LIFE, UNLISTED, QUEUED, SETTLED, answered(), FREED, used(1))),
        (OWNER, (*LIFE, REMOVED, used(1), answered(), FREED, used(0))),
        (FLUSHES, (OTHERS, WORK, FLUSH, DONE, FLUSHED, REMOVED)),
        (FLUSHES, (FLUSH, WORK, FLUSHED)),
        (INVALID, (UNHANDLED, answered(1), answered(0))),
        (HANDLE, (MADE, FORMED, QUEUED, FREED, GONE, MADE, FORMED)),
        (HANDLE, (HandleAllocated("h"), FORMED, FREED, BondFreed("h"))),
        (USER, (HELD_UP, TOUCHED, LEFT, HELD_UP)),
        (ENDS, (PARTIAL, TAKEN, answered())),
        (ENDS, (TAKEN, QUEUED)),
    ],
)
def test_as_it_should_be(name: str, facts: tuple[Event, ...]) -> None:
    told = story(name, facts)
    assert (told.said, told.owed()) == ([], [])


@pytest.mark.parametrize(
    ("name", "facts", "word"),
    [
        (ONCE, (TAKEN, answered(), answered()), "no answer was owed"),
        (ONCE, (PARTIAL, answered()), "no answer was owed"),
        (OWNER, (*LIFE, QUEUED), "on the list of its device"),
        (OWNER, (*LIFE, UNLISTED, QUEUED, FREED), "while it waits in fault queue 4"),
        (OWNER, (*LIFE, FREED, FREED), "freed again"),
        (OWNER, (*LIFE, FREED, used(2)), "has 2 users"),
        (FLUSHES, (WORK, FLUSH, FLUSHED), "the flush of iommu:2 ended"),
        (FLUSHES, (WORK, REMOVED), "left its fault queue"),
        (INVALID, (UNHANDLED, answered(0)), "has no handler"),
        (HANDLE, (MADE, FORMED, GONE), "with page group 1 of d1 under it"),
        (HANDLE, (MADE, GONE, FORMED), "freed at"),
        (HANDLE, (MADE, GONE, QUEUED), "freed at"),
        (HANDLE, (HandleAllocated("h"), FORMED, BondFreed("h")), "under it"),
        (USER, (TOUCHED, HELD_UP), "touches its user's memory"),
    ],
)
def test_err_what_may_not_be(name: str, facts: tuple[Event, ...], word: str) -> None:
    (said,) = story(name, facts).said
    assert word in said


@pytest.mark.parametrize(
    ("name", "facts", "word"),
    [
        (OWNER, (*LIFE, answered(), UNLISTED), "has not been freed"),
        (INVALID, (UNHANDLED,), "no handler and no answer"),
        (ENDS, (TAKEN,), "is not answered"),
        (ENDS, (TAKEN, QUEUED, SETTLED), "is not answered"),
    ],
)
def test_err_what_is_owed_in_the_end(name: str, facts: tuple[Event, ...], word: str) -> None:
    told = story(name, facts)
    assert told.said == []
    (owed,) = told.owed()
    assert word in str(owed)
