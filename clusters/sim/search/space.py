"""What can be searched: states, and the moves that lead from each to the next.

A `Space` is to the search what an experiment is to a schedule.  The simulated world is one
(`world_space`), and so is each yardstick whose states others have counted (`experiments.models`).
States are values: nothing that is handed out is ever changed.
"""

from collections.abc import Hashable, Sequence
from typing import Protocol, TypeAlias, TypeVar

S = TypeVar("S")
"""A state."""
D = TypeVar("D")
"""What `after` needs to make the next state of a move."""

Label: TypeAlias = int
"""Which move it is; a space has words for its labels.  The same label, the same kind of move."""
Key: TypeAlias = Hashable
"""Stands for a state: two states with one key have the same future, up to exchanged names."""


class Space(Protocol[S, D]):
    """A transition system.

    `moves` lists what can happen in a state, in an order that only depends on the state: label, the
    key of the state that follows, and what `after` needs to make it.  The next state itself is only
    made of those that are new.
    """

    name: str

    def initial(self) -> S:
        """Where all begins."""

    def key(self, state: S) -> Key:
        """The key of a state."""

    def moves(self, state: S) -> Sequence[tuple[Label, Key, D]]:
        """What can happen; nothing: the state is an end."""

    def came(self) -> Sequence[str]:
        """The *sometimes* properties that the moves listed last would show."""

    def after(self, state: S, step: D) -> S:
        """The state that follows."""

    def wrong(self, state: S) -> str:
        """The property that is violated here, or ""; nothing is looked for behind such a state."""

    def owed(self, state: S) -> Sequence[str]:
        """The *eventually* properties that are not met yet; at an end they are violated."""

    def channel(self, label: Label) -> int:
        """Who makes the move: who can move for ever, does so at last.  -1: nobody has to."""

    def independent(self, state: S, one: Label, other: Label) -> bool:
        """Whether either order of two moves of a state leads to the same state.

        Each leaves the other possible and as it was.  False if that is not known.
        """

    def words(self, label: Label) -> str:
        """The words for a move."""
