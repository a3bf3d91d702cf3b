"""A device is pulled out or reset: what is in the history, that it replays, and who is refused."""

from dataclasses import replace
from typing import Final

import pytest

from actors.defects.reset_without_drain import ReturnsAtOnce
from clusters.cluster import build
from clusters.live.faults import check_live
from clusters.nemesis import OF_DEVICES, Nemesis, check
from clusters.sim.faults import Faults
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.tape import Begin
from clusters.sim.world import Setup, simulate
from protocol.errors import ExperimentError
from protocol.facts import DmaTranslated, FunctionReset, FunctionReturned
from protocol.facts.world import FaultBegun, HostGone
from protocol.history import Record, encode_record
from tests.clusters.search.paths import path_to_what_was_found, run_of, searched
from tests.defects.stages import stage
from tests.worlds import assert_fine, with_faults

pytestmark = pytest.mark.long

SCRIPT: Final = ("p = alloc", "bind p dsa0", "async fault p dsa0 x4", "unbind p dsa0", "free p")
OTHER: Final = ("p = alloc", "bind p dsa0", *("dma p dsa0 x2",) * 6, "unbind p dsa0", "free p")
TWO: Final = stage(SCRIPT, OTHER, devices="dsa0 dsa1", quota=2)
SEEDS: Final = 40


def under(fault: str, times: int = 0) -> Setup:
    return with_faults(TWO.setup(), Nemesis(fault, "dsa0", every_steps=(20, 160), times=times))


def struck(setup: Setup) -> list[tuple[RunResult, list[Record]]]:
    """The runs in which the fault happened."""
    found = []
    for seed in range(SEEDS):
        records: list[Record] = []
        result = simulate(setup, seed, history=records.append)
        assert_fine(result, f"seed {seed}")
        if result.faults:
            found.append((result, records))
    assert len(found) > SEEDS // 2
    return found


@pytest.mark.long
def test_a_device_that_is_pulled_out_does_nothing_more_and_nobody_waits_for_it() -> None:
    for result, records in struck(under("remove", times=1)):
        assert result.faults == {"remove dsa0": 1}
        gone = next(k for k, r in enumerate(records) if isinstance(r.fact, HostGone))
        assert records[gone].stamp.actor == "dsa0"
        assert [r.fact for r in records[gone - 1 : gone]] == [FaultBegun("remove", "dsa0")]
        assert not [r for r in records[gone + 1 :] if r.stamp.actor == "dsa0"]


@pytest.mark.long
def test_a_device_that_is_pulled_out_is_not_hit_again() -> None:
    (result, _), *_ = struck(under("remove"))
    assert result.faults == {"remove dsa0": 1}
    assert not Faults.possible(result.world.faults, "remove", "dsa0")
    assert not Faults.possible(result.world.faults, "remove", "core")


@pytest.mark.long
def test_a_reset_device_returns_to_service_each_time_and_works_on() -> None:
    worked = 0
    for result, records in struck(under("reset")):
        facts = [r.fact for r in records]
        resets = [f for f in facts if isinstance(f, FunctionReset)]
        returns = [k for k, f in enumerate(facts) if isinstance(f, FunctionReturned)]
        assert 1 <= len(resets) == len(returns) <= result.faults["reset dsa0"]
        behind = facts[returns[0] :]
        worked += any(isinstance(f, DmaTranslated) and f.device == "dsa0" for f in behind)
    assert worked > 0


@pytest.mark.parametrize("fault", OF_DEVICES)
def test_it_replays_from_its_tape(fault: str) -> None:
    setup = under(fault, times=1)
    result, records = struck(setup)[0]
    assert Begin(fault, "dsa0") in result.tape.choices
    again: list[Record] = []
    replay(setup, result.tape, again.append)
    assert [encode_record(one) for one in again] == [encode_record(one) for one in records]


@pytest.mark.parametrize("fault", OF_DEVICES)
@pytest.mark.parametrize("target", ["vm1.kvm", "one guest", "dmar0"])
def test_err_only_a_device_can_suffer_it(fault: str, target: str) -> None:
    setup = TWO.setup()
    actors = build(setup.machine, setup.plans)
    with pytest.raises(ExperimentError, match=f"only a device can suffer '{fault}'"):
        check(Nemesis(fault, target), setup.machine, actors, "x")
    check(Nemesis(fault, "one device"), setup.machine, actors, "x")


@pytest.mark.parametrize("fault", OF_DEVICES)
def test_err_it_cannot_be_done_to_real_processes(fault: str) -> None:
    setup = TWO.setup()
    with pytest.raises(ExperimentError, match=f"'{fault}' cannot be done to real processes yet"):
        check_live([Nemesis(fault, "dsa0")], setup.machine, build(setup.machine, setup.plans), {})


# --- In a search ----------------------------------------------------------------------------------

SMALL: Final = stage(("p = alloc", "bind p dsa0", "async fault p dsa0"), quota=1)


def small(fault: str) -> Setup:
    return with_faults(SMALL.setup(), Nemesis(fault, "device", times=1))


def test_err_a_search_resets_a_device_at_any_moment_and_what_it_finds_replays() -> None:
    setup = replace(small("reset"), classes={"iommu": ReturnsAtOnce})
    space = WorldSpace(setup, booted=True, told=True)
    search = searched(space)
    assert search.found is not None
    assert search.found.property == "drained-before-return-to-service"
    result = run_of(setup, space, path_to_what_was_found(space, search))
    assert [one.property for one in result.violations] == [search.found.property]
    assert result.faults == {"reset dsa0": 1}


@pytest.mark.parametrize("fault", OF_DEVICES)
def test_a_search_strikes_so_often_as_the_plan_says(fault: str) -> None:
    space = WorldSpace(small(fault), booted=True, told=True)
    assert space.strikes.bounds == [1]
    state = space.initial()
    (move,) = space.losing(state)
    assert space.words(move[0]).startswith(f"{fault} dsa0")
    assert space.losing(space.after(state, move[2])) == []
