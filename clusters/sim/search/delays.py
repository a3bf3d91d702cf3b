"""A space in which things happen in the plain order, but for a few delays.

What could be delivered first is delivered first.  A delay holds a channel back until nothing else
can happen; there may be so many of them on a path.  Faults strike at any moment and cost nothing.
So a large space can be searched in part, and the part has a name: all schedules with at most so
many delays.  Most bugs need no more than one or two.

Source: Emmi, Qadeer, Rakamaric, POPL 2011; here with states that are recognised.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple, TypeAlias

from clusters.sim.search.space import Key, Label
from clusters.sim.search.world_space import Changes, Move, State, WorldSpace


class Queue(NamedTuple):
    """The channels that wait for their turn, those that are held back, and the delays left."""

    turn: tuple[int, ...]
    held: tuple[int, ...]
    left: int


DelayedState: TypeAlias = tuple[State, Queue]
DelayedChanges: TypeAlias = tuple[Changes, Queue]
DelayedMove: TypeAlias = tuple[Label, Key, DelayedChanges]


class Delays:
    """The space `inner` with at most `bound` delays; its labels and words are the inner ones.

    Whose turn it is, is said by name: so no names may be exchanged in `inner`.
    """

    def __init__(self, inner: WorldSpace, bound: int) -> None:
        assert not inner.parts.exchanges, "a queue has names that symmetry does not exchange"
        self.name = inner.name
        self.inner = inner
        self.bound = bound

    def initial(self) -> DelayedState:
        return self.inner.initial(), Queue((), (), self.bound)

    def key(self, state: DelayedState) -> Hashable:
        return (self.inner.key(state[0]), state[1])

    def moves(self, state: DelayedState) -> list[DelayedMove]:
        inner, queue = state
        heads = self.inner.heads(inner)
        queued = _with_new(queue, list(heads))
        found: list[DelayedMove] = [
            (label, (key, queued), (step, queued)) for label, key, step in self.inner.losing(inner)
        ]
        for first, after in _turns(queued):
            moves: list[Move] = []
            self.inner.delivering(inner, *heads[first], moves)
            found += [(label, (key, after), (step, after)) for label, key, step in moves]
        return found

    def came(self) -> Sequence[str]:
        return self.inner.came()

    def after(self, state: DelayedState, step: DelayedChanges) -> DelayedState:
        return self.inner.after(state[0], step[0]), step[1]

    def wrong(self, state: DelayedState) -> str:
        return self.inner.wrong(state[0])

    def owed(self, state: DelayedState) -> Sequence[str]:
        return self.inner.owed(state[0])

    def channel(self, label: Label) -> int:
        return self.inner.channel(label)

    def independent(self, state: DelayedState, one: Label, other: Label) -> bool:
        """Never: another order is another number of delays."""
        return False

    def words(self, label: Label) -> str:
        return self.inner.words(label)


def _with_new(queue: Queue, enabled: list[int]) -> Queue:
    """Without those that cannot deliver any more, and the new ones behind the old."""
    turn = [channel for channel in queue.turn if channel in enabled]
    held = [channel for channel in queue.held if channel in enabled]
    turn += [channel for channel in enabled if channel not in turn and channel not in held]
    return Queue(tuple(turn), tuple(held), queue.left)


def _turns(queue: Queue) -> list[tuple[int, Queue]]:
    """Whose turn it can be, with up to as many delays as are left, and the queue after that."""
    turn, held = list(queue.turn), list(queue.held)
    found: list[tuple[int, Queue]] = []
    for left in range(queue.left, -1, -1):
        if not turn:
            turn, held = held, []
        if not turn:
            break
        found.append((turn[0], Queue(tuple(turn[1:]), tuple(held), left)))
        if len(turn) + len(held) == 1:
            break
        held.append(turn.pop(0))
    return list({first: (first, after) for first, after in reversed(found)}.values())[::-1]
