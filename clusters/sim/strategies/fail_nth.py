"""Every single fault that can be, at every place of the plain schedule; then every pair.

The chances for a fault are numbered as they come: each passage of each fallible step can fail, and
after each delivery its receiver can crash, and each actor that may be lost can be lost.  (Until its
next input nothing can tell when an actor crashed.)  A crash is healed when nothing else can happen.
Where links are not reliable, each message can be lost, or come again; what reliable links mask (a
partition, a drop, a duplicate, a delay) is an order like any other, and no chance.
The campaign is through when no number is left.  `fail-random` takes one chance of a random walk.

The fault plan of the experiment is left out, but that a crash may be one that costs the memory if
the plan has any such; and so is what its scripts expect: who is refused may
do without.  After the kernel's fail-nth (Documentation/fault-injection).
"""

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Final

from msgspec import structs

from clusters.nemesis import BY_CHANCE, Nemesis
from clusters.sim.strategies.campaign import Lesson
from clusters.sim.strategies.enumeration import Numbers, whole_name
from clusters.sim.strategies.plain import Plain
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import Setup, World

IF_ANY: Final = (*BY_CHANCE, "amnesia")
"""Kinds that are said only where there are such chances."""
DEPTH: Final = 1
NTH: Final = "fail-nth"
RANDOM: Final = "fail-random"
POINTS: Final = {
    "fail": "failing steps",
    "crash": "crashes",
    "lose": "losses",
    "amnesia": "losses of memory",
    "drop": "lost messages",
    "duplicate": "repeated messages",
}


class FailNth:
    """`at`: the chances that are taken, from the first to the last."""

    __slots__ = (
        "_at",
        "_coming",
        "_count",
        "_last",
        "_losses",
        "_plain",
        "_points",
        "_step",
        "_taken",
        "_walk",
        "name",
        "seed",
    )

    def __init__(self, kind: str, seed: int, at: Numbers = ()) -> None:
        self.name = whole_name(kind, at)
        self.seed = seed
        self._at = at
        self._taken = 0
        self._count = 0
        """Chances so far."""
        self._points = dict.fromkeys(POINTS, 0)
        self._step = -1
        self._last = -1
        """From where the last delivery was."""
        self._coming: list[Begin] = []
        """What else can happen after it."""
        self._losses: list[Begin] | None = None
        self._plain = Plain(seed)
        self._walk = RandomWalk(seed) if kind == RANDOM else None

    def choose(self, world: "World") -> int:
        fault = None if world.final else self._fault(world)
        if fault is not None:
            return world.book.entry(fault)
        if self._walk is not None:
            self._last = self._walk.choose(world)
        else:
            self._last = self._plain.first(world.network.enabled)
            self._plain.serve(self._last)
        return self._last

    def _fault(self, world: "World") -> Begin | None:
        """What happens after the last delivery, if a chance is taken there."""
        if world.step != self._step:
            self._step = world.step
            self._coming = self._chances(world)
        coming = self._coming
        if self._taken < len(self._at):
            wanted = self._at[self._taken] - self._count
            if 0 <= wanted < len(coming):
                self._taken += 1
                self._count += wanted + 1
                self._coming = coming[wanted + 1 :]
                self._losses = None
                return coming[wanted]
        if coming:
            self._count += len(coming)
            self._coming = []
        return None

    def _chances(self, world: "World") -> list[Begin]:
        """The receiver crashes (at the beginning: anybody), or somebody is lost."""
        if self._losses is None:
            lost = world.faults.lost
            losable = [name for name, host in world.hosts.items() if host.actor.LOSABLE]
            self._losses = [Begin("lose", name) for name in losable if name not in lost]
        if self._last < 0:
            crashes = [Begin("crash", name) for name in world.hosts]
        else:
            crashes = [Begin("crash", world.network.receivers[self._last].name)]
        forgets = [
            Begin("amnesia", one.target)
            for one in crashes
            if world.faults.possible("amnesia", one.target)
        ]
        self._points["crash"] += len(crashes)
        self._points["lose"] += len(self._losses)
        self._points["amnesia"] += len(forgets)
        return crashes + forgets + self._losses

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        if world.final:
            return False
        failed = self._taken < len(self._at) and self._at[self._taken] == self._count
        self._taken += failed
        self._count += 1
        self._points[site if site in BY_CHANCE else "fail"] += 1
        return failed

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return self._plain.draw(actor, bound)

    def lesson(self) -> Lesson:
        return Lesson(
            self._count,
            drawn=self._walk is not None or self._plain.drawn,
            first=self._at[-1] + 1 if self._at else 0,
            end=self._count,
            reached=self._taken == len(self._at),
            points={
                POINTS[kind]: count
                for kind, count in self._points.items()
                if count or kind not in IF_ANY
            },
        )


def one_fault(seed: int, length: int) -> str:
    """One chance of a random walk, any of as many as there were in the longest one."""
    at = int(Random(f"{seed} fault").random() * length)
    return whole_name(RANDOM, (at,) if length else ())


def with_every_fault(setup: "Setup") -> "Setup":
    """The same world with these faults in its plan, and nothing that its scripts expect.

    One crash and one loss stand for all: the plan says what kinds there are.  Whatever the
    experiment says of its own faults, a crash is healed when nothing else can happen.
    """
    actors = setup.actors()
    losable = [name for name, actor in actors.items() if actor.LOSABLE]
    sites = dict.fromkeys(site.name for actor in actors.values() for site in actor.SITES)
    nemeses = [Nemesis("crash", name) for name in [*actors][:1]]
    nemeses += [Nemesis("lose", name) for name in losable[:1]]
    nemeses += [Nemesis("fail", site=site) for site in sites]
    nemeses += [nemesis for nemesis in setup.nemeses if nemesis.fault == "amnesia"][:1]
    plans = {
        name: structs.replace(
            plan, steps=tuple(structs.replace(step, expect=()) for step in plan.steps)
        )
        for name, plan in setup.plans.items()
    }
    return replace(setup, plans=plans, nemeses=tuple(nemeses), heal=True)
