"""The plain schedule, which others deviate from: what could happen first happens first.

Each actor draws from a source of its own, so that a deviation does not change what others draw.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from protocol.names import Name

HELD: Final = 1 << 62
"""Later than anything: what is held back comes behind all that is not."""


class Plain:
    """`ages`: when each slot could be delivered from, by a count of its own."""

    __slots__ = ("_ages", "_count", "_seed", "_sources")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._ages: dict[int, int] = {}
        self._count = 0
        self._sources: dict[Name, Callable[[], float]] = {}

    def first(self, enabled: Sequence[int]) -> int:
        """The slot whose turn it is."""
        ages = self._ages
        for slot in enabled:
            if slot not in ages:
                ages[slot] = self._count
                self._count += 1
        return min(enabled, key=ages.__getitem__)

    def hold(self, slot: int) -> None:
        """Back to the end of the queue, behind those that come later but are not held."""
        self._ages[slot] = HELD + self._count
        self._count += 1

    def serve(self, slot: int) -> None:
        """The slot's message is delivered; its next one has to queue up."""
        del self._ages[slot]

    def draw(self, actor: Name, bound: int) -> int:
        source = self._sources.get(actor)
        if source is None:
            source = self._sources[actor] = Random(f"{self._seed} {actor}").random
        return int(source() * bound)

    @property
    def drawn(self) -> bool:
        """Whether anybody drew anything."""
        return bool(self._sources)
