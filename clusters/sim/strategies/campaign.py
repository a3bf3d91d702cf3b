"""An exploration, seen from above: which schedules it makes, and what it learns from each.

A campaign hands out *rounds* of orders that do not depend on each other, so that they can run side
by side; the lessons of a round come back in its order before the next is asked for.  So the same
schedules are run, and the same one is the first that fails, by one worker or by many.  An order is
complete: strategy, parameters (those learnt, too) and seed; its token replays alone.
"""

from collections.abc import Callable
from typing import Final, Protocol

from msgspec import Struct

UNFAIR_MAX: Final = 5_000
"""Choices that a strategy may make unfairly; then it walks at random, so that all comes to rest."""
ROUND: Final = 64
"""Schedules that run before anything is learnt from them."""
DEPTH_MAX: Final = 8
"""Larger depths find nothing more, and their tokens would be too long."""


class Order(Struct, frozen=True):
    """One schedule that shall run: a strategy's whole name, and a seed."""

    strategy: str
    seed: int


class Lesson(Struct, frozen=True):
    """What one schedule taught.

    `choices`: how often there were two or more things to choose from.  `calmed`: it went on for
    longer than a strategy may be unfair.  `drawn`: chance had a say, another seed is another run.
    `first`, `end`: the range of numbers with which an enumeration can go on from here; `reached`:
    all of its own numbers came up; `points`: how many numbers there are, by kind.  `seen`: what it
    showed, as numbers that mean the same in every process.
    """

    choices: int = 0
    calmed: bool = False
    drawn: bool = True
    first: int = 0
    end: int = 0
    reached: bool = True
    points: dict[str, int] = {}
    seen: tuple[int, ...] = ()


class Campaign(Protocol):
    """Makes the orders of one exploration."""

    def round(self) -> list[Order]:
        """The next orders; none: there is nothing more to be run."""

    def learn(self, order: Order, lesson: Lesson) -> None:
        """What came of an order."""

    def proof(self) -> str:
        """What is proved by now, in a few words: all schedules of some kind have run; or ""."""


class Length:
    """How many choices a schedule has: the longest that came to its end by itself."""

    __slots__ = ("_calmed", "_whole")

    def __init__(self) -> None:
        self._whole = 0
        self._calmed = 0

    def learn(self, lesson: Lesson) -> None:
        """One more schedule.  One that had to be calmed went round in circles, perhaps."""
        if lesson.calmed:
            self._calmed = max(self._calmed, lesson.choices)
        else:
            self._whole = max(self._whole, lesson.choices)

    @property
    def choices(self) -> int:
        """0: nothing is known yet."""
        return self._whole or self._calmed


Member = Callable[[int, int], str]
"""Of a portfolio: the whole name of a strategy, from a seed and the length learnt so far."""
