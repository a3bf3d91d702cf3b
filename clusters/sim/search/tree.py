"""How each state was first reached: a tree with a few bytes per state, from which all can be made.

A state that was searched is not kept, only its key, its parent, and the how-manieth move of the
parent led to it.  Its path begins at the root; walking it makes the state again (`Maker`), in this
process or another, today or after an interrupt.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from clusters.sim.search.space import Key, Label, Space

S = TypeVar("S")
D = TypeVar("D")

ROOT: Final = 0
STATES_MAX: Final = (1 << 32) - 1
MOVES_MAX: Final = (1 << 16) - 1
KEPT: Final = 100_000
"""States that a `Maker` keeps at hand, with their moves."""


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

    def above(self, states: Iterable[int]) -> dict[int, tuple[int, int]]:
        """Parent and turn of these states and of all above them, but for the root."""
        found: dict[int, tuple[int, int]] = {}
        parents, turns = self.parents, self.turns
        for state in states:
            one = state
            while one != ROOT and one not in found:
                found[one] = (parents[one], turns[one])
                one = parents[one]
        return found


class Maker(Generic[S, D]):
    """Makes states from their paths, and keeps those it made last, with their moves."""

    __slots__ = ("_kept", "_space")

    def __init__(self, space: Space[S, D]) -> None:
        self._space = space
        root = space.initial()
        self._kept: dict[int, tuple[S, Sequence[tuple[Label, Key, D]]]] = {
            ROOT: (root, space.moves(root))
        }

    def expand(
        self, number: int, above: Mapping[int, tuple[int, int]]
    ) -> tuple[S, Sequence[tuple[Label, Key, D]]]:
        """The state of that number, and its moves."""
        missing: list[int] = []
        while number not in self._kept:
            missing.append(number)
            number = above[number][0]
        state, moves = self._kept[number]
        for one in reversed(missing):
            state = self._space.after(state, moves[above[one][1]][2])
            moves = self._space.moves(state)
            self._kept[one] = (state, moves)
        if len(self._kept) > KEPT:
            for one in list(self._kept)[1 : KEPT // 2]:
                del self._kept[one]
        return state, moves


def walk(space: Space[S, D], turns: Sequence[int]) -> tuple[list[Label], list[S]]:
    """The moves of a path, and the states it goes through, the root first."""
    states, labels = [space.initial()], []
    for turn in turns:
        label, _, step = space.moves(states[-1])[turn]
        labels.append(label)
        states.append(space.after(states[-1], step))
    return labels, states
