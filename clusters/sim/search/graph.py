"""What a search knows of the states it found: their keys, their tree, and who leads where."""

from array import array
from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from clusters.sim.search.space import Key
from clusters.sim.search.tree import ROOT, Tree

STATES: Final = 5_000_000
"""States that are searched unless more are asked for: one or two gigabytes."""


class Bounds(Struct, frozen=True):
    """Where a search stops: after so many states, or at a depth (0: as deep as it goes)."""

    states: int = STATES
    depth: int = 0


BOUNDS: Final = Bounds()


class Found(NamedTuple):
    """A state where a property is violated; `sentence`: what is still owed there, at an end.

    `cycle`: the turns from the state back to itself, of a cycle that is never left.
    """

    state: int
    property: str
    sentence: str = ""
    cycle: tuple[int, ...] = ()


class Edges:
    """Who leads where, and what is owed where, for a look at cycles; by state, in their order."""

    __slots__ = ("channels", "owed", "owing", "owings", "starts", "targets")

    def __init__(self) -> None:
        self.starts = array("Q", [0])
        self.targets = array("I")
        self.channels = array("q")
        self.owed = array("I")
        """By state, the number of what is owed there, in `owings`."""
        self.owings: list[tuple[str, ...]] = [()]
        self.owing: dict[tuple[str, ...], int] = {(): 0}

    def add(self, targets: Sequence[int], channels: Sequence[int], owed: tuple[str, ...]) -> None:
        """The next state's."""
        self.targets.extend(targets)
        self.channels.extend(channels)
        self.starts.append(len(self.targets))
        number = self.owing.get(owed)
        if number is None:
            number = self.owing[owed] = len(self.owings)
            self.owings.append(owed)
        self.owed.append(number)


class Graph:
    """`seen` numbers the states by key, in the order in which they were found."""

    __slots__ = ("came", "edges", "moves", "seen", "tree")

    def __init__(self, root: Key, *, edges: bool) -> None:
        self.seen: dict[Key, int] = {root: ROOT}
        self.tree = Tree()
        self.moves = 0
        """How many moves were looked at."""
        self.came: dict[str, None] = {}
        """*Sometimes* properties that a move showed."""
        self.edges = Edges() if edges else None

    def __len__(self) -> int:
        return len(self.tree)
