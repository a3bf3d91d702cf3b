"""The shortest story of what is wrong with a revision: found by search, and come to by shrinking.

The search looks at every state, so nothing is shorter; a schedule that chance has found is made
small by itself.
"""

from dataclasses import dataclass, replace
from typing import Final

import pytest

from clusters.lineup import SOUND, Lineup
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.search import BREADTH_FIRST
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.shrink import ShrinkBudget, deliveries, shrink
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from experiments.harness.comparing import published
from protocol.machine import IOASID
from tests.revisions.played import guests
from tests.worlds import world_of

pytestmark = pytest.mark.long

STATES: Final = 30_000
SCHEDULES: Final = 200
FREE: Final = "p = alloc, bind p dsa0, free p"


@dataclass(frozen=True)
class Story:
    """What is played by whom, the property that is judged, and the length of its shortest story."""

    revision: str
    property: str
    text: str
    deliveries: int
    booted: bool = False

    def setup(self, revision: str) -> Setup:
        """With no other property."""
        setup = world_of(self.text, Lineup(revision).classes())
        only = tuple(one for one in setup.properties if one.name == self.property)
        return replace(setup, properties=only)


STORIES: Final = (
    # S4: two locks and two guests, neither is enough.
    Story("v1", "no-deadlock", guests(FREE, "p = alloc, bind p dsa0"), 86, booted=True),
    # S17: nobody is told, and both wait for ever.
    Story("v3", "freed-pasids-are-reclaimed", guests(FREE, FREE), 94, booted=True),
    # S19: UNBIND does not concern a dedicated WQ, and the guest does not disable it.
    Story(
        "v4",
        "freed-pasids-are-reclaimed",
        guests("p = alloc, bind p dsa0, enable p dsa0, free p", "p = alloc", wq="dedicated"),
        122,
        booted=True,
    ),
    # S25d: an interrupt entry is never put.
    Story(
        "dcp",
        "freed-pasids-are-reclaimed",
        guests("p = alloc, bind p dsa0, ims p dsa0, unims dsa0, free p", "p = alloc"),
        126,
        booted=True,
    ),
    # S6, S20, S25c: one guest is enough.
    Story("v1", "translations-cleared-before-reclaim", guests(FREE), 74),
    Story("v4", "atomic-code-never-sleeps", guests(FREE), 66),
    Story(
        "dcp",
        "driver-done-before-reclaim",
        guests("p = alloc, bind p dsa0, enable dsa0, free p"),
        95,
    ),
    # S19: the global chain goes first, and with it the driver.
    Story("v2", "subscribers-called-in-order", guests(FREE), 41),
    # S6, and what counting without FREE_PENDING and FREE makes of it: nobody is told, and the
    # number stays out for ever.
    Story("linux-5.8", "entries-cleared-before-reclaim", guests(FREE), 46),
    Story("linux-5.11", "freed-pasids-are-reclaimed", guests(FREE), 48),
    Story("linux-5.15", "freed-pasids-are-reclaimed", guests(FREE), 48),
    Story("linux-5.18", "freed-pasids-are-reclaimed", guests(FREE), 48),
    Story("linux-6.1", "entries-cleared-before-reclaim", guests(FREE), 48),
)
"""Where a second guest only boots, it would boot in the search and not in what is shrunk."""


def name_of(story: Story) -> str:
    """Who breaks what."""
    return f"{story.revision}-{story.property}"


def searched(setup: Setup, *, booted: bool) -> Tape:
    """Nothing is shorter; of orders of the boot, unless it is over already."""
    space = WorldSpace(setup, booted=booted)
    search = BreadthFirst(space)
    while not search.done:
        search.go_on()
    assert search.found is not None
    assert len(search.graph) < STATES
    labels, _ = walk(space, search.graph.tree.path(search.found.state))
    return tape_of(BREADTH_FIRST, space, labels)


def by_chance(setup: Setup) -> RunResult:
    """The first random schedule that violates it."""
    for seed in range(SCHEDULES):
        result = simulate(setup, seed)
        if result.violations:
            return result
    raise AssertionError("not found")


@pytest.mark.parametrize("story", STORIES, ids=name_of)
def test_search_and_shrinking_come_to_the_same_shortest_story(story: Story) -> None:
    setup = story.setup(story.revision)
    tape = searched(setup, booted=story.booted)
    said = [violation.property for violation in replay(setup, tape).violations]
    assert said[:1] == [story.property]
    assert deliveries(tape) == story.deliveries
    small = shrink(setup, by_chance(setup).tape, story.property, ShrinkBudget(tries=1_500))
    assert deliveries(small.tape) == story.deliveries


def test_every_revision_has_its_story() -> None:
    assert {story.revision for story in STORIES} == {*published(IOASID)} - {SOUND}


def test_the_sound_protocol_has_no_deadlock_in_any_order() -> None:
    setup = STORIES[0].setup("sound")
    search = BreadthFirst(WorldSpace(setup, booted=True))
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
