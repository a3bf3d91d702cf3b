"""All schedules that deviate from the plain one in at most so many places, fewest first.

A deviation is a number: the how-manieth choice is made otherwise, the how-manieth chance for a
fault is taken.  Up to its last deviation a run is the run without it; so the numbers that come up
after the last one in a run are all the runs with one deviation more, and their count is known
before they run.
"""

from collections.abc import Iterator
from itertools import islice

from clusters.sim.strategies.campaign import ROUND, Lesson, Order

Numbers = tuple[int, ...]


def whole_name(kind: str, numbers: Numbers) -> str:
    """The name of the schedule with these deviations."""
    return "-".join([kind, *map(str, numbers)])


class Enumeration:
    """A campaign.  By number of deviations: `run` are done, of `known`.

    `points`: what the plain run has to offer, by kind.
    """

    def __init__(self, kind: str, seed: int, bound: int) -> None:
        self.kind = kind
        self.seed = seed
        self.bound = bound
        self.points: dict[str, int] = {}
        self.drawn = False
        self.calmed = 0
        """Runs that went round in circles, so that only a part of them is this strategy's."""
        self.run = [0] * (bound + 1)
        self.known = [1] + [0] * bound
        self._level = 0
        self._parents: list[tuple[Numbers, int, int]] = []
        self._left: Iterator[Numbers] = iter(((),))

    def round(self) -> list[Order]:
        found = list(islice(self._left, ROUND))
        while not found and self._level < self.bound:
            self._level += 1
            parents, self._parents = self._parents, []
            self._left = children(parents)
            found = list(islice(self._left, ROUND))
        return [Order(whole_name(self.kind, its), self.seed) for its in found]

    def learn(self, order: Order, lesson: Lesson) -> None:
        numbers = numbers_of(order, self.kind)
        assert lesson.reached, f"{order.strategy}: what came before did not come again"
        self.run[len(numbers)] += 1
        self.drawn |= lesson.drawn
        self.calmed += lesson.calmed
        if not numbers:
            self.points = lesson.points
        if len(numbers) < self.bound and lesson.first < lesson.end:
            self.known[len(numbers) + 1] += lesson.end - lesson.first
            self._parents.append((numbers, lesson.first, lesson.end))

    def proof(self) -> str:
        done = 0
        while done <= self.bound and self.run[done] == self.known[done]:
            done += 1
        if done <= min(1, self.bound) or self.calmed:
            return ""
        count = f"{sum(self.run[:done]):,}"
        at_most = f"at most {done - 1} deviation{'s' if done != 2 else ''}"  # noqa: PLR2004
        what = ", ".join(f"{number:,} {kind}" for kind, number in self.points.items())
        given = ", for the draws and faults of this seed" if self.drawn else ""
        return f"all {count} schedules with {at_most} from the plain one ({what}){given}"


def children(parents: list[tuple[Numbers, int, int]]) -> Iterator[Numbers]:
    """One deviation more, anywhere after the last."""
    for numbers, first, end in parents:
        for number in range(first, end):
            yield (*numbers, number)


def numbers_of(order: Order, kind: str) -> Numbers:
    """The deviations that an order's name tells."""
    return tuple(int(number) for number in order.strategy.removeprefix(kind).split("-")[1:])
