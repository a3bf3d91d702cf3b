"""Calls as operations of an actor: what goes in, what must come out, and between which moments.

An operation is a chain of steps.  The first is the request; each later one is the answer to a
question that the actor asked outwards (a recorded callback), and the last brings the reply.  A step
may happen after the event that makes it possible and must happen before the next recorded one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeAlias

from msgspec import Struct

from clusters.cluster import Actor
from clusters.conformance.calls import Call, Value, shown
from protocol.effects import Send
from protocol.errors import ExperimentError
from protocol.messages import AnyMessage
from protocol.names import Name

NEVER: Final = 1 << 62
"""The deadline of what need not have happened."""


class Footprint(Struct, frozen=True):
    """What an operation reads and writes, as sets of bits.

    Two of which neither writes what the other reads or writes come to the same in either order.
    What is `fresh` after it has nothing to do with what was there.
    """

    reads: int
    writes: int
    fresh: int = 0

    def disturbs(self, other: "Footprint") -> bool:
        """Whether their order may matter."""
        return bool(self.writes & (other.reads | other.writes) or other.writes & self.reads)


NOTHING: Final = Footprint(0, 0)
EVERYTHING: Final = Footprint(0, -1)

Expected: TypeAlias = Callable[[AnyMessage], Value]


class Step(Struct, frozen=True, gc=False):
    """`message` goes from `sender` to the actor, after event `after` and before event `before`.

    Then it must ask `asks`, if anything; else what it answers, as `reads_as` says it, is `ret`.
    With neither, any answer is right, but no question: that would have been recorded.  It `fails`:
    there is no memory for whatever it needs.
    """

    operation: int
    sender: Name
    message: AnyMessage
    after: int
    before: int
    footprint: Footprint
    asks: Send | None = None
    reads_as: Expected | None = None
    ret: Value = None
    early: bool = False
    pure: bool = False
    fails: bool = False


class Operation(Struct, frozen=True):
    """A call and its callbacks as steps."""

    call: Call
    callbacks: tuple[Call, ...]
    steps: tuple[Step, ...]

    @property
    def footprint(self) -> Footprint:
        """Of all of it."""
        return self.steps[0].footprint

    @property
    def ended(self) -> bool:
        """Whether its return was recorded."""
        return self.call.seq_return is not None


class Vocabulary(Protocol):
    """What the calls of an interface are as messages of an actor."""

    @property
    def calls(self) -> Sequence[str]:
        """The calls that are operations."""

    @property
    def callbacks(self) -> Sequence[str]:
        """The calls that an operation makes outwards."""

    def operation(self, at: int, call: Call, callbacks: tuple[Call, ...]) -> Operation:
        """The steps of a call, which is operation number `at`."""

    def without(self, actor: Actor, needed: int) -> Actor:
        """A copy that has forgotten what only bits that are not needed say."""

    def state(self, actor: Actor, operations: Iterable[Operation]) -> list[str]:
        """What an actor remembers that these calls are about, in lines of text."""

    def loosened(self, operation: Operation) -> Operation | None:
        """The same call at any time or never, with any result; None: that cannot be said."""


def unknown_calls(calls: Iterable[Call], vocabulary: Vocabulary) -> Counter[str]:
    """The calls that have no place in the model, counted by name.

    A known call inside an unknown one is part of that one, and not counted.
    """
    known = {*vocabulary.calls, *vocabulary.callbacks}
    return Counter(call.call for call in calls if call.call not in known)


def operations_of(calls: Sequence[Call], vocabulary: Vocabulary) -> list[Operation]:
    """Every known call that is not inside another, in the order of entry."""
    inside: dict[int, list[Call]] = {}
    outermost = {call.n for call in calls if call.parent is None}
    for call in calls:
        if call.parent is None:
            continue
        if call.parent not in outermost:
            raise ExperimentError(f"call {call.n} ({call.call}): is inside another call's callback")
        inside.setdefault(call.parent, []).append(call)
    made: list[Operation] = []
    for call in calls:
        if call.parent is None and call.call in vocabulary.calls:
            callbacks = tuple(inside.get(call.n, ()))
            made.append(vocabulary.operation(len(made), call, callbacks))
    return made


def lanes_of(operations: Iterable[Operation]) -> list[list[Operation]]:
    """Operations one after the other: those of a task, unless it was interrupted by itself."""
    lanes: list[list[Operation]] = []
    last: dict[tuple[str, int], list[list[Operation]]] = {}
    for operation in operations:
        call = operation.call
        mine = last.setdefault((call.task, call.pid), [])
        for lane in mine:
            before = lane[-1].call.seq_return
            if before is not None and before < call.seq_invoke:
                lane.append(operation)
                break
        else:
            mine.append([operation])
            lanes.append(mine[-1])
    return lanes


def described(operation: Operation) -> str:
    """A call as one writes it, with what it returned."""
    call = operation.call
    ret = call.ret if operation.ended else "(did not return)"
    return f"{shown(call)} = {ret}"
