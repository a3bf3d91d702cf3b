"""What a history still has before it: what will be looked at, and when nobody is in a call."""

from bisect import bisect_left
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Final

from clusters.conformance.operations import NEVER, Step

HORIZON: Final = 256
"""Steps that are looked ahead; what is undecided after them counts as needed."""
KEPT_MAX: Final = 4096


class Needs:
    """Which bits will be read before they are fresh, by what has been done.

    A bit is not needed if every call that reads it comes after the return of one that makes it
    fresh, and that has not happened yet.
    """

    __slots__ = ("_all", "_kept", "_lanes", "_steps")

    def __init__(self, lanes: Sequence[Sequence[Step]]) -> None:
        places = [
            (step.after, lane, at)
            for lane, steps in enumerate(lanes)
            for at, step in enumerate(steps)
            if step.after < NEVER
        ]
        self._lanes = lanes
        self._all = 0
        for steps in lanes:
            for step in steps:
                self._all |= step.footprint.fresh
        self._steps = sorted(places)
        self._kept: dict[tuple[int, ...], int] = {}

    def after(self, progress: Sequence[int]) -> int:
        """The bits that are needed when so much has been done of each lane."""
        key = tuple(progress)
        needed = self._kept.get(key)
        if needed is None:
            if len(self._kept) >= KEPT_MAX:
                self._kept.clear()
            needed = self._kept[key] = self._needed(key)
        return needed

    def _needed(self, progress: tuple[int, ...]) -> int:
        """By looking ahead: a bit is decided by who comes first, a reader or a return."""
        everything, needed, killed = self._all, 0, 0
        returns: list[tuple[int, int]] = []
        first = min(lane[at].after for lane, at in zip(self._lanes, progress, strict=True))
        begin = bisect_left(self._steps, (first,))
        end = begin + HORIZON
        for after, lane, at in self._steps[begin:end]:
            if at < progress[lane]:
                continue
            while returns and returns[0][0] < after:
                killed |= heappop(returns)[1]
            step = self._lanes[lane][at]
            mark = step.footprint
            needed |= mark.reads & ~killed
            if mark.fresh and self._lanes[lane][at + 1].operation != step.operation:
                heappush(returns, (step.before, mark.fresh))
            if not everything & ~(needed | killed):
                return needed
        return needed if end >= len(self._steps) else needed | everything & ~killed


def quiet_moments(lanes: Sequence[Sequence[Step]]) -> frozenset[int]:
    """How many steps lie before each moment at which no call is open."""
    calls: list[tuple[int, int, int]] = []
    for lane in lanes:
        begin = 0
        for at, step in enumerate(lane):
            if step.operation != lane[begin].operation:
                calls.append((lane[begin].after, lane[at - 1].before, at - begin))
                begin = at
    moments: list[int] = []
    done = latest = 0
    for begins, ends, steps in sorted(calls):
        if begins > latest:
            moments.append(done)
        done, latest = done + steps, max(latest, ends)
    return frozenset(moments)
