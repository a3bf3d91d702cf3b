"""The guilty step of a planted defect is the one that a kernel engineer would name."""

from dataclasses import replace
from typing import Final

import pytest

from clusters.causes import slice_of
from clusters.sim.branching import crossed
from clusters.sim.explain import explain
from clusters.sim.replay import replay
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from protocol.facts import MessageDelivered
from protocol.history import Record
from protocol.properties import property_named
from tests.defects.planted import PLANTED, Planted
from tests.defects.test_planted import name_of

SEEDS: Final = 200
GUILTY: Final = {
    # Between the flushes of IOTLB and PASID cache, the one fills the other again.
    "iommu-caches-flushed-before-reclaim": "dsa0 -> dmar0 UntranslatedDma",
    # The device asks between its own flush and that of the IOTLB, and is answered from there.
    "device-tlb-flushed-before-reclaim": "dsa0 -> dmar0 Translate",
    # The device asks while the entry is zeroed and still present.
    "dma-in-its-own-life": "dsa0 -> dmar0 Translate",
    # Free overtakes what makes the vdcm look up the PASID by its SPID.
    "no-reference-while-pending": "vfio -> core FreePasid",
    # The guest submits while KVM gives the translation back: nobody wakes it.
    "operations-end": "vm1.guest -> vm1.kvm GuestEnqcmd",
}


def setup_of(one: Planted) -> Setup:
    """Judged by its own rule alone: where it has company, another might strike first."""
    own = (property_named(one.property),)
    return replace(one.stage.setup(), classes=one.classes, properties=own)


def failing(one: Planted) -> Tape:
    """The first random schedule that it breaks."""
    for seed in range(SEEDS):
        result = simulate(setup_of(one), seed)
        if result.violations and result.violations[0].property == one.property:
            return result.tape
    raise AssertionError(f"{one.property} was not broken")


@pytest.mark.parametrize("name", GUILTY)
def test_the_guilty_step_is_the_one_that_makes_the_race(name: str) -> None:
    [one] = [each for each in PLANTED if each.property == name]
    setup, tape = setup_of(one), failing(one)
    found = explain(setup, tape, name)
    assert found.chances.clear
    assert crossed(found.crossings[found.chances.guilty - 1]) == GUILTY[name]
    held = found.nearest.tape
    assert held is not None
    place = found.nearest.choice - 1
    assert abs(found.nearest.choice - found.chances.guilty) <= 1
    assert held.choices[:place] == tape.choices[:place]
    assert held.choices[place] != tape.choices[place]
    assert not replay(setup, held).violations
    assert replay(setup, tape).violations[0].property == name


@pytest.mark.parametrize("one", PLANTED, ids=name_of)
def test_its_slice_has_the_violation_and_all_its_causes(one: Planted) -> None:
    records: list[Record] = []
    setup = setup_of(one)
    for seed in range(SEEDS):
        records.clear()
        result = simulate(setup, seed, history=records.append)
        if result.violations:
            break
    violation = result.violations[0]
    part = slice_of(records, violation)
    keys = [cause.key for cause in part.causes]
    stamp = violation.record.stamp
    inputs = [r for r in records if isinstance(r.fact, MessageDelivered)]
    there = {(record.stamp.actor, record.stamp.n) for record in inputs}
    assert part.at_end or keys[-1] == (stamp.actor, stamp.n)
    assert 0 < len(keys) <= len(inputs)
    for cause in part.causes:
        its = (cause.record.stamp.cause, cause.record.stamp.cause_n)
        assert its in keys or its not in there
        assert part.at_end or violation.record.saw(*cause.key)
