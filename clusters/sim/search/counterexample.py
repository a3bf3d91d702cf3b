"""A path of a search as a tape that a `World` replays: the same choices, by their names."""

from collections.abc import Sequence
from typing import Final

from clusters.sim.search.space import Label
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.tape import Choice, Tape

SEED: Final = 0
"""A search draws nothing."""


def choices_of(space: WorldSpace, labels: Sequence[Label]) -> tuple[Choice, ...]:
    """All choices from the first after every `Start`: those of the boot, then those of a path."""
    spoken = space.inputs.labels.choices
    return tuple(choice for label in (*space.boot, *labels) for choice in spoken[label])


def tape_of(name: str, space: WorldSpace, labels: Sequence[Label]) -> Tape:
    """The tape of a path; `name` is the strategy that found it."""
    return Tape(name, SEED, choices_of(space, labels))
