"""A searched world does what a simulated one does, and its keys are what they stand for."""

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.search.frozen import Renaming, freeze, in_order, thaw
from clusters.sim.search.graph import Bounds
from clusters.sim.search.space import Key
from clusters.sim.search.world_space import ACTORS, GHOSTS, TOTAL, State, WorldSpace
from clusters.sim.strategies import campaign, prepared
from clusters.sim.world import Setup
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from protocol.properties import PROPERTIES
from tests.clusters.campaigns import runs
from tests.clusters.search.paths import (
    assert_same_end,
    canonical,
    path_to_what_was_found,
    random_path,
    run_of,
    searched,
)
from tests.clusters.search.tiny import tiny, with_loss
from tests.defects import stages
from tests.defects.planted import PLANTED, Planted
from tests.defects.stages import stage
from tests.defects.test_planted import name_of

pytestmark = pytest.mark.long

EXPERIMENTS: Final = sorted(Path("experiments/ioasid").glob("*.toml"))
LATE_UNBIND: Final = ("p = alloc", "bind p dsa0", "dma p dsa0", "free p", "unbind p dsa0")
LOST_GUEST: Final = (Nemesis("lose", "guest", times=1),)
SCRIPTED: Final[dict[str, Callable[[], Setup]]] = {
    "two-vms": stage(LATE_UNBIND, LATE_UNBIND).setup,
    "two-vms-one-lost": stage(LATE_UNBIND, LATE_UNBIND, faults=LOST_GUEST).setup,
    "lost-vdcm": stages.LOST_VDCM.setup,
    "failed-alloc": stages.FAILED_ALLOC.setup,
    "failed-bind": stage(
        LATE_UNBIND,
        devices="dsa0@dmar0 dsa1@dmar1",
        faults=(Nemesis("fail", "iommu", site="iommu.bind.sdev", times=2),),
    ).setup,
}
"""With ghosts that come and go, faults that strike, and VMs that are alike."""


def experiment(path: Path) -> Setup:
    """An experiment of the tree with few operations, and its witnesses."""
    changes = ("guests.operations=2",) if load(path).guests.mix else ()
    return setup_of(load(path, changes), str(path))


SETUPS: Final[dict[str, Callable[[], Setup]]] = SCRIPTED | {
    path.stem: (lambda path=path: experiment(path)) for path in EXPERIMENTS
}


@pytest.mark.parametrize("booted", [False, True], ids=["from the start", "booted"])
@pytest.mark.parametrize("name", SETUPS)
def test_a_path_of_the_search_is_a_run_of_the_world(name: str, *, booted: bool) -> None:
    """The trap: a tape names its choices by what they are, so a world can follow a search."""
    setup = SETUPS[name]()
    for seed in range(3):
        space = WorldSpace(setup, booted=booted)
        labels, states = random_path(space, Random(seed))
        assert_same_end(space, states[-1], run_of(setup, space, labels))


@pytest.mark.parametrize("name", ["two-vms-one-lost", "lost-vdcm", "vm_killed"])
def test_who_is_told_of_a_loss_at_once_is_told_in_the_world_too(name: str) -> None:
    setup = SETUPS[name]()
    lost = 0
    for seed in range(8):
        space = WorldSpace(setup, booted=True, told=True)
        labels, states = random_path(space, Random(seed))
        result = run_of(setup, space, labels)
        assert_same_end(space, states[-1], result)
        lost += bool(result.faults)
    assert lost > 2


@pytest.mark.parametrize("name", SETUPS)
def test_a_key_that_is_brought_up_to_date_is_the_key_made_from_scratch(name: str) -> None:
    space = WorldSpace(SETUPS[name](), booted=True)
    _, states = random_path(space, Random(name))
    for state in states:
        parts = state[ACTORS:]
        assert state[TOTAL] == sum(space.parts.weights[part] for part in parts)
        ghosts = 0
        for part in parts:
            ghosts |= space.parts.ghosts[part]
        assert state[GHOSTS] == ghosts
        for _, key, step in space.moves(state):
            assert key == space.key(space.after(state, step))


def few_states(space: WorldSpace, count: int) -> list[State]:
    """The first states that are found breadth first, and those of a random path."""
    states, seen = [space.initial()], {space.key(space.initial()): None}
    for state in states:
        for _, key, step in space.moves(state):
            if key not in seen and len(states) < count:
                seen[key] = None
                states.append(space.after(state, step))
    for seed in range(3):
        states += random_path(space, Random(seed))[1]
    return states


@pytest.mark.parametrize("name", SCRIPTED)
def test_states_have_one_key_exactly_if_nothing_tells_them_apart(name: str) -> None:
    space = WorldSpace(SCRIPTED[name](), booted=True)
    by_key: dict[Key, bytes] = {}
    by_content: dict[bytes, Key] = {}
    for state in few_states(space, 400):
        key, content = space.key(state), canonical(space, state)
        assert by_key.setdefault(key, content) == content
        assert by_content.setdefault(content, key) == key
    assert len(by_key) > 40


def test_states_of_vms_that_are_alike_have_one_key_only_if_an_exchange_makes_them_one() -> None:
    names = ("vm1", "vm2")
    space = WorldSpace(SCRIPTED["two-vms-one-lost"](), names, booted=True)
    by_key: dict[Key, bytes] = {}
    for state in few_states(space, 100)[::3]:
        content = canonical(space, state, names)
        assert by_key.setdefault(space.key(state), content) == content
    assert len(by_key) > 100


def test_what_two_vms_that_are_alike_do_the_other_way_round_has_the_same_keys() -> None:
    """But for dicts: in what order things came into one is not forgotten."""
    exchange = Renaming({"vm1": "vm2", "vm2": "vm1"})
    space = WorldSpace(SCRIPTED["two-vms-one-lost"](), ("vm1", "vm2"))
    choices, contents = space.inputs.labels.choices, space.parts.content

    def ordered(state: State) -> bool:
        return all(in_order(contents[part]) == contents[part] for part in state[ACTORS:])

    for seed in range(3):
        labels, states = random_path(space, Random(seed))
        other, same, differ = space.initial(), 0, 0
        for label, state in zip(labels, states[1:], strict=True):
            exchanged = thaw(exchange.frozen(freeze(choices[label])))
            ((key, step),) = [
                (key, step) for its, key, step in space.moves(other) if choices[its] == exchanged
            ]
            other = space.after(other, step)
            assert key == space.key(other)
            if ordered(state) and ordered(other):
                same += 1
                assert key == space.key(state)
            differ += canonical(space, other) != canonical(space, state)
        assert differ > len(labels) // 2
        assert same > len(labels) // 2


def test_what_is_found_of_vms_that_are_alike_is_a_run_of_the_world() -> None:
    setup = stage(LATE_UNBIND, LATE_UNBIND, faults=LOST_GUEST).setup()
    for seed in range(4):
        space = WorldSpace(setup, ("vm1", "vm2"), booted=True, told=True)
        labels, states = random_path(space, Random(seed))
        assert_same_end(space, states[-1], run_of(setup, space, labels))


def test_what_is_found_when_all_are_told_at_once_is_there_when_they_are_not() -> None:
    """It is one order of many: what it shows can happen, and what it leaves out may, too."""
    violated = 0
    for seed in range(0, 300, 2):
        setup = with_loss(tiny(seed, 1), "a")
        told = searched(WorldSpace(setup, told=True))
        if told.found is not None:
            violated += 1
            assert searched(WorldSpace(setup)).found is not None, f"seed {seed}"
    assert violated > 30


# --- Planted defects ------------------------------------------------------------------------------

LATE: Final = (
    "unreferenced-at-reclaim",
    "iommu-caches-flushed-before-reclaim",
    "device-tlb-flushed-before-reclaim",
    "page-requests-settled-before-reclaim",
    "translations-cleared-before-reclaim",
    "descriptors-ended-before-reclaim",
    "one-notification-per-transition",
    "damage-confined-to-the-vm",
    "registered-before-the-first-pasid",
    "exited-vms-leave-nothing",
    "operations-end",
)
"""Properties whose defects are found late, after tens of thousands of states."""
WIDE: Final = (
    "references-add-up",
    "rebuilt-ledgers-put-once",
    "only-the-owner-acts",
    "one-bind-per-device",
    "private-data-kept",
    "flushes-reach-the-right-unit",
)
"""Those that are found soon only if the machine is up already when the search begins."""
LATE_ONES: Final = ("DrainsOnce", "FencesOnce")
WIDE_ONES: Final = ("TellsAtTheFirstUnbind",)
"""Of properties that another mistake breaks soon."""
SOON: Final = [one for one in PLANTED if one.property not in LATE and name_of(one) not in LATE_ONES]
NEAR: Final = [one for one in SOON if one.property not in WIDE and name_of(one) not in WIDE_ONES]
ENOUGH: Final = Bounds(states=20_000)
SCHEDULES: Final = 40


def with_defect(one: Planted) -> Setup:
    """Its stage, with the mistake in it."""
    return replace(one.stage.setup(), classes=one.classes)


@pytest.mark.parametrize("one", SOON, ids=name_of)
def test_err_a_planted_defect_is_found_and_replays_in_the_world(one: Planted) -> None:
    setup = with_defect(one)
    space = WorldSpace(setup, booted=True, told=True)
    search = searched(space, ENOUGH)
    assert search.found is not None
    assert search.found.property in (one.property, *one.also)
    result = run_of(setup, space, path_to_what_was_found(space, search))
    violated = {violation.property for violation in result.violations}
    assert search.found.property in violated <= {one.property, *one.also}
    assert bool(search.found.sentence) == result.quiet


@pytest.mark.long
@pytest.mark.parametrize("one", NEAR, ids=name_of)
def test_err_no_schedule_shows_a_planted_defect_in_fewer_steps_than_the_search(
    one: Planted,
) -> None:
    setup = with_defect(one)
    space = WorldSpace(setup)
    search = searched(space, ENOUGH)
    result = run_of(setup, space, path_to_what_was_found(space, search))
    found = [
        other.steps
        for name in ("random", "portfolio")
        for _, other, _ in islice(runs(prepared(setup, name), campaign(name, 1)), SCHEDULES)
        if other.violations and not other.faults
    ]
    assert result.steps <= min(found, default=result.steps)
    assert found or setup.nemeses


def test_every_property_has_a_defect_here_that_is_found_or_known_to_be_late() -> None:
    broken = {one.property for one in PLANTED}
    assert set(LATE) | {one.property for one in SOON} == broken
    assert broken <= {each.name for each in PROPERTIES}
