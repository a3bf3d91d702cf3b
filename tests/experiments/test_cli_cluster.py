"""`pasidlab cluster`, and where else a cluster can be named: what is refused, and how."""

from pathlib import Path

import pytest

from clusters.live import fleet
from tests.experiments.command import RIGHT, Command

NODE_OFF = RIGHT.replace("[expect]", '[[nemesis]]\nfault = "node-off"\ntarget = "one"\n[expect]')


@pytest.fixture(autouse=True)
def _none_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clusters").mkdir()
    monkeypatch.setattr(fleet, "SHORT", tmp_path / "clusters")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("cluster",), "pasidlab cluster: an action is missing (one of: up, status, down)"),
        (("cluster", "upp"), "'upp' is not an action; did you mean 'up'? (actions: up, status"),
        (("cluster", "up", "labb"), "'labb' is not a kind of cluster; did you mean 'lab'?"),
        (("cluster", "up", "laptop", "--name", "X"), "'X' cannot name a cluster: a small letter"),
        (("cluster", "up", "laptop", "--nodes", "99"), "1 to 16 nodes for hosts, not 99"),
        (("cluster", "down", "lap"), "there is no cluster 'lap' (none is up; pasidlab cluster up)"),
        (("chaos", "right.toml", "--cluster", "lap"), "there is no cluster 'lap' (none is up"),
        (
            ("chaos", "right.toml", "--cluster", "a", "--address", "b:1"),
            "--address and --cluster name two clusters; say one of them",
        ),
        (
            ("chaos", "node.toml"),
            "node.toml: $.nemesis[0].fault: 'node-off' needs a cluster of ours with several nodes",
        ),
        (
            ("chaos", "node.toml", "--set", 'nemesis=[{fault="gcs-kill",target="n1"}]'),
            "node.toml: $.nemesis[0].target: 'gcs-kill' hits the head; say no target",
        ),
        (
            ("chaos", "node.toml", "--set", 'nemesis=[{fault="node-off",target="vm1.kvm"}]'),
            "$.nemesis[0].target: 'vm1.kvm' is not a node (n1, n2, ...;",
        ),
    ],
)
def test_err_what_is_wrong_is_said_in_one_sentence(
    pasidlab: Command, here: Path, words: tuple[str, ...], said: str
) -> None:
    (here / "node.toml").write_text(NODE_OFF)
    ran = pasidlab(*words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert not (here / "runs").exists()


def test_no_cluster_is_up(pasidlab: Command) -> None:
    for action in ("status", "down"):
        ran = pasidlab("cluster", action)
        assert (ran.code, ran.out) == (0, "no cluster is up\n")
    assert pasidlab("cluster", "status", "--json").object == {"clusters": []}
    assert pasidlab("cluster", "down", "--json").object == {"down": []}


def test_what_is_left_of_a_cluster_is_said_and_can_be_taken_down(pasidlab: Command) -> None:
    (fleet.made_base() / "half").mkdir()
    ran = pasidlab("cluster", "status")
    assert ran.code == 5
    assert ran.out.startswith("half  nothing, left half made, 0 nodes\n")
    ran = pasidlab("cluster", "up", "laptop", "--name", "half")
    assert ran.code == 2
    assert "cluster 'half' was left half made: pasidlab cluster down half, then up" in ran.err
    assert pasidlab("cluster", "down", "half").out == "half       down\n"
    assert fleet.fleets() == []
    assert not fleet.base().exists()


def test_the_simulator_says_that_it_has_no_nodes(pasidlab: Command, here: Path) -> None:
    (here / "node.toml").write_text(NODE_OFF)
    ran = pasidlab("run", "node.toml", "--seed", "1")
    assert ran.code == 0
    assert "not honoured in the simulator, which has no nodes: node-off\n" in ran.err
    assert not pasidlab("run", "node.toml", "--seed", "1", "-q").err
