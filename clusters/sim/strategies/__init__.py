"""Strategies: who decides what happens next.  One file each; `STRATEGIES` names them.

A strategy is asked at each step of a world, and its answers are the schedule.  It owns all chance:
two strategies of one name and seed answer alike.  A whole name says its parameters, also those that
were learnt (`pct-3-27`), so that a name and a seed are a schedule.  A campaign makes the whole
names of one exploration; `CAMPAIGNS` has them.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from clusters.nemesis import Nemesis
from clusters.sim.search import SEARCHES
from clusters.sim.strategies import coverage, delay_bounded, fail_nth, pct
from clusters.sim.strategies.campaign import DEPTH_MAX, Campaign, Lesson, Order
from clusters.sim.strategies.coverage import Coverage, Guided
from clusters.sim.strategies.delay_bounded import DelayBounded
from clusters.sim.strategies.enumeration import Enumeration, Numbers
from clusters.sim.strategies.fail_nth import FailNth, one_fault, with_every_fault
from clusters.sim.strategies.pct import Pct
from clusters.sim.strategies.portfolio import PORTFOLIO, Portfolio, same
from clusters.sim.strategies.pos import Pos
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import SEED_MAX, schedule_seed
from protocol.errors import ExperimentError, nearest
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import Setup, World

__all__ = [
    "CAMPAIGNS", "DEPTHS", "DEPTH_MAX", "STRATEGIES", "Campaign", "Lesson", "Order", "Scout",
    "Strategy", "campaign", "campaign_title", "ends", "make", "prepared", "single", "title",
]  # fmt: skip


class Strategy(Protocol):
    """What a world asks.  Everything in the world may be read, nothing changed."""

    name: str
    seed: int

    def choose(self, world: "World") -> int:
        """What happens next: one of `world.network.enabled`, which is never empty here.

        Or the number that `world.book.entry` gives a fault that begins or is healed.
        """

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        """Whether a fallible step fails; asked where the fault plan says that it may."""

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        """A number in [0, bound), for an actor or a delayed link; 0 is the plainest."""


class Scout(Strategy, Protocol):
    """A strategy that can say afterwards what it learnt."""

    def lesson(self) -> Lesson:
        """What the schedule taught; asked when it is over."""


STRATEGIES: Final[dict[str, Callable[[int, tuple[Nemesis, ...], Numbers], Scout]]] = {
    RandomWalk.name: lambda seed, nemeses, _: RandomWalk(seed, nemeses),
    Pct.kind: lambda seed, nemeses, numbers: Pct(seed, nemeses, *numbers),
    Pos.name: lambda seed, nemeses, _: Pos(seed, nemeses),
    coverage.KIND: Coverage,
    DelayBounded.kind: DelayBounded,
    fail_nth.NTH: lambda seed, _, at: FailNth(fail_nth.NTH, seed, at),
    fail_nth.RANDOM: lambda seed, _, at: FailNth(fail_nth.RANDOM, seed, at),
}
NUMBERS_MAX: Final = {RandomWalk.name: 0, Pct.kind: 2, Pos.name: 0}
"""How many numbers a name may have; `DEPTH_MAX`, if nothing is said."""
NAMES_KEPT: Final = 64
"""Whole names that need not be read again."""
WHOLE: Final = re.compile(r"([a-z]+(?:-[a-z]+)*)((?:-[0-9]{1,9})*)")

CAMPAIGNS: Final = {
    "portfolio": "random, PCT of depth 1 to 5, POS and 0 to 2 delays in turn; says which found it",
    RandomWalk.name: "random walk over what can happen next, faults weighted down",
    Pct.kind: "random priorities of links, changed depth - 1 times: finds starvation",
    Pos.name: "random priorities of messages, drawn again when they race",
    coverage.KIND: "random walks; those that show something new are kept, and deviated from",
    DelayBounded.kind: "the plain schedule with at most depth delays: all there are, then it ends",
    fail_nth.NTH: "each fault at each place of the plain schedule, all there are (depth 2: pairs)",
    fail_nth.RANDOM: "one fault somewhere in a random walk",
}
"""What an exploration can be asked for, and what it does."""
DEPTHS: Final = {
    Pct.kind: pct.DEPTH,
    DelayBounded.kind: delay_bounded.DEPTH,
    fail_nth.NTH: fail_nth.DEPTH,
}
"""Those that have a depth, and which if none is said."""


def make(name: str, seed: int, nemeses: tuple[Nemesis, ...] = ()) -> Scout:
    """The strategy of that whole name, at its beginning."""
    kind, numbers = _read(name)
    suits = len(numbers) <= NUMBERS_MAX.get(kind, DEPTH_MAX)
    if kind == Pct.kind and numbers:
        suits &= 1 <= numbers[0] <= DEPTH_MAX
    if kind == coverage.KIND:
        suits &= len(numbers) % 2 == 0
    if not suits:
        raise ExperimentError(f"'{name}': the numbers do not suit the strategy '{kind}'")
    if not 0 <= seed <= SEED_MAX:
        raise ExperimentError(f"the seed {seed} is not between 0 and 2**64 - 1")
    return STRATEGIES[kind](seed, nemeses, numbers)


@lru_cache(maxsize=NAMES_KEPT)
def _read(name: str) -> tuple[str, Numbers]:
    """A strategy and its parameters."""
    found = WHOLE.fullmatch(name)
    kind = found[1] if found else name
    if found is None or kind not in STRATEGIES:
        raise _unknown(kind, STRATEGIES)
    return kind, tuple(int(number) for number in found[2].split("-")[1:])


def _unknown(name: str, there: Collection[str]) -> ExperimentError:
    hint = nearest(name, there)
    return ExperimentError(f"'{name}' is not a strategy{hint} (strategies: {', '.join(there)})")


def prepared(setup: "Setup", name: str) -> "Setup":
    """The setup as the strategy or campaign of that name wants it: some bring their own faults."""
    if name.startswith((fail_nth.NTH, fail_nth.RANDOM)):
        return with_every_fault(setup)
    if name in SEARCHES:
        # Nothing waits on its link by itself: every order is searched anyway.
        return replace(setup, delay_steps=(0, 0))
    return setup


def title(name: str) -> str:
    """A strategy for people, without what was learnt: `pct(depth 3)`."""
    if name in SEARCHES:
        return name
    kind, numbers = _read(name)
    if kind == Pct.kind:
        return f"{kind}(depth {numbers[0] if numbers else pct.DEPTH})"
    return f"{kind}(depth {len(numbers)})" if kind in DEPTHS else kind


def ends(name: str) -> bool:
    """Whether the campaign of that name ends by itself, when all schedules it is about have run."""
    return name in (DelayBounded.kind, fail_nth.NTH)


def single(name: str) -> str:
    """The strategy that stands for the campaign of that name where only one schedule is run."""
    return name if name in STRATEGIES else RandomWalk.name


def campaign_title(name: str, depth: int = 0) -> str:
    """A campaign for people; the delays of a search are told among its bounds."""
    if name in SEARCHES:
        return name
    return f"{name}(depth {depth or DEPTHS[name]})" if name in DEPTHS else name


def campaign(name: str, seed: int, depth: int = 0) -> Campaign:
    """The campaign of that name, at its beginning; depth 0 is its own."""
    if name not in CAMPAIGNS:
        raise _unknown(name, CAMPAIGNS)
    if depth and name not in DEPTHS:
        raise ExperimentError(f"strategy '{name}' has no depth; these have: {', '.join(DEPTHS)}")
    if not 0 <= depth <= DEPTH_MAX:
        raise ExperimentError(f"a depth is 1 to {DEPTH_MAX}, not {depth}")
    depth = depth or DEPTHS.get(name, 0)
    match name:
        case "portfolio":
            return Portfolio(seed, PORTFOLIO)
        case Pct.kind:
            return Portfolio(seed, [pct.pct(depth)])
        case DelayBounded.kind | fail_nth.NTH:
            return Enumeration(name, schedule_seed(seed, 0), depth)
        case fail_nth.RANDOM:
            return Portfolio(seed, [one_fault])
        case coverage.KIND:
            return Guided(seed)
        case _:
            return Portfolio(seed, [same(name)])
