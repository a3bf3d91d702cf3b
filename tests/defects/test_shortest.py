"""The shortest story of a planted defect is the same whether it is searched for or shrunk to.

Nothing is shorter: the search looks at every state.  A schedule that some strategy found is made
small by itself, and then by the search's help; both come to as many deliveries.
"""

from dataclasses import replace
from typing import Final

import pytest

from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.search import BREADTH_FIRST
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.shrink import Aids, ShrinkBudget, deliveries, shrink
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from tests.defects.planted import PLANTED, Planted

pytestmark = pytest.mark.long

STATES: Final = 30_000
SCHEDULES: Final = 200
NAMES: Final = (
    "entries-cleared-before-reclaim",
    "slots-cleared-before-reclaim",
    "driver-done-before-reclaim",
    "no-reference-while-pending",
    "unbind-names-the-bound-spid",
    "contexts-hold-references",
    "quotas-add-up",
    "private-data-kept",
    "no-chained-notification",
    "no-use-after-free",
    "freed-pasids-are-reclaimed",
    "vm-entry-lifted",
)
CHOSEN: Final = {one.property: one for one in PLANTED if one.property in NAMES}


def shortest(setup: Setup, wanted: str) -> Tape:
    """By a search of every order, also of the boot."""
    only = tuple(each for each in setup.properties if each.name == wanted)
    space = WorldSpace(replace(setup, properties=only))
    search = BreadthFirst(space)
    while not search.done:
        search.go_on()
    assert search.found is not None
    assert len(search.graph) < STATES
    labels, _ = walk(space, search.graph.tree.path(search.found.state))
    return tape_of(BREADTH_FIRST, space, labels)


def found_by_chance(setup: Setup, wanted: str) -> RunResult:
    """The first random schedule that violates it."""
    for seed in range(SCHEDULES):
        result = simulate(setup, seed)
        if [one.property for one in result.violations][:1] == [wanted]:
            return result
    raise AssertionError(f"{wanted} was not found")


@pytest.mark.parametrize("name", NAMES)
def test_search_and_shrinking_come_to_the_same_shortest_story(name: str) -> None:
    one: Planted = CHOSEN[name]
    setup = replace(one.stage.setup(), classes=one.classes)
    tape = shortest(setup, name)
    assert [violation.property for violation in replay(setup, tape).violations][:1] == [name]
    first = found_by_chance(setup, name)
    aids = Aids(shortest=shortest)
    small = shrink(setup, first.tape, name, ShrinkBudget(tries=1_500), aids)
    assert small.minimal
    assert deliveries(small.tape) == deliveries(tape)
    alone = shrink(setup, first.tape, name, ShrinkBudget(tries=1_500))
    assert deliveries(tape) <= deliveries(alone.tape) <= deliveries(first.tape)


def test_the_sound_actors_have_no_story_at_all() -> None:
    """The same machine and script, the same search: nothing, in every order."""
    for name in ("entries-cleared-before-reclaim", "no-reference-while-pending"):
        space = WorldSpace(CHOSEN[name].stage.setup(), booted=True)
        search = BreadthFirst(space)
        while not search.done:
            search.go_on()
        assert (search.found, search.unknown) == (None, "")
