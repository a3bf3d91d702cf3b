"""Strategies: who decides what happens next.  One file each; `STRATEGIES` names them.

A strategy is asked at each step of a world, and its answers are the schedule.  It owns all chance:
two strategies of one seed answer alike.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Protocol

from clusters.nemesis import Nemesis
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import SEED_MAX
from protocol.errors import ExperimentError
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World


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


STRATEGIES: Final[dict[str, Callable[[int, tuple[Nemesis, ...]], Strategy]]] = {
    RandomWalk.name: RandomWalk,
}


def make(name: str, seed: int, nemeses: tuple[Nemesis, ...] = ()) -> Strategy:
    """The strategy of that name, at its beginning."""
    if name not in STRATEGIES:
        close = get_close_matches(name, STRATEGIES, n=1, cutoff=0.5)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        raise ExperimentError(
            f"'{name}' is not a strategy{hint} (strategies: {', '.join(STRATEGIES)})"
        )
    if not 0 <= seed <= SEED_MAX:
        raise ExperimentError(f"the seed {seed} is not between 0 and 2**64 - 1")
    return STRATEGIES[name](seed, nemeses)
