"""What properties make of an input's facts: each (memory, input) is shown once, and remembered.

A record that a search shows has no step and no number, and it saw all that was before it.  For an
exhaustive search that is as good as happens-before: if one event may come before another without
its knowledge, then there is a schedule in which it comes first, and that one is searched, too.  So
memories stay small and free of step numbers, and states in which the same can happen are one state.
(A loss is the exception: what an actor did before it was lost comes before all that others do when
they are told, and yet nobody has seen it.  There happens-before is the stricter judge.)

What a message was caused by is told apart only by what some property asks of it: whether a
notification's handler had sent it (N15).
"""

from collections.abc import Sequence
from typing import Final, TypeAlias, cast
from zlib import crc32

from msgspec import Struct

from clusters.sim.search.components import Parts
from clusters.sim.search.frozen import Renaming, freeze, thaw
from clusters.sim.search.handling import LeakError
from protocol.facts import Event, NotificationHandled
from protocol.history import Record, Stamp
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Property

ALL: Final = 1 << 60


class Everything(dict[Name, int]):
    """The clock of somebody who saw all that was before."""

    def get(self, actor: Name, default: int = 0) -> int:  # type: ignore[override]
        return ALL


SEEN: Final = Everything()

Mark: TypeAlias = int
"""Of an input: 1, or a number for the notification whose handler it ran; 0: the world's."""


class Shown(Struct, frozen=True):
    """An input's facts, as properties are shown them.

    `mark` is the input's, `cause` and `cause_mark` tell who sent it, and in what input.
    """

    actor: Name
    input: str
    mark: Mark
    cause: Name
    cause_mark: Mark
    facts: tuple[Event, ...]


def mark_of(facts: Sequence[Event]) -> Mark:
    """The mark of an input with these facts."""
    for fact in facts:
        if isinstance(fact, NotificationHandled):
            return crc32(fact.notification.encode()) + 2
    return 1


class Judging:
    """The memories of all properties; `violated` names them by number."""

    __slots__ = ("_known", "_parts", "kinds", "names", "observers", "observes", "owed_by")

    def __init__(self, parts: Parts, properties: Sequence[type[Property]]) -> None:
        self._parts = parts
        self._known: list[dict[tuple[int, int], tuple[int, str]]] = [{} for _ in properties]
        self.names = [each.name for each in properties]
        self.kinds = [each.kind for each in properties]
        self.observes: dict[type[Event], list[int]] = {}
        for index, each in enumerate(properties):
            for fact in each.observes:
                self.observes.setdefault(fact, []).append(index)
        self.owed_by: list[dict[int, tuple[str, ...]]] = [{} for _ in properties]

    def initial(self, machine: Machine, properties: Sequence[type[Property]]) -> list[int]:
        """The memory of each property that has seen nothing yet."""
        return [
            self._number(k, freeze(each(machine), ordered=False))
            for k, each in enumerate(properties)
        ]

    def observers_of(self, facts: Sequence[Event]) -> tuple[int, ...]:
        """The properties that want to see some of these facts, in their order."""
        found: dict[int, None] = {}
        for fact in facts:
            found |= dict.fromkeys(self.observes.get(fact.__class__, ()))
        return tuple(sorted(found))

    def see(self, index: int, memory: int, number: int, shown: Shown) -> tuple[int, str]:
        """The memory after `shown`, which has that number; and what the property says, or ""."""
        known = self._known[index]
        found = known.get((memory, number))
        if found is None:
            content = self._parts.content[memory]
            after, said = self._once(index, content, shown)
            for exchange in self._parts.exchanges:
                self._compare(exchange, (index, content, shown), (after, said))
            found = known[memory, number] = (self._number(index, after), said)
        return found

    def owed(self, index: int, memory: int) -> tuple[str, ...]:
        """What an *eventually* property would still have to see."""
        owed = self.owed_by[index].get(memory)
        if owed is None:
            judged = _thawed(self._parts.content[memory])
            owed = self.owed_by[index][memory] = tuple([one.plain() for one in judged.unmet()])
        return owed

    def _number(self, index: int, content: bytes) -> int:
        weighs = self.kinds[index] is not Kind.SOMETIMES
        place = f"memory of {self.names[index]}"
        return self._parts.number(place, content, weighs=weighs, ordered=False)

    def _once(self, index: int, memory: bytes, shown: Shown) -> tuple[bytes, str]:
        judged = _thawed(memory)
        stamp = Stamp(
            actor=shown.actor, n=shown.mark, input=shown.input, cause=shown.cause,
            cause_n=shown.cause_mark, clock=SEEN,
        )  # fmt: skip
        said = ""
        observes = judged.observes
        for fact in shown.facts:
            if fact.__class__ in observes:
                said = judged.observe(Record(stamp, fact)) or said
        return freeze(judged, ordered=False), said

    def _compare(
        self, exchange: Renaming, given: tuple[int, bytes, Shown], found: tuple[bytes, str]
    ) -> None:
        index, memory, shown = given
        other = cast("Shown", thaw(exchange.frozen(freeze(shown))))
        after, said = self._once(index, exchange.frozen(memory, ordered=False), other)
        if after != exchange.frozen(found[0], ordered=False) or bool(said) != bool(found[1]):
            raise LeakError(f"{self.names[index]} does not treat {exchange} alike")


def _thawed(memory: bytes) -> Property:
    return cast("Property", thaw(memory))
