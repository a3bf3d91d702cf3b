"""The plain schedule, but for a few delays: most bugs need no more than one or two.

A delay holds back the message whose turn it is until nothing else can happen.  Choices are
numbered; the name of the strategy says at which a message is held (twice: the next one, too).  The
campaign runs *all* schedules with at most `depth` delays, fewest first: when it is through, that is
a proof, and what it finds is small.  A portfolio draws the places of the delays instead.

Draws and the fault plan are those of the seed.  Source: Emmi, Qadeer, Rakamaric, POPL 2011.
"""

from random import Random
from typing import TYPE_CHECKING, Final

from clusters.nemesis import Nemesis
from clusters.sim.strategies.campaign import UNFAIR_MAX, Lesson, Member
from clusters.sim.strategies.enumeration import Numbers, whole_name
from clusters.sim.strategies.plain import Plain
from clusters.sim.strategies.random_walk import RandomWalk
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World

DEPTH: Final = 2


class DelayBounded:
    """`at`: the choices at which a message is held, from the first to the last."""

    kind = "delay-bounded"

    __slots__ = (
        "_at",
        "_plain",
        "_planned",
        "_walk",
        "name",
        "seed",
    )  # fmt: skip

    def __init__(self, seed: int, nemeses: tuple[Nemesis, ...] = (), at: Numbers = ()) -> None:
        self.name = whole_name(self.kind, at)
        self.seed = seed
        self._at = at
        self._planned = bool(nemeses)
        self._plain = Plain(seed, at)
        self._walk = RandomWalk(seed, nemeses)

    def choose(self, world: "World") -> int:
        if world.final or self._plain.choices >= UNFAIR_MAX:
            return self._walk.choose(world)
        fault = self._walk.fault(world)
        if fault is not None:
            return fault
        return self._plain.next(world.network.enabled)

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        return self._walk.fails(world, actor, site)

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return self._plain.draw(actor, bound)

    def lesson(self) -> Lesson:
        last = self._at[-1] + (not self._plain.again) if self._at else 0
        return Lesson(
            self._plain.choices,
            calmed=self._plain.choices >= UNFAIR_MAX,
            drawn=self._planned or self._plain.drawn,
            first=last,
            end=self._plain.choices,
            reached=self._plain.taken == len(self._at),
            points={"choices": self._plain.choices},
        )


def delayed(bound: int) -> Member:
    """So many delays, anywhere in the length learnt."""

    def named(seed: int, length: int) -> str:
        random = Random(f"{seed} delays").random
        at = sorted(int(random() * length) for _ in range(bound if length else 0))
        return whole_name(DelayBounded.kind, tuple(at))

    return named
