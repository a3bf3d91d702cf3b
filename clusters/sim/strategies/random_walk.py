"""The random walk: each enabled message is as likely as any other; faults keep to their timetable.

A timer stands for a thread that the scheduler has yet to run, so it is put off now and then: how
often is drawn per schedule, from never to nearly always, because races want it rare or common.

The reference that every other strategy is measured against, and a strong finder of bugs that are
not hidden behind a starved process.
"""

from random import Random
from typing import TYPE_CHECKING, Final

from clusters.nemesis import Nemesis
from clusters.sim.faults import Timetable
from clusters.sim.strategies.campaign import Lesson
from clusters.sim.tape import Fire
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World

PATIENCE: Final = (0.0, 0.5, 0.8, 0.95)
"""With what probability a timer that was drawn is put off; one of these per schedule."""


class RandomWalk:
    """Only `Random.random` is used: its numbers are the same in every version of Python.

    Other strategies have one of these for what they do not order themselves: faults, draws, and
    what comes after they were unfair for long enough.
    """

    name = "random"

    __slots__ = ("_patience", "_timetable", "random", "seed")

    def __init__(self, seed: int, nemeses: tuple[Nemesis, ...] = ()) -> None:
        self.seed = seed
        self.random = Random(seed).random
        self._patience = PATIENCE[int(self.random() * len(PATIENCE))]
        self._timetable = Timetable(nemeses, self.random)

    def choose(self, world: "World") -> int:
        if world.step >= self._timetable.due:
            fault = self._timetable.next(world)
            if fault is not None:
                return fault
        network, random = world.network, self.random
        enabled = network.enabled
        slot = enabled[int(random() * len(enabled))]
        while type(network.names[slot]) is Fire and random() < self._patience:
            slot = enabled[int(random() * len(enabled))]
        return slot

    def branch(self, seed: int) -> None:
        """From here on chance is another; what it has planned already stays."""
        self.random = Random(seed).random
        self._patience = PATIENCE[int(self.random() * len(PATIENCE))]
        self._timetable.branch(self.random)

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        return self._timetable.fails(world, actor, site)

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return int(self.random() * bound)

    def fault(self, world: "World") -> int | None:
        """The number of the fault that the plan wants to begin or end now, if any."""
        if world.step < self._timetable.due:
            return None
        return self._timetable.next(world)

    def go_on(self, world: "World", asked: tuple[Name, str] | None = None) -> None:
        """From here on in a world whose schedule so far was somebody else's.

        `asked`: the passage of a fallible step that is asked about next, if that is what comes.
        """
        self._timetable.go_on(world, asked)

    def lesson(self) -> Lesson:
        return Lesson()
