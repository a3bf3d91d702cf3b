"""What of a search one run has visited."""

from dataclasses import replace

import pytest

from clusters.sim.search.visited import Part, visited
from clusters.sim.tape import Choice, Deliver
from clusters.sim.world import Setup, simulate
from protocol.machine import Device, Machine, Unit, Vm
from protocol.plan import Plan, Step

MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"),),
    vms=(Vm("vm1", (("dsa0",),)),),
    quota=2,
)
STEPS = (Step("alloc", variable="p"), Step("free", variable="p"))
SETUP = Setup(MACHINE, {"vm1.guest": Plan(STEPS)})
STATES = 3_000


def choices(seed: int) -> tuple[Choice, ...]:
    return simulate(SETUP, seed).tape.choices


@pytest.mark.long
def test_a_run_is_counted_in_all_that_the_search_knows_always_in_the_same_way() -> None:
    found = visited(SETUP, choices(1), STATES)
    assert found == visited(SETUP, choices(1), STATES)
    assert found.whole
    assert found.left == 0
    assert found.states.visited == len(choices(1)) + 1 < found.states.of
    assert 0 < found.locals.visited < found.locals.of
    assert 0 < found.races.visited < found.races.of
    other = visited(SETUP, choices(2), STATES)
    # Whatever run it starts from, a search that comes to its end has found the same.
    assert (other.states.of, other.locals.of) == (found.states.of, found.locals.of)
    assert other.races.of == found.races.of


@pytest.mark.long
def test_the_nearest_races_are_named_and_one_that_is_then_decided_so_is_visited() -> None:
    found = visited(SETUP, choices(1), STATES)
    first, *_ = found.nearest
    assert first.distance == 0
    source = first.race.first.rpartition(" of ")[2]
    start = choices(1)[: first.step]
    turned = visited(SETUP, (*start, Deliver(source, first.race.actor)), STATES)
    assert turned.left == 0
    assert first.race not in [near.race for near in turned.nearest]


def test_a_bound_ends_the_search_around_the_run_and_is_said() -> None:
    found = visited(SETUP, choices(1), 60)
    assert not found.whole
    assert found.states == Part(len(choices(1)) + 1, 60)
    assert found.distance <= 1


@pytest.mark.parametrize("odd", [Deliver("dsa0", "vm1.guest"), Deliver("core", "core")])
def test_err_a_run_that_cannot_be_walked_says_at_which_step(odd: Choice) -> None:
    found = visited(replace(SETUP), (*choices(1)[:5], odd), 60)
    assert (found.steps, found.left) == (5, 6)
