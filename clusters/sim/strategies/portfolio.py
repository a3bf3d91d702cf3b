"""A portfolio: several strategies share the budget in turn, and what one learns serves all.

No strategy finds everything: the random walk is blind to what hides behind a starved process, PCT
and the delays are made for it, POS shuffles what races.
"""

from collections.abc import Sequence
from typing import Final

from clusters.sim.strategies.campaign import ROUND, Length, Lesson, Member, Order
from clusters.sim.strategies.delay_bounded import DelayBounded, delayed
from clusters.sim.strategies.pct import pct
from clusters.sim.strategies.pos import Pos
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import schedule_seed


def same(name: str) -> Member:
    """A strategy without parameters."""
    return lambda _seed, _length: name


PORTFOLIO: Final[tuple[Member, ...]] = (
    pct(1),
    delayed(0),
    same(RandomWalk.name),
    same(Pos.name),
    pct(2),
    delayed(1),
    pct(3),
    delayed(2),
    pct(4),
    pct(5),
)
"""Those that need no length come first."""
FIRST: Final = 4
"""How many those are: the first round."""


class Portfolio:
    """A campaign without an end.  Its first round is short: it teaches the length."""

    def __init__(self, seed: int, members: Sequence[Member]) -> None:
        self.seed = seed
        self._members = members
        self._length = Length()
        self._index = 0
        self._turn = 0
        self._plain_is_done = False

    def round(self) -> list[Order]:
        return [
            self._next() for _ in range(ROUND if self._index else min(FIRST, len(self._members)))
        ]

    def _next(self) -> Order:
        seed = schedule_seed(self.seed, self._index)
        self._index += 1
        name = self._member(seed)
        if name == DelayBounded.kind and self._plain_is_done:
            name = self._member(seed)
        return Order(name, seed)

    def _member(self, seed: int) -> str:
        self._turn += 1
        return self._members[(self._turn - 1) % len(self._members)](seed, self._length.choices)

    def learn(self, order: Order, lesson: Lesson) -> None:
        self._length.learn(lesson)
        if order.strategy == DelayBounded.kind and not lesson.drawn:
            self._plain_is_done = True

    def proof(self) -> str:
        return ""
