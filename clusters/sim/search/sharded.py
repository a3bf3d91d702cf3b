"""Breadth first by many: workers expand states, one process keeps what was found.

A worker is told the paths of the states it shall expand, and makes the states itself; it keeps
those it made last, so that their children cost it one step.  Keys and channels are the same in
every process, and answers come in the order of the states: how many workers there are, and whether
one of them was killed, nobody can tell from the outcome.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from clusters.sim.search.breadth_first import Expand, Expanded, Here
from clusters.sim.search.delays import DelayedChanges, DelayedState, Delays
from clusters.sim.search.tree import Tree
from clusters.sim.search.world_space import Changes, State, WorldSpace
from clusters.sim.world import Setup
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


@dataclass(frozen=True)
class Chunk:
    """States to be expanded, and parent and turn of them and of all above them."""

    states: range
    above: dict[int, tuple[int, int]]


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
    return [here.expand(number, chunk.above) for number in chunk.states]


def there(workers: Workers, scope: Scope) -> Expand:
    """How a search has its states expanded by workers."""

    def expanded(chunks: Iterable[range], tree: Tree) -> Generator[Sequence[Expanded], None, None]:
        jobs: Iterator[Chunk] = (Chunk(chunk, tree.above(chunk)) for chunk in chunks)
        yield from workers.map(expand, scope, jobs)

    return expanded
