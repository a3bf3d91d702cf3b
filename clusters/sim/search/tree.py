"""How each state was first reached: a tree with a few bytes per state, from which all can be made.

A state that was searched is not kept, only its key, its parent, and the how-manieth move of the
parent led to it.  Its path begins at the root; walking it makes the state again (`Maker`), in this
process or another, today or after an interrupt.
"""

from array import array
from collections.abc import Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from clusters.sim.search.space import Key, Label, Space

S = TypeVar("S")
D = TypeVar("D")

ROOT: Final = 0
MOVES_MAX: Final = (1 << 16) - 1
KEPT: Final = 100_000
"""States that a `Maker` keeps at hand, with their moves."""
KEPT_AFTERWARDS: Final = 75_000
"""So many of them at most are left when it throws some away."""


class Origins(Protocol):
    """Who knows where states come from."""

    def origin(self, state: int) -> tuple[int, int]:
        """The parent of a state that is not the root, and the turn that leads from it."""


class Tree:
    """`parents` and `turns` by state: the root is state 0, its own parent."""

    __slots__ = ("parents", "turns")

    def __init__(self) -> None:
        self.parents = array("I", [ROOT])
        self.turns = array("H", [0])

    def __len__(self) -> int:
        return len(self.parents)

    def path(self, state: int) -> list[int]:
        """The turns from the root to a state."""
        turns: list[int] = []
        while state != ROOT:
            turns.append(self.turns[state])
            state = self.parents[state]
        return turns[::-1]

    def origin(self, state: int) -> tuple[int, int]:
        return self.parents[state], self.turns[state]

    def above(self, states: range) -> "Above":
        """What can be known without the tree of some neighbours in a breadth-first one.

        There parents are in the order of their children, so neighbours descend from neighbours.
        """
        parents, turns = self.parents, self.turns
        rows: list[Row] = []
        first, last = states.start, states.stop - 1
        while last > ROOT:
            rows.append(Row(first, parents[first : last + 1], turns[first : last + 1]))
            first, last = parents[first], parents[last]
        return Above(tuple(rows))


class Row(NamedTuple):
    """Neighbours of one level, from state `first` on."""

    first: int
    parents: "array[int]"
    turns: "array[int]"


class Above(NamedTuple):
    """The origins of some states, and of all above them; the last level comes first."""

    rows: tuple[Row, ...]

    def origin(self, state: int) -> tuple[int, int]:
        for first, parents, turns in self.rows:
            if state >= first:
                return parents[state - first], turns[state - first]
        raise AssertionError(f"state {state} is not above these")


class Made(NamedTuple, Generic[S, D]):
    """A state that was made, its moves, and which *sometimes* properties they show."""

    state: S
    moves: Sequence[tuple[Label, Key, D]]
    came: Sequence[str]


class Maker(Generic[S, D]):
    """Makes states from their paths, and keeps those it made last, with their moves.

    Asked for states in the order of their numbers, it makes each in one step from its parent.
    """

    __slots__ = ("_kept", "_space")

    def __init__(self, space: Space[S, D]) -> None:
        self._space = space
        root = space.initial()
        self._kept: dict[int, Made[S, D]] = {ROOT: Made(root, space.moves(root), space.came())}

    def expand(self, number: int, origins: Origins) -> "Made[S, D]":
        """The state of that number, and its moves."""
        missing: list[tuple[int, int]] = []
        above = number
        while above not in self._kept:
            parent, turn = origins.origin(above)
            missing.append((above, turn))
            above = parent
        space, made = self._space, self._kept[above]
        for one, turn in reversed(missing):
            state = space.after(made.state, made.moves[turn][2])
            self._kept[one] = made = Made(state, space.moves(state), space.came())
        if missing and len(self._kept) > KEPT:
            self._forget(origins.origin(number)[0])
        return made

    def _forget(self, parent: int) -> None:
        """What comes before the parent of the last one; if that is not enough, some after it."""
        kept = {one: made for one, made in self._kept.items() if one >= parent or one == ROOT}
        for one in sorted(kept)[1 : 1 + max(0, len(kept) - KEPT_AFTERWARDS)]:
            del kept[one]
        self._kept = kept


def walk(space: Space[S, D], turns: Sequence[int]) -> tuple[list[Label], list[S]]:
    """The moves of a path, and the states it goes through, the root first."""
    states, labels = [space.initial()], []
    for turn in turns:
        label, _, step = space.moves(states[-1])[turn]
        labels.append(label)
        states.append(space.after(states[-1], step))
    return labels, states
