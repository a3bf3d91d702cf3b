"""The probability that a schedule fails, after each of its choices: where it jumps is the guilt.

After a prefix the schedule goes on at random, again and again, and those that violate the property
are counted.  Not every prefix is tried: the stretch over which the probability rises most is halved
until it is one choice, and then no other stretch rises by more.
"""

from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from typing import Final

from msgspec import Struct

from clusters.nemesis import Nemesis
from clusters.sim.branching import Branch, Crossing
from clusters.sim.explain.budget import Budget
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import SEED_MAX, Tape, schedule_seed
from clusters.sim.world import Setup, World

SALT: Final = 0xB5AD4ECEDA1CE2A9
"""Keeps the seeds of these schedules apart from those of an exploration under the same seed."""
ALWAYS: Final = 0.95
"""What fails as often as that from the start fails whatever comes first: no choice is guilty."""
SURE: Final = 3
"""A rise is clear when it is so many times as large as its standard error."""


class Chance(Struct, frozen=True):
    """After `choices` choices, of which the last was made at `step`: `failed` of `walks` failed."""

    choices: int
    step: int
    walks: int
    failed: int

    @property
    def share(self) -> float:
        """The probability that the schedule fails from here."""
        return self.failed / self.walks


class Chances(Struct, frozen=True):
    """The curve, from no choice to all.

    `guilty` is the choice (1 is the first) over which the probability rises most; 0: nearly all
    fail from the start, or the budget ended before it was found, and then `cut` says so: it is in
    `stretch`.  `held` left the tape latest of all that came to rest without a violation.
    """

    curve: tuple[Chance, ...]
    guilty: int
    cut: bool
    held: Tape | None = None

    @property
    def stretch(self) -> "tuple[Chance, Chance] | None":
        """The two ends of the stretch over which it rises most; of a guilty choice, around it."""
        points = {one.choices: one for one in self.curve}
        begin, end = _steepest({one.choices: one.failed for one in self.curve})
        return (points[begin], points[end]) if end else None

    @property
    def hopeless(self) -> int:
        """From how many choices on all failed."""
        return min(one.choices for one in self.curve if one.failed == one.walks)

    @property
    def clear(self) -> bool:
        """Whether it rises there by more than chance makes of so few schedules."""
        if self.stretch is None or self.curve[0].share >= ALWAYS:
            return False
        before, after = self.stretch
        spread = sum(one.share * (1 - one.share) / one.walks for one in (before, after))
        return after.share - before.share > SURE * sqrt(spread)


def chances(
    setup: Setup,
    tape: Tape,
    crossings: tuple[Crossing, ...],
    plan: tuple[Nemesis, ...],
    budget: Budget,
) -> Chances:
    """The curve of a tape that violates the one property of `setup`; `plan`: what else may fail."""
    walks = budget.walks_for(crossings[-1].step if crossings else 0)
    first = crossings[0].step - 1 if crossings else 0
    steps = (first, *(crossing.step for crossing in crossings))
    trials = Trials(setup, tape, plan, walks, budget.deliveries)
    known = {len(tape.choices): walks}
    """All that follows the whole tape is that it failed."""
    ask, cut = 0 if crossings else -1, False
    while ask >= 0 and not cut:
        failed = trials.failed(ask) if len(known) <= budget.prefixes else -1
        cut = failed < 0
        if not cut:
            known[ask] = failed
            ask = _halved(known) if known[0] < ALWAYS * walks else -1
    curve = tuple(Chance(k, steps[k], walks, known[k]) for k in sorted(known))
    guilty = 0 if cut or known.get(0, 0) >= ALWAYS * walks else _steepest(known)[1]
    return Chances(curve, guilty, cut, trials.held)


def _steepest(known: dict[int, int]) -> tuple[int, int]:
    """Begin and end of the stretch over which most more fail, the last of such; (0, 0): none."""
    stretches = [(known[b] - known[a], a, b) for a, b in pairwise(sorted(known))]
    rise, begin, end = max(stretches, default=(0, 0, 0))
    return (begin, end) if rise > 0 else (0, 0)


def _halved(known: dict[int, int]) -> int:
    """The middle of the stretch that rises most; -1: it is one choice."""
    begin, end = _steepest(known)
    return (begin + end) // 2 if end - begin > 1 else -1


@dataclass(slots=True)
class Trials:
    """Random schedules behind prefixes of a tape; `left` deliveries may still be spent."""

    setup: Setup
    tape: Tape
    plan: tuple[Nemesis, ...]
    walks: int
    left: int
    held: Tape | None = None
    _latest: int = -1
    """How long the prefix of `held` is."""

    def failed(self, length: int) -> int:
        """How many fail behind the first `length` choices; -1: the budget ended before."""
        seed = schedule_seed(self.tape.seed ^ SALT & SEED_MAX, length)
        failed = 0
        for index in range(self.walks):
            if self.left <= 0:
                return -1
            walk = RandomWalk(schedule_seed(seed, index), self.plan)
            result = World(self.setup, Branch(self.tape, length, walk)).run()
            self.left -= result.steps
            failed += bool(result.violations)
            if result.quiet and not result.violations and length > self._latest:
                self.held, self._latest = result.tape, length
        return failed
