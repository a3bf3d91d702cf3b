"""The proofs that are shipped hold: every state within their bounds, and no rule is broken."""

from pathlib import Path
from typing import Final

import pytest

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.cycles import fair_cycle
from clusters.sim.search.delays import Delays
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.strategies import prepared
from experiments.harness.config import load
from experiments.harness.setup import setup_of

ROOT: Final = Path(__file__).resolve().parents[2] / "experiments" / "ioasid"


def space_of(name: str) -> WorldSpace:
    experiment = load(ROOT / f"{name}.toml")
    setup = prepared(setup_of(experiment, name), experiment.explore.strategy)
    return WorldSpace(setup, booted=True, told=True)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_guests_of_whom_one_is_lost_are_proved_with_one_delay() -> None:
    space = space_of("proof_two_guests")
    search = BreadthFirst(Delays(space, 1), edges=True)
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
    assert len(search.graph) == 410_657, "another number is another protocol, or another search"
    assert search.graph.edges is not None
    assert fair_cycle(search.graph.edges, len(search.graph)) is None
    assert sorted(search.graph.came) == ["free-while-bound", "late-unbind", "vm-lost-while-bound"]


def test_one_guest_that_is_not_lost_is_proved_in_every_order() -> None:
    """What `proof_one_guest_lost` proves in a minute, without the loss."""
    experiment = load(ROOT / "proof_one_guest_lost.toml")
    setup = setup_of(experiment, "proof")
    space = WorldSpace(setup, booted=True)
    space.strikes.bounds[0] = 0
    search = BreadthFirst(space, edges=True)
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
    assert search.graph.edges is not None
    assert fair_cycle(search.graph.edges, len(search.graph)) is None


@pytest.mark.long
def test_a_kvm_that_loses_its_memory_at_any_moment_is_proved_in_every_order() -> None:
    space = space_of("proof_kvm_forgets")
    assert space.strikes.bounds == [1]
    search = BreadthFirst(space, edges=True)
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
    assert search.graph.edges is not None
    assert fair_cycle(search.graph.edges, len(search.graph)) is None
    assert len(search.graph) == 4_320, "another number is another protocol, or another search"


@pytest.mark.long
def test_a_device_that_is_reset_and_pulled_out_is_proved_with_one_delay() -> None:
    space = space_of("proof_device_faults")
    assert space.strikes.bounds == [1, 1]
    search = BreadthFirst(Delays(space, 1), edges=True)
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
    assert search.graph.edges is not None
    assert fair_cycle(search.graph.edges, len(search.graph)) is None
    assert len(search.graph) == 26_598, "another number is another protocol, or another search"
