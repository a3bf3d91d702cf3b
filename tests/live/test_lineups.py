"""A revision, and a defect in a file of one's own, on live hosts: broken there, and here again."""

from dataclasses import replace
from pathlib import Path

import pytest

from clusters import lineup
from clusters.lineup import Lineup, Own, admit
from clusters.live.live_setup import LiveSetup
from clusters.live.ray_cluster import RayCluster
from clusters.live.run import run_live
from experiments.harness.config import machine_of, plans_of, read_experiment
from experiments.harness.options import Asked
from experiments.harness.setup import loaded, properties_of
from tests.live.test_faults import guests

BUGS = Path(__file__).resolve().parents[2] / "experiments" / "bugs"
pytestmark = pytest.mark.live

MINE = Own(
    "mine.py",
    """
from actors.ioasid_core import IoasidCore
class Mine(IoasidCore):
    __slots__ = ()
    def rank(self, block):
        return (block.priority,)
SOURCE = "nobody"
CLASSES = {"core": Mine}
""",
)


def test_a_published_revision_breaks_live_what_it_breaks_here(
    tmp_path: Path, cluster: RayCluster
) -> None:
    setup = replace(guests(tmp_path, 20), lineup=Lineup("v1"))
    result = run_live(setup, inside=cluster)
    broken = {one.name for one in result.judged.properties if one.word in {"violated", "unmet"}}
    assert "subscribers-called-in-order" in broken
    assert result.match.matched == result.match.total > 0
    assert not result.match.divergence


def test_a_file_of_the_user_travels_to_the_hosts_and_runs_again_from_the_journals(
    tmp_path: Path, cluster: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "_ADMITTED", {})
    admit(MINE)
    setup = replace(guests(tmp_path, 20), lineup=Lineup("sound", ("mine.py",), (MINE,)))
    result = run_live(setup, inside=cluster)
    broken = {one.name for one in result.judged.properties if one.word in {"violated", "unmet"}}
    assert "subscribers-called-in-order" in broken
    assert result.match.matched == result.match.total > 0
    assert not result.match.divergence


def test_a_modern_kernel_breaks_live_what_it_breaks_here(
    tmp_path: Path, cluster: RayCluster
) -> None:
    """On two hosts: the kernel, and all else."""
    file = BUGS / "dead-mm-attached-again.toml"
    experiment = loaded(Asked(file))
    setup = LiveSetup(
        machine=machine_of(experiment, str(file)),
        plans=plans_of(experiment, str(file)),
        seed=7,
        folder=tmp_path,
        hosts=2,
        lineup=experiment.lineup,
        properties=properties_of(experiment, str(file)),
    )
    result = run_live(setup, inside=cluster)
    broken = {one.name for one in result.judged.properties if one.word == "violated"}
    assert broken == set(experiment.expect.violated)
    assert result.match.matched == result.match.total > 0
    assert not result.match.divergence


def test_guests_on_a_modern_kernel_break_live_what_their_vmm_breaks_here(
    tmp_path: Path, cluster: RayCluster
) -> None:
    """On two hosts: kernel and VMM, and all else."""
    text = """
title = "freed while it is bound"
revision = "linux-7.3"
defects = ["freed-while-attached"]
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
[[process]]
name = "vm1.guest"
steps = ["p = alloc -> ok", "bind p dsa0 -> ok", "free p -> ok"]
"""
    experiment = read_experiment(text, "x.toml")
    setup = LiveSetup(
        machine=machine_of(experiment),
        plans=plans_of(experiment),
        seed=7,
        folder=tmp_path,
        hosts=2,
        lineup=experiment.lineup,
        properties=properties_of(experiment, "x.toml"),
    )
    result = run_live(setup, inside=cluster)
    broken = {one.name for one in result.judged.properties if one.word == "violated"}
    assert {"entries-cleared-before-reclaim", "numbers-return-when-detached"} <= broken
    assert result.match.matched == result.match.total > 0
    assert not result.match.divergence
