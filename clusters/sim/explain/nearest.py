"""The nearest schedule that holds: as the failing one for as long as may be, and then not.

From the last choice backwards, each is made otherwise in turn: another message comes first, another
number is drawn, a fault is left out.  What follows is as recorded, as far as that goes, or plain,
or random where it is not known to be hopeless.  The first schedule that comes to rest and violates
nothing is the nearest of those that were tried, unless one that is known to hold left it later.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from msgspec import Struct, structs

from clusters.nemesis import Nemesis
from clusters.sim.branching import Branch, Crossing, Detour, crossed
from clusters.sim.explain.budget import Budget
from clusters.sim.replay import replay
from clusters.sim.strategies import Strategy
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Choice, Draw, Fail, Tape, schedule_seed
from clusters.sim.world import Setup, World

DRAWS_MAX: Final = 8
"""Other numbers that are tried in place of one that was drawn."""
RANDOM: Final = 8
"""Random schedules that are tried behind each choice that is made otherwise."""


class Nearest(Struct, frozen=True):
    """`choice` (1 is the first) is where it leaves the failing one; 0: none was found.

    There `chosen` was chosen, at `step`, and in the schedule that holds `instead`; both in words.
    `tape` is that schedule, after `tries` schedules; `recorded`: for the rest it goes on as
    recorded, where that is possible.  `cut`: the budget ended before all were tried.
    """

    choice: int
    step: int
    chosen: str
    instead: str
    tape: Tape | None = None
    recorded: bool = False
    tries: int = 0
    cut: bool = False

    @property
    def sentence(self) -> str:
        """What would have had to be otherwise."""
        if self.tape is None:
            return "no schedule was found that leaves it and holds"
        if self.recorded:
            return f"had {self.instead}, and the rest been as it was, it would have held"
        return f"had {self.instead}, it could have held"


@dataclass(frozen=True, slots=True)
class Search:
    """Where the schedules around a tape are tried.

    `alone` is `setup` with only the property that is violated; `plan`: what else may fail.  `held`
    is a schedule that is known to hold, and from `hopeless` choices on all random ones failed.
    """

    setup: Setup
    alone: Setup
    tape: Tape
    plan: tuple[Nemesis, ...]
    hopeless: int
    held: Tape | None

    def tries(self, place: int, instead: Choice | None) -> Iterator[tuple[Strategy, bool]]:
        """The ways to go on with another choice at a place; True: for the rest as recorded."""
        tape = self.tape
        yield Detour(tape, place, instead, plain=False), True
        yield Detour(tape, place, instead, plain=True), False
        if instead is None or place >= self.hopeless:
            return
        begun = structs.replace(tape, choices=(*tape.choices[:place], instead))
        seed = schedule_seed(tape.seed, place)
        for index in range(RANDOM):
            walk = RandomWalk(schedule_seed(seed, index), self.plan)
            yield Branch(begun, place + 1, walk), False

    def holds(self, tape: Tape) -> bool:
        """Whether it violates nothing at all."""
        return replay(self.setup, tape).verdict.word != "violation"


def nearest(search: Search, crossings: tuple[Crossing, ...], budget: Budget) -> Nearest:
    """The nearest one found."""
    known, tape = search.held, search.tape
    if known is not None and not search.holds(known):
        known = None
    latest = _parting(tape, known) if known is not None else 0
    tries, left = 0, budget.deliveries
    for place in reversed(range(latest, len(crossings))):
        for instead in others(crossings[place]):
            for strategy, recorded in search.tries(place, instead):
                if tries >= budget.tries or left <= 0:
                    return _known(known, crossings, latest, tries, cut=True)
                tries += 1
                result = World(search.alone, strategy).run()
                left -= result.steps
                if result.quiet and not result.violations and search.holds(result.tape):
                    found = _found(crossings[place], place, result.tape)
                    return structs.replace(found, recorded=recorded, tries=tries)
    return _known(known, crossings, latest, tries, cut=False)


def _known(
    known: Tape | None, crossings: tuple[Crossing, ...], place: int, tries: int, *, cut: bool
) -> Nearest:
    """None was found later than the one that was known before, if there was one."""
    if known is None:
        return Nearest(0, 0, "", "", tries=tries, cut=cut)
    return structs.replace(_found(crossings[place], place, known), tries=tries, cut=cut)


def _parting(tape: Tape, other: Tape) -> int:
    """The place of the first choice in which two tapes differ."""
    pairs = enumerate(zip(tape.choices, other.choices, strict=False))
    return next((place for place, (one, its) in pairs if one != its), len(other.choices))


def _found(crossing: Crossing, place: int, held: Tape) -> Nearest:
    chosen, instead = crossing.choice, held.choices[place]
    if isinstance(chosen, Begin) and chosen not in held.choices[place:]:
        said = f"there been no {crossed(crossing)}"
    else:
        said = _instead(crossing, instead)
    return Nearest(place + 1, crossing.step, crossed(crossing), said, held)


def others(crossing: Crossing) -> Iterator[Choice | None]:
    """What could have been chosen instead; None: the same without this fault."""
    match crossing.choice:
        case Begin():
            yield None
        case Draw(actor, value):
            for other in range(min(crossing.bound, DRAWS_MAX)):
                if other != value:
                    yield Draw(actor, other)
        case Fail(actor, site, True):
            yield Fail(actor, site, failed=False)
    for choice in crossing.enabled:
        if choice != crossing.choice:
            yield choice


def _instead(crossing: Crossing, choice: Choice) -> str:
    """What would have had to be, in words."""
    match choice:
        case Draw(actor, value):
            return f"{actor} drawn {value}"
        case Fail(actor, site, failed):
            return f"{site} of {actor} {'' if failed else 'not '}failed"
    return f"{crossed(crossing, choice)} come before {crossed(crossing)}"
