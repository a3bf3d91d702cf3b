"""Guided by coverage: a schedule that shows something new is kept, and later ones deviate from it.

What is shown is abstract: who (by role) handled which type of message after which other, and what
types that made it send.  A child follows its parent up to a choice and then walks at random from a
seed of its own.  Its whole name is its lineage, pairs of a cut and the number of the walk that goes
on from there, so that a seed and a name are the schedule: nothing of the corpus is needed.

Source: Ozkan, Majumdar, Niksic, "Model-guided fuzzing of distributed systems" (ModelFuzz), 2024.
"""

from random import Random
from typing import TYPE_CHECKING, Final, TypeAlias
from zlib import crc32

from clusters.cluster import Role
from clusters.nemesis import Nemesis
from clusters.sim.strategies.campaign import DEPTH_MAX, Lesson, Order
from clusters.sim.strategies.enumeration import Numbers, numbers_of, whole_name
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import schedule_seed
from protocol.effects import Send
from protocol.messages import AnyMessage, Start
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World

KIND: Final = "coverage"
ROUND: Final = 16
"""Schedules that run before anything is learnt from them: fewer than elsewhere."""
FRESH: Final = 0.5
"""How many schedules deviate from none."""
CORPUS_MAX: Final = 1_000
"""Schedules that are kept, the latest."""
CUT_MAX: Final = 99_999
WALKS: Final = 1_000_000
"""Cuts and walks have so few digits that a lineage fits into a token."""

Seen: TypeAlias = tuple[Role, type[AnyMessage], type[AnyMessage] | None, tuple[type, ...]]


class Coverage:
    """`lineage`: at which choice which walk takes over, in turn."""

    __slots__ = (
        "_before",
        "_choices",
        "_last",
        "_message",
        "_next",
        "_seen",
        "_walk",
        "lineage",
        "name",
        "seed",
    )

    def __init__(self, seed: int, nemeses: tuple[Nemesis, ...] = (), lineage: Numbers = ()) -> None:
        self.name = whole_name(KIND, lineage)
        self.seed = seed
        self.lineage = lineage
        self._walk = RandomWalk(seed, nemeses)
        self._choices = 0
        self._next = 0
        """The place in the lineage of the cut that comes next."""
        self._last = -1
        """From where the last delivery was; it is looked at when it is over."""
        self._message: type[AnyMessage] = Start
        """What was delivered then."""
        self._before: dict[Name, type[AnyMessage]] = {}
        """What each actor handled last."""
        self._seen: dict[Seen, None] = {}

    def choose(self, world: "World") -> int:
        if self._last >= 0:
            self._look(world)
        lineage = self.lineage
        while self._next < len(lineage) and lineage[self._next] == self._choices:
            self._walk.branch(schedule_seed(self.seed, lineage[self._next + 1]))
            self._next += 2
        entry = self._walk.choose(world)
        if entry >= 0:
            self._last = entry
            self._message = world.network.queues[entry][0][0].__class__
            self._choices += len(world.network.enabled) > 1
        return entry

    def _look(self, world: "World") -> None:
        """What the last delivery showed."""
        host = world.network.receivers[self._last]
        self._last = -1
        message, name = self._message, host.name
        sent = tuple(
            [
                (each.message if isinstance(each, Send) else each).__class__
                for each in host.out.effects
            ]
        )
        self._seen[world.roles[name], message, self._before.get(name), sent] = None
        self._before[name] = message

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        return self._walk.fails(world, actor, site)

    def draw(self, world: "World", actor: Name, bound: int) -> int:
        return self._walk.draw(world, actor, bound)

    def lesson(self) -> Lesson:
        return Lesson(self._choices, seen=tuple(sorted({_number(one) for one in self._seen})))


def _number(seen: Seen) -> int:
    """The same in every process."""
    role, message, before, sent = seen
    types = (message, before or type(None), *sent)
    return crc32(" ".join([role, *(one.__name__ for one in types)]).encode())


class Guided:
    """A campaign without an end.  `corpus`: schedules that showed something new, and their length.

    Half of the schedules are fresh walks, so that it is never much worse than chance.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.corpus: list[tuple[Order, int]] = []
        self._random = Random(f"{seed} {KIND}").random
        self._seen: dict[int, None] = {}
        self._index = 0

    def round(self) -> list[Order]:
        return [self._order() for _ in range(ROUND)]

    def _order(self) -> Order:
        self._index += 1
        if not self.corpus or self._random() < FRESH:
            return Order(KIND, schedule_seed(self.seed, self._index))
        parent, length = self.corpus[int(self._random() * len(self.corpus))]
        cut = min(int(self._random() * length), CUT_MAX)
        numbers = numbers_of(parent, KIND)
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        kept = [number for pair in pairs if pair[0] < cut for number in pair][: DEPTH_MAX - 2]
        return Order(whole_name(KIND, (*kept, cut, self._index % WALKS)), parent.seed)

    def learn(self, order: Order, lesson: Lesson) -> None:
        new = [number for number in lesson.seen if number not in self._seen]
        if new:
            self._seen |= dict.fromkeys(new)
            self.corpus.append((order, lesson.choices))
            del self.corpus[:-CORPUS_MAX]

    def proof(self) -> str:
        return ""
