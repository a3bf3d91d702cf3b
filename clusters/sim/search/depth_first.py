"""Depth first, with sleep sets: every state, and of the moves only those that make a difference.

Two moves that are independent lead to the same state in either order.  Of a state's moves, one that
was tried goes to sleep in the states behind its later siblings, until something wakes it that is
not independent of it.  A state keeps the moves that slept when it was expanded; if it is reached
again with fewer asleep, those that were missed are made up for.

Source: Godefroid, LNCS 1032, 1996 (with state matching: chapter 5).
"""

from typing import Final, Generic, NamedTuple, TypeVar

from clusters.sim.search.graph import BOUNDS, Bounds, Found, Graph
from clusters.sim.search.space import Label, Space

S = TypeVar("S")
D = TypeVar("D")

STEPS: Final = 2_048
"""Moves between two looks at the clock."""


class Todo(NamedTuple, Generic[S]):
    """A state on the stack: its moves that are still to be tried, and those that sleep there."""

    number: int
    state: S
    turns: list[int]
    asleep: dict[Label, None]


class DepthFirst(Generic[S, D]):
    """A search that can be stopped and go on.  Without `sleeps` all moves are tried.

    At its bound of steps it turns back.  A state that it reached there is not gone on from, even if
    there is a shorter way to it: what it then says is *unknown*.
    """

    def __init__(self, space: Space[S, D], bounds: Bounds = BOUNDS, *, sleeps: bool = True) -> None:
        root = space.initial()
        self.space = space
        self.bounds = bounds
        self.graph = Graph(space.key(root), edges=False)
        self.graph.came |= dict.fromkeys(space.came())
        self.end_count = 0
        self.depth = 0
        """Of the deepest state so far."""
        self.found: Found | None = None
        self.unknown = ""
        self._cut = False
        """Whether a state was too deep to be gone on from."""
        self.looped = False
        """Whether a run can come back to where it was."""
        self._on_stack: dict[int, int] = {}
        """How often a state is on the stack."""
        self._sleeps = sleeps
        self._asleep: list[dict[Label, None]] = [{}]
        """By state: what slept when it was expanded last."""
        self._stack: list[Todo[S]] = []
        self._enter(0, root, {}, None)

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.found is not None or bool(self.unknown) or not self._stack

    def go_on(self) -> None:
        """Try some moves."""
        for _ in range(STEPS):
            if self.done:
                return
            self._move()
            if self._cut and not self._stack:
                self.unknown = f"the bound of {self.bounds.depth:,} steps was reached"
            if len(self.graph) >= self.bounds.states and not self.done:
                self.unknown = f"the bound of {self.bounds.states:,} states was reached"

    def _move(self) -> None:
        top = self._stack[-1]
        if not top.turns:
            self._stack.pop()
            self._on_stack[top.number] -= 1
            return
        turn = top.turns.pop()
        moves = self.space.moves(top.state)
        label, key, step = moves[turn]
        asleep: dict[Label, None] = {}
        if self._sleeps:
            independent = self.space.independent
            asleep = {one: None for one in top.asleep if independent(top.state, one, label)}
            top.asleep[label] = None
        self.graph.moves += 1
        seen = self.graph.seen
        number = seen.get(key)
        if number is None:
            tree = self.graph.tree
            number = seen[key] = len(tree)
            tree.parents.append(top.number)
            tree.turns.append(turn)
            self._asleep.append(asleep)
            self._enter(number, self.space.after(top.state, step), asleep, None)
            return
        self.looped = self.looped or self._on_stack.get(number, 0) > 0
        before = self._asleep[number]
        missed = [one for one in before if one not in asleep]
        if missed:
            self._asleep[number] = {one: None for one in before if one in asleep}
            self._enter(number, self.space.after(top.state, step), asleep, missed)

    def _enter(
        self, number: int, state: S, asleep: dict[Label, None], only: list[Label] | None
    ) -> None:
        """Onto the stack, with all moves that do not sleep, or with some that were missed."""
        space = self.space
        wrong = space.wrong(state)
        if wrong:
            self.found = Found(number, wrong)
            return
        moves = space.moves(state)
        self.graph.came |= dict.fromkeys(space.came())
        if only is None and not any(space.channel(label) >= 0 for label, _, _ in moves):
            self.end_count += 1
            owed = space.owed(state)
            if owed:
                name, _, sentence = owed[0].partition(": ")
                self.found = Found(number, name, sentence)
                return
        turns = [
            turn
            for turn, (label, _, _) in enumerate(moves)
            if (label not in asleep if only is None else label in only)
        ]
        self.depth = max(self.depth, len(self._stack))
        if turns and 0 < self.bounds.depth <= len(self._stack):
            self._cut = True
            return
        self._stack.append(Todo(number, state, turns[::-1], dict(asleep)))
        self._on_stack[number] = self._on_stack.get(number, 0) + 1
