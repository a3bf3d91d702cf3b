"""Breadth first by many: workers expand states, one process keeps what was found.

A worker is told the paths of the states it shall expand, and makes the states itself; it keeps
those it made last, so that their children cost it one step.  So that it has their parents, each
worker has a lane of its own: the first the first part of every level, and so on.  Keys and channels
are the same in every process, and what comes back is put in the order of the states: how many
workers there are, and whether one of them was killed, nobody can tell from the outcome.
"""

import gc
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from clusters.sim.search.breadth_first import CHUNK, Expand, Expanded, Here
from clusters.sim.search.delays import DelayedChanges, DelayedState, Delays
from clusters.sim.search.tree import Above, Tree
from clusters.sim.search.world_space import Changes, State, WorldSpace
from clusters.sim.world import Setup
from clusters.uncollected import uncollected
from clusters.workers import Workers
from protocol.names import Name


@dataclass(frozen=True)
class Scope:
    """What is searched: a setup, with the bounds that make its space.

    `alike`, `booted` and `told` are those of `WorldSpace`; `delays` at most, -1 for every order;
    `owing`: what is owed is wanted of every state.
    """

    setup: Setup
    alike: tuple[Name, ...] = ()
    booted: bool = True
    told: bool = True
    delays: int = -1
    owing: bool = False

    def world(self) -> WorldSpace:
        """The space of the world itself."""
        return WorldSpace(self.setup, self.alike, booted=self.booted, told=self.told)


LANE_MIN: Final = 64
"""States of a level that are worth a lane."""


@dataclass(frozen=True)
class Chunk:
    """States to be expanded, who has the ones around them, and where they all come from."""

    states: range
    lane: int
    above: Above


class Bench:
    """What a worker has at hand: the scope it worked for last, and the states it made there."""

    scope: Scope | None = None
    here: Here[State, Changes] | Here[DelayedState, DelayedChanges] | None = None


BENCH = Bench()


def expand(scope: Scope, chunk: Chunk) -> list[Expanded]:
    """A worker's job."""
    here = BENCH.here
    if BENCH.scope is not scope or here is None:
        world = scope.world()
        if scope.delays >= 0:
            here = Here(Delays(world, scope.delays), owing=scope.owing)
        else:
            here = Here(world, owing=scope.owing)
        BENCH.scope, BENCH.here = scope, here
    with uncollected():
        expanded = [here.expand(number, chunk.above) for number in chunk.states]
        gc.freeze()  # What is kept until the next chunk is not looked at then, either.
    return expanded


def there(workers: Workers, scope: Scope) -> Expand:
    """How a search has its states expanded by workers."""

    def expanded(states: range, tree: Tree) -> Generator[Sequence[Expanded], None, None]:
        lanes = max(1, min(workers.count, len(states) // LANE_MIN))
        jobs = (Chunk(part, lane, tree.above(part)) for lane, part in chunks(states, lanes))
        early: list[list[Sequence[Expanded]]] = [[] for _ in range(lanes)]
        answers = workers.map(expand, scope, jobs, lane_of)
        try:
            for k, answer in enumerate(answers):
                lane = k % lanes
                if lane == 0:
                    yield answer
                else:
                    early[lane].append(answer)
        finally:
            answers.close()
        for answers_of_lane in early:
            yield from answers_of_lane

    return expanded


def lane_of(chunk: Chunk) -> int:
    """Which worker has the parents of a chunk."""
    return chunk.lane


def chunks(states: range, lanes: int) -> Iterator[tuple[int, range]]:
    """A level in lanes, and each lane in the same number of chunks: one of each lane in turn."""
    rounds = -(-len(states) // (CHUNK * lanes))
    parts = rounds * lanes
    ends = [states.start + len(states) * k // parts for k in range(parts + 1)]
    for turn in range(rounds):
        for lane in range(lanes):
            at = lane * rounds + turn
            yield lane, range(ends[at], ends[at + 1])
