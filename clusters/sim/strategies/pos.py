"""Partial order sampling: each message gets a priority of its own, the highest is delivered.

Those that race with it, because they are for the same actor, then get new ones.  So each order of
the messages of an actor is about as likely as any other, however long they had to wait: it needs
to know neither a length nor a depth.

Source: Yuan, Yang, Gu, CAV 2018.
"""

from typing import TYPE_CHECKING

from clusters.nemesis import Nemesis
from clusters.sim.strategies.campaign import UNFAIR_MAX, Lesson
from clusters.sim.strategies.random_walk import RandomWalk
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World


class Pos:
    """`priorities`: of the messages at the head of their links, by slot."""

    name = "pos"

    __slots__ = ("_choices", "_walk", "priorities", "seed")

    def __init__(self, seed: int, nemeses: tuple[Nemesis, ...] = ()) -> None:
        self.seed = seed
        self._walk = RandomWalk(seed, nemeses)
        self._choices = 0
        self.priorities: dict[int, float] = {}

    def choose(self, world: "World") -> int:
        if world.final or self._choices >= UNFAIR_MAX:
            return self._walk.choose(world)
        fault = self._walk.fault(world)
        if fault is not None:
            return fault
        network, priorities = world.network, self.priorities
        enabled = network.enabled
        self._choices += len(enabled) > 1
        for slot in enabled:
            if slot not in priorities:
                priorities[slot] = self._walk.random()
        chosen = max(enabled, key=priorities.__getitem__)
        for slot in network.inbound[network.receivers[chosen].name]:
            priorities.pop(slot, None)
        return chosen

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        return self._walk.fails(world, actor, site)

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return self._walk.draw(world, actor, bound)

    def lesson(self) -> Lesson:
        return Lesson(self._choices, calmed=self._choices >= UNFAIR_MAX)
