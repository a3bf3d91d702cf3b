"""Mainline, as far as a guest's binds go: what a good guest meets, and a guest that frees first.

A guest that behaves is told of nothing; all the same the driver's binds are not held (N7).
"""

from dataclasses import replace
from typing import Final

import pytest
from msgspec import structs

from clusters.lineup import Lineup, revisions
from clusters.sim.world import simulate
from experiments.harness.config import load
from experiments.harness.reading import EXPERIMENTS
from experiments.harness.setup import setup_of

NOT_HELD: Final = "contexts-hold-references"
NORMAL: Final = {
    # Its reports find no consumer, nothing is drained, and VDCM works outlive the free.
    "linux-5.8": {
        NOT_HELD,
        "outcomes-as-scripted",
        "flushes-reach-the-right-unit",
        "unreferenced-at-reclaim",
        "driver-done-before-reclaim",
    },
    "linux-5.11": {NOT_HELD},
    "linux-5.15": {NOT_HELD},
}
REUSED: Final = {
    "unreferenced-at-reclaim",
    "entries-cleared-before-reclaim",
    "translations-cleared-before-reclaim",
    "iommu-caches-flushed-before-reclaim",
    "device-tlb-flushed-before-reclaim",
    "descriptors-ended-before-reclaim",
    "driver-done-before-reclaim",
    "dma-in-its-own-life",
    "page-requests-settled-before-reclaim",
}
FREED_FIRST: Final = {
    "linux-5.8": REUSED,  # The number is in the pool at once.
    "linux-5.11": {"freed-pasids-are-reclaimed"},  # Nobody is told, so nobody puts.
    "linux-5.15": {"freed-pasids-are-reclaimed"},
}


def broken(revision: str, experiment: str, seeds: int) -> dict[str, str]:
    """What breaks when it is played to the end whatever breaks, with all that is said of it."""
    path = EXPERIMENTS / f"{experiment}.toml"
    loaded = structs.replace(load(path), defects=())
    setup = replace(setup_of(loaded, str(path)), lineup=Lineup(revision), stop_at_first=False)
    found: dict[str, str] = {}
    for seed in range(seeds):
        result = simulate(setup, seed)
        assert result.quiet, f"{revision}, seed {seed}"
        for violation in result.violations:
            found[violation.property] = f"{found.get(violation.property, '')}{violation.sentence}\n"
    return found


@pytest.mark.parametrize("revision", list(NORMAL))
def test_a_normal_life_is_played_to_the_end(revision: str) -> None:
    assert revision in revisions()
    assert broken(revision, "ioasid/normal_life", 20).keys() == NORMAL[revision]


@pytest.mark.parametrize("revision", list(FREED_FIRST))
def test_err_a_guest_frees_before_it_unbinds(revision: str) -> None:
    found = broken(revision, "ioasid/free_before_unbind", 10)
    assert found.keys() >= FREED_FIRST[revision]
    assert ("dma-in-its-own-life" in found) == (revision == "linux-5.8")


@pytest.mark.parametrize("revision", list(NORMAL))
def test_err_the_second_aux_bind_of_a_pasid(revision: str) -> None:
    """Seed 000: counted until July 2020, and EBUSY since then."""
    found = broken(revision, "bugs/aux-binds-counted", 5)
    assert ("binds-keep-their-second-level" in found) == (revision == "linux-5.8")


@pytest.mark.parametrize("revision", list(NORMAL))
def test_err_an_unbind_does_not_say_for_which_domain(revision: str) -> None:
    """Where binds are counted it is one user less; where they are not, the bind goes."""
    found = broken(revision, "bugs/unbind-by-device-alone", 5)
    assert ("binds-keep-their-second-level" in found) == (revision != "linux-5.8")


@pytest.mark.parametrize("revision", list(NORMAL))
def test_err_devices_behind_two_units(revision: str) -> None:
    found = broken(revision, "bugs/one-iommu-pointer", 5)
    astray = "flush of dsa1" in found.get("flushes-reach-the-right-unit", "")
    assert astray == (revision == "linux-5.8")
