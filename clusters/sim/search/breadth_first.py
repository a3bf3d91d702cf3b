"""Breadth first: every state, each once, nearest first; so what is found is as short as can be.

States are numbered as they are found.  The numbers only depend on the space: the states of a level
in their order, the moves of each in theirs.  So whoever expands them, one process or many, finds
the same states under the same numbers, and the same violation first.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar

from clusters.sim.search.graph import BOUNDS, Bounds, Found, Graph
from clusters.sim.search.space import Key, Label, Space
from clusters.sim.search.tree import MOVES_MAX, Maker, Origins, Tree

S = TypeVar("S")
D = TypeVar("D")

CHUNK: Final = 512
"""States that are expanded between two looks at the clock, or by a worker at a time, at most."""


class Expanded(NamedTuple):
    """One state: the property that is violated in it, what is owed, and its moves.

    `end`: nobody has to move there; `came`: *sometimes* properties that its moves show.  Of a move:
    the key it leads to, and its channel.
    """

    wrong: str
    end: bool
    owed: tuple[str, ...]
    came: Sequence[str]
    keys: list[Key]
    channels: list[int]


Expand: TypeAlias = Callable[[range, Tree], Generator[Sequence[Expanded], None, None]]
"""Expands the states of a level elsewhere, some at a time, in order; their tree is known."""


class BreadthFirst(Generic[S, D]):
    """A search that can be stopped and go on.

    `next` is the state that is expanded next, `ends` where the level of `depth` ends.  `there`
    expands states elsewhere; without it they are expanded here.
    """

    def __init__(
        self,
        space: Space[S, D],
        bounds: Bounds = BOUNDS,
        there: Expand | None = None,
        *,
        edges: bool = False,
    ) -> None:
        root = space.initial()
        self.space = space
        self.bounds = bounds
        self.graph = Graph(space.key(root), edges=edges)
        self.graph.came |= dict.fromkeys(space.came())
        self.next = 0
        self.depth = 0
        self.level_ends = 1
        self.end_count = 0
        self.found: Found | None = None
        self.unknown = ""
        """Why the search did not look at everything."""
        self._there = there
        self._coming: Generator[Sequence[Expanded], None, None] | None = None
        """What comes back from there, of this level."""
        self._some: Sequence[Expanded] = ()
        """What came and is not taken yet."""
        self._ahead: dict[int, S] = {0: root}
        """States that are found and not expanded yet."""
        self._maker: Maker[S, D] | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to do."""
        return self.found is not None or bool(self.unknown) or self.next == len(self.graph)

    def go_on(self) -> None:
        """Expand some states."""
        if self._there is not None:
            self._take_some()
        else:
            for number in range(self.next, min(self.next + CHUNK, self.level_ends)):
                self._expand(number)
                if self._full():
                    break
        if self.next == self.level_ends < len(self.graph) and not self.done:
            self._next_level()

    def wait(self) -> None:
        """Until what is expanded elsewhere can be taken: it may be interrupted, `go_on` may not."""
        if self._there is None or self._some or self.done:
            return
        if self._coming is None:
            self._coming = self._there(range(self.next, self.level_ends), self.graph.tree)
        self._some = next(self._coming)

    def _full(self) -> bool:
        """Whether it ends with the state that was just expanded; looked at after each.

        So it does not matter how many are expanded at a time.
        """
        if self.found is None and len(self.graph) >= self.bounds.states and not self.done:
            self.unknown = f"the bound of {self.bounds.states:,} states was reached"
        return self.found is not None or bool(self.unknown)

    def send(self, there: Expand) -> None:
        """From here on states are expanded elsewhere."""
        self._there = there

    def forget(self) -> None:
        """Keep no state; what lies ahead is made again from its path."""
        self._ahead.clear()

    def close(self) -> None:
        """Nothing more is wanted from elsewhere."""
        if self._coming is not None:
            self._coming.close()
            self._coming = None

    def _take_some(self) -> None:
        """Take what comes next of this level; what lies beyond a violation is thrown away."""
        self.wait()
        for one in self._some:
            self._take(self.next, one)
            if self._full():
                self.close()
                break
        self._some = ()

    def _next_level(self) -> None:
        self.close()
        if 0 < self.bounds.depth <= self.depth:
            self.unknown = f"the bound of {self.bounds.depth:,} steps was reached"
            return
        self.depth += 1
        self.level_ends = len(self.graph)

    def _expand(self, number: int) -> None:
        """One state, here.  All that counts is written down at its end."""
        space, graph, ahead = self.space, self.graph, self._ahead
        state = ahead.get(number)
        if state is None:
            state = self._made(number)
        if self._judge(number, space.wrong(state), ()):
            return
        seen, parents, turns = graph.seen, graph.tree.parents, graph.tree.turns
        moves = space.moves(state)
        came = space.came()
        for turn, (_, key, step) in enumerate(moves):
            if key not in seen:
                seen[key] = child = len(parents)
                parents.append(number)
                turns.append(turn)
                ahead[child] = space.after(state, step)
        self._close(number, state, moves, came)

    def _close(
        self, number: int, state: S, moves: Sequence[tuple[Label, Key, D]], came: Sequence[str]
    ) -> None:
        """A state is expanded: whether it is an end, and what is owed."""
        space, graph = self.space, self.graph
        channel = space.channel
        end = not any(channel(label) >= 0 for label, _, _ in moves)
        edges = graph.edges
        owed = tuple(space.owed(state)) if end or edges is not None else ()
        if edges is not None:
            seen = graph.seen
            targets = [seen[key] for _, key, _ in moves]
            edges.add(targets, [channel(label) for label, _, _ in moves], owed)
        graph.moves += len(moves)
        graph.came |= dict.fromkeys(came)
        self.end_count += end
        self.next = number + 1
        self._ahead.pop(number, None)
        if end:
            self._judge(number, "", owed)

    def _take(self, number: int, one: Expanded) -> None:
        """One state that was expanded elsewhere."""
        if self._judge(number, one.wrong, ()):
            return
        graph = self.graph
        seen, parents, turns = graph.seen, graph.tree.parents, graph.tree.turns
        for turn, key in enumerate(one.keys):
            if key not in seen:
                seen[key] = len(parents)
                parents.append(number)
                turns.append(turn)
        if graph.edges is not None:
            graph.edges.add([seen[key] for key in one.keys], one.channels, one.owed)
        graph.moves += len(one.keys)
        graph.came |= dict.fromkeys(one.came)
        self.end_count += one.end
        self.next = number + 1
        if one.end:
            self._judge(number, "", one.owed)

    def _judge(self, number: int, wrong: str, owed: tuple[str, ...]) -> bool:
        """Whether the state is what was looked for."""
        if wrong:
            self.found = Found(number, wrong)
        elif owed:
            name, _, sentence = owed[0].partition(": ")
            self.found = Found(number, name, sentence)
        return self.found is not None

    def _made(self, number: int) -> S:
        """A state of which nothing is left but its path: the search was stopped meanwhile."""
        if self._maker is None:
            self._maker = Maker(self.space)
        return self._maker.expand(number, self.graph.tree).state


class Here(Generic[S, D]):
    """Expands states by their paths: what a worker does."""

    __slots__ = ("_maker", "_owing", "_space")

    def __init__(self, space: Space[S, D], *, owing: bool) -> None:
        self._space = space
        self._maker = Maker(space)
        self._owing = owing
        """Whether what is owed is wanted of every state, or of ends only."""

    def expand(self, number: int, origins: Origins) -> Expanded:
        """One state; `origins` knows where it and all above it come from."""
        space = self._space
        state, moves, came = self._maker.expand(number, origins)
        wrong = space.wrong(state)
        if wrong:
            return Expanded(wrong, end=False, owed=(), came=(), keys=[], channels=[])
        assert len(moves) <= MOVES_MAX, f"a state has more than {MOVES_MAX} moves"
        channels = [space.channel(label) for label, _, _ in moves]
        end = not any(channel >= 0 for channel in channels)
        owed = tuple(space.owed(state)) if end or self._owing else ()
        return Expanded("", end, owed, came, [key for _, key, _ in moves], channels)
