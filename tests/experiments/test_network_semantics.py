"""What breaks when links are not reliable: evidence about what the protocol needs of them."""

from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from clusters.links import RELIABLE, Semantics
from clusters.sim.replay import replay
from clusters.sim.world import Setup, simulate
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from protocol.facts import LinkActed
from protocol.history import Record
from tests.experiments.command import Command

pytestmark = pytest.mark.long

FOLDER: Final = Path(__file__).parents[2] / "experiments/network"
SEEDS: Final = range(100)
LIVENESS: Final = {
    "operations-end", "page-requests-end", "freed-pasids-are-reclaimed", "vm-entry-lifted",
}  # fmt: skip
BREAKS: Final = {
    "messages_come_again": {
        "contexts-hold-references",
        "told-while-bound",
        "teardown-in-order",
        "only-the-owner-acts",
        "freed-pasids-are-reclaimed",
        "messages-are-expected",
    },
    "messages_get_lost": LIVENESS,
    "messages_overtake": {"descriptors-ended-before-reclaim"},
}


@cache
def setup_for(name: str) -> Setup:
    return setup_of(load(FOLDER / f"{name}.toml", ()), name)


def broken(setup: Setup, seeds: range = SEEDS) -> Counter[str]:
    found: Counter[str] = Counter()
    for seed in seeds:
        found.update(one.property for one in simulate(setup, seed).violations)
    return found


@pytest.mark.parametrize("name", BREAKS)
def test_what_breaks_is_what_the_experiment_says(name: str) -> None:
    """And in a loss nothing unsafe: whoever waits, waits for ever."""
    found = broken(setup_for(name))
    assert found
    assert set(found) <= BREAKS[name]
    if name == "messages_come_again":
        assert found["contexts-hold-references"], "N7"
        assert found["told-while-bound"]
        assert not found["one-notification-per-transition"], "N4"
        assert not found["unbind-names-the-bound-spid"], "N5"
    if name == "messages_get_lost":
        assert found["operations-end"] > 50


@pytest.mark.parametrize("name", BREAKS)
def test_the_same_work_over_reliable_links_breaks_nothing(name: str) -> None:
    assert broken(replace(setup_for(name), semantics=RELIABLE), range(30)) == {}


@pytest.mark.parametrize("name", BREAKS)
def test_a_counterexample_replays_with_what_its_links_did(name: str) -> None:
    setup = setup_for(name)
    result = next(one for one in (simulate(setup, seed) for seed in SEEDS) if one.violations)
    records: list[Record] = []
    again = replay(setup, result.tape, records.append)
    assert [one.sentence for one in again.violations] == [one.sentence for one in result.violations]
    assert any(isinstance(record.fact, LinkActed) for record in records)


@pytest.mark.parametrize(
    ("links", "breaks"),
    [
        (("vdcm -> core",), True),
        (("core -> workqueue",), True),
        (("core -> vdcm", "core -> vfio", "core -> iommu", "core -> kvm"), False),
        (("guest -> *", "vfio -> *", "iommu -> *", "kvm -> *", "workqueue -> *"), False),
    ],
)
def test_only_the_way_of_work_to_its_queue_needs_its_order(
    links: tuple[str, ...], breaks: bool
) -> None:
    """What a VDCM queues must be in the queue before FREE is answered and the driver's follows."""
    any_order = Semantics("any-order", links)
    setup = replace(setup_for("messages_overtake"), semantics=any_order)
    found = broken(setup, range(250))
    assert (found["descriptors-ended-before-reclaim"] > 0) is breaks
    assert set(found) <= {"descriptors-ended-before-reclaim"}


def test_the_word_says_what_was_done_and_the_history_is_judged_alike(
    pasidlab: Command, here: Path
) -> None:
    (here / "again.toml").write_text((FOLDER / "messages_come_again.toml").read_text())
    ran = pasidlab("run", "again.toml", "--seed", "1")
    assert ran.code == 1
    assert "iommu has no answer to Done from core" in ran.out
    (folder,) = (here / "runs" / "again").glob("2*")
    checked = pasidlab("check", str(folder))
    assert checked.code == 1
    assert "iommu has no answer to Done from core" in checked.out


def test_err_a_live_run_has_reliable_links_only(pasidlab: Command, here: Path) -> None:
    (here / "again.toml").write_text((FOLDER / "messages_come_again.toml").read_text())
    ran = pasidlab("chaos", "again.toml")
    assert ran.code == 2
    assert "$.network.semantics: 'at-least-once' cannot be live" in ran.err
    assert not (here / "runs").exists()


def test_err_a_search_says_that_it_has_reliable_links_only(pasidlab: Command, here: Path) -> None:
    (here / "again.toml").write_text((FOLDER / "messages_come_again.toml").read_text())
    ran = pasidlab("explore", "again.toml", "--strategy", "breadth-first")
    assert ran.code == 2
    assert "'at-least-once' is not searched, only reliable links" in ran.err
