"""The smallest part of a trace that cannot be put in order.

The shortest prefix that fails ends with the event that the search could not get past.  Of its calls
those are looked at that depend on the last one and do not all lie before what they depend on; what
lies before makes the states that the window can begin in.  Then calls are left out, one after the
other, as long as no order is found from any of these states.  A call that writes is not simply left
out: it may from then on happen at any time or never, with any result.  So what is left cannot be
ordered whatever the others did.
"""

import time
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec import Struct

from clusters.cluster import Actor
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.operations import NEVER, Operation, Vocabulary

ALSO_MAX: Final = 8
"""Calls that are shown although they are not needed."""
STATES_MAX: Final = 512
"""States that a window may begin in; with more it is shown as it is."""


class Window(Struct, frozen=True):
    """`operations` cannot be ordered before event `until`, from any of `states`.

    `last` is the call that has no place.  The calls of `also` touch the same things meanwhile, and
    whatever they do changes nothing; so do `others`, which are only counted.  Unless the window is
    the smallest, `cut` says why.
    """

    operations: tuple[Operation, ...]
    last: Operation
    until: int
    states: tuple[Actor, ...]
    also: tuple[Operation, ...]
    others: int
    cut: str = ""


class Failure(Struct, frozen=True):
    """A history, the state that it begins in, and what the search for an order came to."""

    operations: Sequence[Operation]
    actor: Actor
    found: Found


def window_of(failure: Failure, vocabulary: Vocabulary, budget: Budget) -> Window:
    """The window that ends with the event that no order gets past."""
    ends = time.monotonic() + budget.seconds
    until = failure.found.stuck
    prefix = [one for one in failure.operations if one.call.seq_invoke < until]
    last = next(one for one in prefix if any(step.before == until for step in one.steps))
    inside = closure(prefix, last)
    chosen = {one.steps[0].operation for one in inside}
    before = [one for one in prefix if one.steps[0].operation not in chosen]
    marks = 0
    for one in inside:
        marks |= one.footprint.reads
    search = Search(before, failure.actor, _left(budget, ends), vocabulary, until)
    found = search.run(STATES_MAX, marks)
    if found.reason:
        near = [one for one in inside if one.steps[-1].before > last.call.seq_invoke]
        cut = f"what lies before takes {found.reason}"
        return Window(tuple(near), last, until, (), (), len(inside) - len(near), cut)

    kept, cut = _Shrinking(vocabulary, found.finals, until, (budget, ends)).shrink(inside, last)
    also = meanwhile(inside, kept)
    others = len(inside) - len(kept) - len(also)
    return Window(tuple(kept), last, until, found.finals, tuple(also), others, cut)


def meanwhile(inside: Sequence[Operation], kept: Sequence[Operation]) -> list[Operation]:
    """The calls that write what those that are kept look at, while they do; not if too many."""
    found = [
        one
        for one in inside
        if one not in kept
        and one.footprint.writes
        and any(_overlap(one, other) and one.footprint.disturbs(other.footprint) for other in kept)
    ]
    return found if len(found) <= ALSO_MAX else []


def _overlap(one: Operation, other: Operation) -> bool:
    (begin, end), (start, stop) = [
        (call.seq_invoke, NEVER if call.seq_return is None else call.seq_return)
        for call in (one.call, other.call)
    ]
    return begin < stop and start < end


def closure(prefix: Sequence[Operation], last: Operation) -> list[Operation]:
    """The last call, and all that depend on one of these and do not end before it begins."""
    chosen, queue = {last.steps[0].operation}, [last]
    left = [one for one in prefix if one is not last]
    while queue:
        one = queue.pop()
        rest: list[Operation] = []
        for other in left:
            ended = other.call.seq_return
            if (ended is None or ended > one.call.seq_invoke) and other.footprint.disturbs(
                one.footprint
            ):
                chosen.add(other.steps[0].operation)
                queue.append(other)
            else:
                rest.append(other)
        left = rest
    return [one for one in prefix if one.steps[0].operation in chosen]


class _Shrinking:
    """Leaves calls out of a window as long as it still cannot be ordered."""

    def __init__(
        self,
        vocabulary: Vocabulary,
        states: tuple[Actor, ...],
        until: int,
        budget: tuple[Budget, float],
    ) -> None:
        self._vocabulary = vocabulary
        self._states = states
        self._until = until
        self._budget, self._ends = budget

    def shrink(self, inside: list[Operation], last: Operation) -> tuple[list[Operation], str]:
        """The calls that are needed, unless it was cut short."""
        kept, loose = list(inside), list[Operation]()
        size = max(1, len(kept) // 2)
        while True:
            at = 0
            while at < len(kept):
                part = [one for one in kept[at : at + size] if one is not last]
                free = self._loosened(part, last)
                rest = [one for one in kept if one not in part]
                fails = free is not None and bool(part) and self._fails([*rest, *loose, *free])
                if fails and free is not None:
                    kept, loose = rest, [*loose, *free]
                else:
                    at += size
                if time.monotonic() > self._ends:
                    return kept, "time was up before all had been tried without"
            if size == 1:
                return kept, ""
            size = max(1, size // 2)

    def _loosened(self, part: list[Operation], last: Operation) -> list[Operation] | None:
        """What these calls may still do; None: one of them cannot be loosened."""
        free: list[Operation] = []
        for one in part:
            if not any(step.footprint.writes for step in one.steps):
                continue
            loose = self._vocabulary.loosened(one, last)
            if loose is None:
                return None
            free.append(loose)
        return free

    def _fails(self, operations: list[Operation]) -> bool:
        """Whether it is sure that there is no order, from any state."""
        operations.sort(key=lambda one: one.call.seq_invoke)
        for state in self._states:
            budget = _left(self._budget, self._ends)
            found = Search(operations, state, budget, self._vocabulary, self._until).run()
            if found.order is not None or found.reason:
                return False
        return True


def _left(budget: Budget, ends: float) -> Budget:
    """What is left of the time."""
    return msgspec.structs.replace(budget, seconds=max(0.01, ends - time.monotonic()))
