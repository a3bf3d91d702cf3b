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
    """`ages`: when each slot could be delivered from, by a count of its own.

    `next` counts its `choices`, and how many of the delays at the choices `at` were `taken`;
    `again`: one more delay at the last of them is another schedule.
    """

    __slots__ = ("_ages", "_at", "_count", "_seed", "_sources", "again", "choices", "taken")

    def __init__(self, seed: int, at: Sequence[int] = ()) -> None:
        self._at = at
        self.choices = 0
        self.taken = 0
        self.again = False
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

    def next(self, enabled: Sequence[int]) -> int:
        """Serve the slot whose turn it is; at the choices `at` the first ones are held back."""
        slot = self.first(enabled)
        if len(enabled) > 1:
            held, at = 0, self._at
            while self.taken < len(at) and at[self.taken] == self.choices:
                self.hold(slot)
                slot = self.first(enabled)
                self.taken += 1
                held += 1
            if held:
                self.again = held < len(enabled) - 1
            self.choices += 1
        self.serve(slot)
        return slot

    def draw(self, actor: Name, bound: int) -> int:
        source = self._sources.get(actor)
        if source is None:
            source = self._sources[actor] = Random(f"{self._seed} {actor}").random
        return int(source() * bound)

    @property
    def drawn(self) -> bool:
        """Whether anybody drew anything."""
        return bool(self._sources)
