"""Every row of the misuse table, asked of the actor."""

from itertools import combinations
from typing import Final

import pytest
from msgspec import structs

from actors.iommu_core import IommuCore
from actors.revisions.linux_6_12 import Linux612Core
from actors.revisions.linux_7_3 import Linux73Core
from protocol.effects import CALM
from protocol.errors import Errno
from protocol.messages import AnyMessage, Refused
from tests.actors.iommu_core_hands import core, done, facts, hand, look
from tests.conformance.misuse import (
    ATTACHED,
    NO_HANDLE,
    OLD_ROWS,
    RIGHT,
    ROWS,
    SAME_HANDLE,
    Row,
)
from tests.helpers import Failing

BEFORE_MEMORY: Final = [row for row in ROWS if row.errno is not None and not row.fails]


def together(one: Row, two: Row) -> tuple[AnyMessage, ...] | None:
    """What is to happen before both; None: they exclude one another."""
    before = tuple(dict.fromkeys((*two.before, *one.before)))
    for row in (one, two):
        if not row.wrong and not row.before and {ATTACHED, NO_HANDLE, SAME_HANDLE} & {*before}:
            return None  # What is wrong is that nothing is attached.
    made = core()
    refused = [isinstance(done(made, message)[0], Refused) for message in before]
    return None if any(refused) else before


PAIRS: Final = [
    (one, two, before)
    for one, two in combinations(BEFORE_MEMORY, 2)
    if one.call == two.call and not {*one.wrong} & {*two.wrong}
    if (before := together(one, two)) is not None
]


def said(kind: type[IommuCore], row: Row) -> tuple[IommuCore, Errno | None, int]:
    """What the call of a row comes to: the core, the errno, how often the driver was called."""
    made = core(kind)
    for message in row.before:
        answer, _ = done(made, message)
        assert not isinstance(answer, Refused), f"{row.what}: {message} was to succeed"
    chance = Failing(row.fails) if row.fails else CALM
    answer, told = done(made, structs.replace(RIGHT[row.call], **row.wrong), chance=chance)
    return made, answer.errno if isinstance(answer, Refused) else None, len(told)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.call}: {row.what}")
@pytest.mark.parametrize("kind", [IommuCore, Linux73Core])
def test_a_row_of_the_table(kind: type[IommuCore], row: Row) -> None:
    made, errno, told = said(kind, row)
    assert (errno, told) == (row.errno, row.asked)
    assert all(group.task is None for group in made.groups.values())


@pytest.mark.parametrize("row", OLD_ROWS, ids=lambda row: f"{row.call}: {row.what}")
def test_a_row_of_6_12(row: Row) -> None:
    _, errno, told = said(Linux612Core, row)
    assert (errno, told) == (row.errno, row.asked)


@pytest.mark.parametrize(
    ("one", "two", "before"), PAIRS, ids=lambda row: getattr(row, "what", "before")
)
def test_of_two_things_that_are_wrong_the_earlier_row_is_said(
    one: Row, two: Row, before: tuple[AnyMessage, ...]
) -> None:
    both = Row(one.call, "both", None, {**two.wrong, **one.wrong}, before)
    assert said(IommuCore, both)[1:] == (one.errno, 0)


def test_a_slot_that_is_reserved_is_busy_and_unseen() -> None:
    """Whoever wants it meanwhile waits for the lock, and then it is attached, or free again."""
    made = core()
    hand(made, ATTACHED)
    assert hand(made, look("g2"))[0].message == Refused(9, Errno.ENOENT)
    assert hand(made, RIGHT["attach"]) == []


def test_what_is_refused_has_stated_nothing() -> None:
    for row in BEFORE_MEMORY:
        made = core()
        for message in row.before:
            done(made, message)
        assert facts(made, structs.replace(RIGHT[row.call], **row.wrong)) == [], row.what
