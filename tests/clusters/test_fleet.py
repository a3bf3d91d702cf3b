"""Clusters of our own as files, refusals, and the keeper of a node; no Ray in it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import structs

from clusters.live import fleet, lab, nodes, upkeep
from clusters.live.fleet import (
    Fleet,
    Node,
    base,
    claimed,
    fleets,
    half_made,
    made_base,
    making,
    read_fleet,
    ready_fleet,
)
from clusters.live.keeper import NODE
from clusters.live.node_strikes import check_nodes
from clusters.live.processes import Process, process
from clusters.live.provider import CACHED, OurProvider
from clusters.live.ray_cluster import OWNERS
from clusters.live.upkeep import Wanted, check, down, look, up
from clusters.nemesis import Nemesis
from protocol.errors import ClusterError, ExperimentError, UnreadableError

NODES = (
    Node("head", "head", "127.0.0.1", (), {}),
    Node("desk", "desk", "127.0.0.1", (), {}),
    Node("n1", "host", "127.0.0.1", (), {}),
    Node("n2", "host", "127.0.0.1", (), {}),
)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(fleet, "SHORT", tmp_path)
    return made_base()


def some(name: str = "some", **changes: object) -> Fleet:
    (made_base() / name).mkdir(exist_ok=True)
    whole = Fleet(kind="laptop", name=name, address="127.0.0.1:1", ready=True, nodes=NODES)
    return structs.replace(whole, **changes).write()


def test_what_is_written_is_read_again(place: Path) -> None:
    made = some(nodes=(structs.replace(NODES[0], keeper=process(os.getpid())), *NODES[1:]))
    assert read_fleet("some") == ready_fleet("some") == made
    assert fleets() == ["some"]
    assert not list(place.glob("*/*.part"))


@pytest.mark.usefixtures("place")
def test_what_status_prints_lets_rays_own_commands_in() -> None:
    made = some()
    assert made.access["RAY_ADDRESS"] == made.address
    assert {key: made.access[key] for key in OWNERS}.items() <= made.environment.items()
    assert made.access["RAY_AUTH_TOKEN_PATH"] == str(made.folder / fleet.TOKEN)


def test_the_folder_of_all_clusters_is_its_owners_alone(place: Path) -> None:
    assert place.stat().st_mode & 0o777 == 0o700
    place.chmod(0o755)
    with pytest.raises(ClusterError, match="is not a folder that is yours alone"):
        base()


def test_err_a_link_in_its_place_is_not_followed(place: Path, tmp_path: Path) -> None:
    place.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ClusterError, match="is not a folder that is yours alone"):
        base()


def test_who_brings_it_up_is_not_disturbed(place: Path) -> None:
    begun = some(ready=False)
    assert not half_made(begun)
    made = making(begun)
    assert half_made(begun)
    wanted = Wanted("laptop", begun.name)
    with pytest.raises(ExperimentError, match="'some' is just being brought up"):
        up(wanted)
    with pytest.raises(ExperimentError, match="brought up; interrupt that"):
        down(begun.name)
    made()
    with pytest.raises(ExperimentError, match="was left half made: pasidlab cluster down some"):
        up(wanted)
    down(begun.name)
    assert not place.exists()
    assert fleets() == []


def test_the_launcher_keeps_nothing_beside_the_cluster(tmp_path: Path) -> None:
    (tmp_path / "ray-config").write_text("{}")
    for _ in range(2):
        OurProvider({CACHED: str(tmp_path / "ray-config")}, "some")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "does not describe a cluster"),
        ('{"kind": "laptop", "name": "some"}', "missing required field `address`"),
        ('{"kind": "lab", "name": "other", "address": ""}', "format 1 of 'other' is not read here"),
        ('{"kind": "lab", "name": "some", "address": "", "format": 9}', "format 9"),
    ],
)
def test_err_a_damaged_file_is_refused_and_named(text: str, said: str) -> None:
    some()
    (base() / "some" / "fleet.json").write_text(text)
    with pytest.raises(UnreadableError, match=said):
        read_fleet("some")


@pytest.mark.usefixtures("place")
def test_err_nobody_runs_on_half_a_cluster_or_on_that_of_another_tree() -> None:
    some(ready=False)
    with pytest.raises(ClusterError, match="never brought up to its end: pasidlab cluster down"):
        ready_fleet("some")
    some(root="/elsewhere")
    with pytest.raises(ClusterError, match="runs the pasidlab of /elsewhere"):
        ready_fleet("some")
    with pytest.raises(ExperimentError, match="no cluster 'somme'; did you mean 'some'"):
        ready_fleet("somme")


@pytest.mark.usefixtures("place")
def test_err_two_runs_on_one_cluster() -> None:
    leave = claimed(some())
    with pytest.raises(ExperimentError, match="another run is on cluster 'some'"):
        claimed(some())
    leave()
    claimed(some())()


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Wanted("labb", "x"), "'labb' is not a kind of cluster; did you mean 'lab'"),
        (Wanted("laptop", "Big"), "'Big' cannot name a cluster"),
        (Wanted("laptop", "../x"), "cannot name a cluster"),
        (Wanted("laptop", "x", hosts=17), "1 to 16 nodes for hosts, not 17"),
    ],
)
def test_err_what_cannot_be_is_refused_before_anything_is_made(wanted: Wanted, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        check(wanted)


def test_err_a_lab_needs_root_and_its_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ExperimentError, match="a lab needs root, for network and PID namespaces"):
        check(Wanted("lab", "x"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda program: None if program == "ip" else program)
    with pytest.raises(ExperimentError, match=r"a lab needs ip [(]Debian: apt-get install"):
        check(Wanted("lab", "x"))
    monkeypatch.setattr(shutil, "which", lambda program: program)
    monkeypatch.setattr(lab, "PROBE", ("sh", "-c", "echo Operation not permitted >&2; exit 2"))
    with pytest.raises(ExperimentError, match="and here: Operation not permitted; laptop works"):
        check(Wanted("lab", "x"))


@pytest.mark.parametrize(
    ("nemesis", "said"),
    [
        (
            Nemesis("node-off", "n3"),
            r"\[0\].target: 'n3' is not a node of 'some'.*did you mean .n2.. .n1, n2",
        ),
        (Nemesis("node-off", "desk"), "'desk' is not a node of 'some' that has hosts"),
        (Nemesis("node-pause", "minority"), "'minority' is nobody: there are 2 such nodes"),
        (Nemesis("node-cut", "n1"), "'node-cut' needs a lab"),
    ],
)
@pytest.mark.usefixtures("place")
def test_err_a_fault_that_this_cluster_cannot_suffer(nemesis: Nemesis, said: str) -> None:
    with pytest.raises(ExperimentError, match=said):
        check_nodes([nemesis], some())
    with pytest.raises(ExperimentError, match="needs a cluster of ours with several nodes"):
        check_nodes([nemesis], None)


@pytest.mark.usefixtures("place")
def test_other_faults_need_no_cluster_and_the_head_needs_no_name() -> None:
    check_nodes([Nemesis("crash", "one kvm")], None)
    check_nodes([Nemesis("gcs-kill"), Nemesis("head-off"), Nemesis("node-off", "all")], some())


def keeper_of(place: Path, then: str) -> "subprocess.Popen[bytes]":
    """A keeper whose `ray start` has left a child behind, and then does this."""
    (place / "some").mkdir(exist_ok=True)
    script = f"sleep 100 & echo $! > {place}/part && mv {place}/part {place}/orphan; {then}"
    words = (str(place / "some"), "n1", "sh", "-c", script)
    keeper = subprocess.Popen([sys.executable, "-m", nodes.KEEPER, *words])
    while not (place / "orphan").exists():
        assert keeper.poll() is None
    return keeper


def orphan_of(place: Path) -> Process | None:
    return process(int((place / "orphan").read_text()))


@pytest.mark.long
def test_a_keeper_whose_node_does_not_start_ends_with_all_that_it_has_started(place: Path) -> None:
    keeper = keeper_of(place, "exit 3")
    keeper.wait(timeout=30)
    assert orphan_of(place) is None
    assert (place / "some" / "n1.rc").read_text() == "3\n"
    with pytest.raises(ClusterError, match="node n1 does not start: it said nothing"):
        nodes.started(Fleet(kind="laptop", name="some", address=""), NODES[2])


@pytest.mark.long
def test_a_node_that_is_paused_and_powered_off(place: Path) -> None:
    keeper = keeper_of(place, "wait")
    node = structs.replace(NODES[2], keeper=process(keeper.pid))
    orphan = orphan_of(place)
    assert orphan in nodes.family(node)
    stopped = nodes.pause(node)
    assert {one.state for one in stopped} == {"T"}
    assert orphan in stopped
    nodes.resume(stopped)
    nodes.pause(node)
    nodes.power_off(node)  # Also one that is stopped.
    assert keeper.wait(timeout=30) < 0
    assert orphan is not None
    assert not orphan.state


@pytest.mark.long
def test_down_ends_what_was_started_and_never_written_down(place: Path) -> None:
    """Killed between two lines: there is a keeper, and the file knows nothing of it."""
    keeper = keeper_of(place, "wait")
    assert [one.pid for one in nodes.strays(place / "some")] == [keeper.pid]
    down("some")
    assert keeper.wait(timeout=30) < 0
    assert list(place.iterdir()) == [place / "orphan"]


@pytest.mark.usefixtures("place")
def test_down_ends_what_has_lost_its_keeper() -> None:
    born = {**os.environ, **some().environment, NODE: "n1"}
    orphan = subprocess.Popen(["sleep", "100"], env=born)
    bystander = subprocess.Popen(["sleep", "100"], env={**os.environ, **some("s").environment})
    down("some")
    assert orphan.wait(timeout=30) < 0
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_number_that_another_process_has_now_is_left_alone(place: Path) -> None:
    mine = process(os.getpid())
    assert mine is not None
    some(nodes=(structs.replace(NODES[0], keeper=structs.replace(mine, began=1)), *NODES[1:]))
    seen = look("some")
    assert {one.state for one in seen.nodes} == {"off"}
    assert not seen.well
    down("some")
    assert not place.exists()


@pytest.mark.long
def test_up_that_fails_leaves_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "RAY_START", ("sh", "-c", "echo no Ray here >&2; exit 1"))
    with pytest.raises(ClusterError, match="node head does not start: no Ray here"):
        upkeep.up(Wanted("laptop", "some"))
    assert not place.exists()


@pytest.mark.long
@pytest.mark.usefixtures("place")
def test_what_a_run_that_was_cut_short_left_off_or_stopped_starts_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upkeep, "_await", lambda _: None)
    command = ("bash", "-c", "exec -a raylet sleep 100 &")
    names = ("off", "stopped", "well")
    made = some(nodes=tuple(Node(name, "host", "127.0.0.1", command, {}) for name in names))
    try:
        made = upkeep._start(made, made.nodes[1:], lambda _: None)
        nodes.pause(made.node("stopped"))
        whole, again = upkeep.made_whole(made)
        assert again == ["off", "stopped"]
        assert {one.state for one in look("some").nodes} == {"up"}
        assert whole.node("well") == made.node("well")
        assert upkeep.made_whole(whole) == (whole, [])
    finally:
        down("some")
