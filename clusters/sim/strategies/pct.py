"""Probabilistic concurrency testing: priorities at random, which change `depth - 1` times.

The chains that have priorities are the links (and timers): the enabled one with the highest runs.
A bug that needs `depth` orderings shows up with probability 1 / (n k^(depth-1)) at least, n chains
and k choices.  A link that is used for the first time comes in at a random rank.  Only what can be
chosen counts as a choice.  It is unfair, so that it finds what hides behind a starved process.

Source: Burckhardt, Kothari, Musuvathi, Nagarakatte, ASPLOS 2010; for messages Ozkan et al., OOPSLA
2018 (here a chain is simply a link).
"""

from typing import TYPE_CHECKING, Final

from clusters.nemesis import Nemesis
from clusters.sim.strategies.campaign import UNFAIR_MAX, Lesson, Member
from clusters.sim.strategies.random_walk import RandomWalk
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World

DEPTH: Final = 3


class Pct:
    """`changes`: at which choice the chain that would run gets which of the lowest priorities."""

    kind = "pct"

    __slots__ = ("_choices", "_walk", "changes", "name", "priorities", "seed")

    def __init__(
        self, seed: int, nemeses: tuple[Nemesis, ...] = (), depth: int = DEPTH, length: int = 0
    ) -> None:
        self.name = f"{self.kind}-{depth}-{length}"
        self.seed = seed
        self._walk = RandomWalk(seed, nemeses)
        self._choices = 0
        self.priorities: dict[int, float] = {}
        """By slot: from 0 to 1, those that were lowered below 0."""
        self.changes: dict[int, list[int]] = {}
        for rank in range(1 - depth, 0) if length else ():
            at = int(self._walk.random() * length)
            self.changes.setdefault(at, []).append(rank)

    def choose(self, world: "World") -> int:
        if world.final or self._choices >= UNFAIR_MAX:
            return self._walk.choose(world)
        fault = self._walk.fault(world)
        if fault is not None:
            return fault
        enabled = world.network.enabled
        if len(enabled) == 1:
            return enabled[0]
        priorities = self.priorities
        for slot in enabled:
            if slot not in priorities:
                priorities[slot] = self._walk.random()
        for rank in self.changes.get(self._choices, ()):
            priorities[max(enabled, key=priorities.__getitem__)] = rank
        self._choices += 1
        return max(enabled, key=priorities.__getitem__)

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        return self._walk.fails(world, actor, site)

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return self._walk.draw(world, actor, bound)

    def lesson(self) -> Lesson:
        return Lesson(self._choices, calmed=self._choices >= UNFAIR_MAX)


def pct(depth: int) -> Member:
    """PCT of that depth over the length learnt."""
    return lambda _seed, length: f"{Pct.kind}-{depth}-{length}"
