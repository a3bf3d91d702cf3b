"""What `bench` measures of our own search engine and of our own shrinker."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.graph import Bounds
from clusters.sim.search.space import D, S, Space
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.shrink import ShrinkBudget, shrink
from clusters.sim.strategies import Order
from clusters.sim.world import Setup, follow
from experiments.harness.bench_search import searches, shrinking, world_search
from experiments.harness.config import load
from experiments.harness.measuring import Effort, Measurement
from experiments.harness.setup import setup_of
from experiments.models.refcount import MODEL_C, NoBindAfterRetire

FILE: Final = Path(__file__).resolve().parents[1] / "ioasid" / "free_before_unbind.toml"
OPERATIONS: Final = 2
"""Of each guest: chance has a say in each."""
STARVING: Final = Order("pct-1-0", 1)
"""A schedule that starves a user, so that model C's mistake shows."""


def engine(space: Space[S, D], bounds: Bounds | None = None) -> int:
    """How many states our own search finds."""
    search = BreadthFirst(space, bounds or Bounds())
    while not search.done:
        search.go_on()
    assert search.found is None, f"the search found {search.found}"
    return len(search.graph)


def engines(effort: Effort) -> Iterator[Measurement]:
    """Two-phase commit, our own actors, and a shrink."""
    yield from searches(engine, effort)
    bounded = partial(engine, bounds=Bounds(states=effort.states))
    yield world_search("own actors, one guest lost", bounded, own_actors, effort)
    setup, order = MODEL_C, STARVING
    tape = follow(setup, order)[0].tape
    budget = ShrinkBudget(tries=effort.tries)
    small = partial(shrink, setup, tape, NoBindAfterRetire.name, budget)
    name = f"shrink model C in {effort.tries:,} tries"
    yield shrinking(name, small, partial(replay, setup, tape), effort)


def own_actors() -> WorldSpace:
    """`free_before_unbind` with its two guests, of which one may be lost at any moment."""
    experiment = load(FILE, (f"guests.operations={OPERATIONS}",))
    setup = setup_of(experiment, "bench")
    lossy = Setup(
        machine=setup.machine,
        plans=setup.plans,
        properties=setup.properties,
        nemeses=(Nemesis("lose", "guest", times=1),),
    )
    return WorldSpace(lossy, booted=True, told=True)
