"""Real processes on Ray, really killed, stopped and lost; each run re-executes to its end."""

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from clusters.live.journal import Began, Input
from clusters.live.live_setup import LiveResult, LiveSetup
from clusters.live.ray_cluster import RayCluster
from clusters.live.reading import read_journal
from clusters.live.redis_journal import connect
from clusters.live.redis_server import redis_server, why_none
from clusters.live.reexecute import journal_path
from clusters.live.run import run_live
from clusters.nemesis import Nemesis
from protocol.errors import ExperimentError
from protocol.machine import Device, Machine, Unit, Vm
from protocol.names import Name
from protocol.plan import Plan
from protocol.properties import PROPERTIES
from tests.live.toys import RING

pytestmark = pytest.mark.live

MACHINE = Machine(
    units=(Unit("dmar0", prq=2),),
    devices=(Device("dsa0", "dmar0"), Device("dsa1", "dmar0", wq="dedicated")),
    vms=tuple(Vm(vm, (("dsa0",), ("dsa1",))) for vm in ("vm1", "vm2")),
    quota=4,
)
NOTHING = Machine((), (), ())
MIX = {
    "alloc": 3, "bind": 5, "enable": 2, "dma": 5, "fault": 2, "unbind": 2, "disable": 1, "free": 3,
}  # fmt: skip
KINDS = ("core", "guest", "kvm", "vdcm", "device", "unit")


def guests(folder: Path, operations: int, *nemesis: Nemesis, seed: int = 7) -> LiveSetup:
    plans = {f"{vm.name}.guest": Plan(operations=operations, mix=MIX) for vm in MACHINE.vms}
    return LiveSetup(
        machine=MACHINE,
        plans=plans,
        seed=seed,
        folder=folder,
        nemesis=nemesis,
        properties=PROPERTIES,
    )


def ring(folder: Path, *nemesis: Nemesis, durability: str = "process") -> LiveSetup:
    return LiveSetup(
        machine=NOTHING,
        plans={},
        seed=7,
        folder=folder,
        nemesis=nemesis,
        placement="each",
        durability=durability,
        toys="tests.live.toys:long_ring",
    )


def assert_sound(result: LiveResult) -> None:
    """Quiet, the same again to the last input and the last state, and nothing violated."""
    assert result.quiet, result.reasons
    assert result.match.whole, result.match
    assert result.match.quiet
    broken = [one for one in result.judged.properties if one.word in {"violated", "unmet"}]
    assert broken == []


def assert_exactly_once(folder: Path, hosts: tuple[Name, ...]) -> None:
    """Each link's messages are journalled as 1, 2, 3 ..., over all epochs of the receiver."""
    for host in hosts:
        links: dict[tuple[Name, Name], int] = {}
        for entry in read_journal(journal_path(folder, host)):
            if isinstance(entry, Input) and entry.sequence:
                link = (entry.source, entry.actor)
                assert entry.sequence == links.get(link, 0) + 1
                links[link] = entry.sequence


def test_every_kind_of_host_is_killed_and_nothing_is_lost_or_done_twice(
    tmp_path: Path, cluster: RayCluster
) -> None:
    kills = [Nemesis("crash", kind, every_seconds=(0.2, 1.0), times=1) for kind in KINDS]
    result = run_live(guests(tmp_path, 120, *kills), inside=cluster)
    assert_sound(result)
    assert sum(result.faults.values()) == len(KINDS)
    assert_exactly_once(tmp_path, tuple(result.match.epochs))
    assert sum(result.match.epochs.values()) == len(result.match.epochs) + len(KINDS)


def test_a_kvm_that_loses_its_memory_asks_what_it_held(tmp_path: Path, cluster: RayCluster) -> None:
    losses = Nemesis("amnesia", "one kvm", every_seconds=(0.2, 0.4), times=2)
    result = run_live(guests(tmp_path, 80, losses), inside=cluster)
    assert_sound(result)
    assert sum(result.faults.values()) == 2
    history = result.history.read_text()
    assert history.count('"event":"memory.lost"') == 2
    assert history.count('"event":"memory.rebuilt"') == 2


def test_a_lost_guest_is_cleaned_up_by_the_others(tmp_path: Path, cluster: RayCluster) -> None:
    lost = Nemesis("lose", "vm2.guest", every_seconds=(0.5, 0.5))
    result = run_live(guests(tmp_path, 80, lost), inside=cluster)
    assert_sound(result)
    assert result.faults == {"lose vm2.guest": 1}
    history = result.history.read_text()
    assert '"event":"host.lost"' in history
    assert '"event":"vm.exited"' in history


def test_a_pause_is_only_a_delay(tmp_path: Path, cluster: RayCluster) -> None:
    pause = Nemesis("pause", "b", every_seconds=(0.1, 0.2), lasts_seconds=(0.3, 0.6), times=3)
    result = run_live(ring(tmp_path, pause), inside=cluster)
    assert_sound(result)
    assert result.faults == {"pause b": 3}
    assert set(result.match.epochs.values()) == {1}
    assert_exactly_once(tmp_path, RING)


def test_killed_again_as_soon_as_it_is_back(tmp_path: Path, cluster: RayCluster) -> None:
    kills = [Nemesis("crash", name, every_seconds=(0.1, 0.3), times=2) for name in RING]
    result = run_live(ring(tmp_path, *kills, durability="power"), inside=cluster)
    assert_sound(result)
    assert result.match.epochs == dict.fromkeys(RING, 3)
    assert_exactly_once(tmp_path, RING)
    began = [one for one in read_journal(journal_path(tmp_path, "a")) if isinstance(one, Began)]
    assert all(one.recovered < two.recovered for one, two in itertools.pairwise(began))


@pytest.mark.skipif(bool(why_none()), reason=why_none())
def test_journals_on_a_server_are_as_good_as_files(tmp_path: Path, cluster: RayCluster) -> None:
    (tmp_path / "redis").mkdir()
    (tmp_path / "run").mkdir()
    kills = [Nemesis("crash", name, every_seconds=(0.1, 0.3), times=2) for name in RING]
    with redis_server(tmp_path / "redis") as server:
        setup = replace(ring(tmp_path / "run", *kills), journal=server.address)
        result = run_live(setup, inside=cluster)
        assert connect(server.address).keys("*") == []
    assert_sound(result)
    assert result.match.epochs == dict.fromkeys(RING, 3)
    assert_exactly_once(tmp_path / "run", RING)


def test_steps_fail_as_the_plan_says(tmp_path: Path, cluster: RayCluster) -> None:
    site = "toy.pass.memory"
    plan = (
        Nemesis("fail", "a", site=site, nth=3),
        Nemesis("fail", "b", site=site, probability=1.0, times=5),
        Nemesis("fail", "c", site=site, every_seconds=(0.0, 0.1), times=1),
        Nemesis("crash", "a", every_seconds=(0.1, 0.2), times=1),
    )
    result = run_live(ring(tmp_path, *plan), inside=cluster)
    assert_sound(result)
    failed = [line for line in result.history.read_text().splitlines() if '"site.failed"' in line]
    by = {name: len([one for one in failed if f'"actor":"{name}"' in one]) for name in RING}
    assert by == {"a": 1, "b": 5, "c": 1, "d": 0}


def test_a_run_that_is_told_how_long_stops_its_faults_then(
    tmp_path: Path, cluster: RayCluster
) -> None:
    setup = guests(tmp_path, 10, Nemesis("pause", "kvm", every_seconds=(0.2, 0.4)))
    result = run_live(
        LiveSetup(**{**vars(setup), "seconds": 2.0, "quiet_seconds": 30.0}), inside=cluster
    )
    assert_sound(result)
    assert sum(result.faults.values()) > 1


@pytest.mark.parametrize(
    ("nemesis", "said"),
    [
        (Nemesis("reset", "a"), "'reset' cannot be done to real processes yet"),
        (Nemesis("amnesia", "a"), "a cannot lose its memory: as it is"),
        (Nemesis("krash", "a"), "'krash' is not a fault; did you mean 'crash'"),
        (Nemesis("crash", "e"), "'e' is neither an actor nor a role"),
    ],
)
def test_err_what_cannot_be_done_is_refused_before_anything_runs(
    tmp_path: Path, nemesis: Nemesis, said: str
) -> None:
    with pytest.raises(ExperimentError, match=said):
        run_live(ring(tmp_path, nemesis))


def test_err_the_core_cannot_be_lost(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match="core cannot be lost"):
        run_live(guests(tmp_path, 1, Nemesis("lose", "core")))
