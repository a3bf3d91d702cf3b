"""A live fault plan without Ray: when a fault counts as done, and when it does not.

Hosts are stand-ins that say which version of the faults of links they know.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from clusters.cluster import Actor, build, names
from clusters.live.chronicle import Chronicle, Stated, read_chronicle
from clusters.live.faults import UNDONE_SECONDS, Faults, check_live
from clusters.live.link_faults import Lasting
from clusters.live.placement import place
from clusters.live.supervisor import Supervisor
from clusters.nemesis import Nemesis
from protocol.errors import ExperimentError
from protocol.facts.world import FaultBegun, FaultHealed
from protocol.machine import Device, Machine, Unit, Vm
from protocol.names import Name
from tests.clusters.toys import NOTHING
from tests.live.toys import RING, ring

MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(Device("dsa0", "dmar0"),),
    vms=tuple(Vm(f"vm{k}", (("dsa0",),)) for k in range(1, 6)),
)


@dataclass
class Process:
    """Notes what is done to it."""

    pid: int = 1
    done: list[str] = field(default_factory=list)

    def kill(self) -> None:
        self.done.append("kill")

    def pause(self) -> None:
        self.done.append("pause")

    def resume(self) -> None:
        self.done.append("resume")


@dataclass
class Said:
    links: int = 0


@dataclass
class View:
    name: Name
    actors: list[Name]
    process: Process | None = field(default_factory=Process)
    status: Said = field(default_factory=Said)
    suffers: str = ""
    gone: bool = False
    fresh: bool = False
    epoch: int = 1
    heard_ns: int = 0


class Hosts:
    """In the place of a supervisor."""

    def __init__(self, folder: Path, placement: dict[Name, Name]) -> None:
        self.chronicle = Chronicle(folder / "chronicle")
        self.hosts = {
            host: View(host, [one for one, its in placement.items() if its == host])
            for host in placement.values()
        }
        self.lost: dict[Name, None] = {}
        self.healing: list[tuple[View, int, Name]] = []
        self.links = Lasting()
        self.ground = None

    def log(self, event: str, **fields: object) -> None:
        pass

    def home(self, actor: Name) -> View:
        return next(view for view in self.hosts.values() if actor in view.actors)

    @property
    def running(self) -> list[View]:
        return list(self.hosts.values())

    def know(self, *but: Name) -> None:
        """All hosts say that they know of the newest faults."""
        for name, view in self.hosts.items():
            if name not in but:
                view.status.links = self.links.version

    def stated(self) -> list[tuple[str, str, str]]:
        return [
            (type(line.fact).__name__, line.fact.fault, line.fact.target)
            for line in read_chronicle(self.chronicle.path)
            if isinstance(line, Stated) and isinstance(line.fact, FaultBegun | FaultHealed)
        ]


def plan(
    folder: Path,
    nemeses: Sequence[Nemesis],
    placement: dict[Name, Name],
    actors: dict[Name, Actor],
    machine: Machine = NOTHING,
) -> tuple[Hosts, Faults]:
    hosts = Hosts(folder, placement)
    return hosts, Faults(cast("Supervisor", hosts), nemeses, 7, actors, machine)


def on_ring(folder: Path, *nemeses: Nemesis) -> tuple[Hosts, Faults]:
    return plan(folder, nemeses, {name: name for name in RING}, ring())


def of_links(fault: str, target: str, times: int = 1) -> Nemesis:
    return Nemesis(fault, target, every_seconds=(1.0, 1.0), lasts_seconds=(2.0, 2.0), times=times)


# --- Faults of links ------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["partition", "delay", "drop", "duplicate"])
def test_a_fault_of_links_has_begun_and_is_over_when_every_host_says_so(
    tmp_path: Path, fault: str
) -> None:
    hosts, faults = on_ring(tmp_path, of_links(fault, "a -> b"))
    faults.act(1.0)
    assert [(one.fault, one.target) for one in hosts.links.faults] == [(fault, "a -> b")]
    hosts.know("c")
    faults.act(1.1)
    assert hosts.stated() == []
    assert faults.begun == {}
    hosts.know()
    faults.act(1.2)
    assert hosts.stated() == [("FaultBegun", fault, "a -> b")]
    assert faults.begun == {f"{fault} a -> b": 1}
    assert not faults.over
    faults.act(3.0)
    assert hosts.links.faults == ()
    assert not faults.over
    hosts.know()
    assert faults.over
    assert hosts.stated()[1:] == [("FaultHealed", fault, "a -> b")]
    assert faults.undone == []


def test_in_the_end_all_of_it_is_healed(tmp_path: Path) -> None:
    hosts, faults = on_ring(tmp_path, of_links("partition", "a"), of_links("drop", "* -> c"))
    faults.act(1.0)
    hosts.know()
    faults.act(1.1)
    faults.heal()
    hosts.know()
    assert faults.over
    assert [what for what, _, _ in hosts.stated()] == ["FaultBegun"] * 2 + ["FaultHealed"] * 2


def test_err_a_fault_of_links_that_nobody_says_to_know_is_undone(tmp_path: Path) -> None:
    _, faults = on_ring(tmp_path, of_links("partition", "a"))
    faults.act(1.0)
    faults.heal()
    assert not faults.over
    assert faults.undone == ["partition a has not begun: hosts do not say that they know of it"]


def test_the_same_seed_strikes_at_the_same_times(tmp_path: Path) -> None:
    """Which link is hit, when, and for how long."""
    nemesis = Nemesis("drop", "one a", every_seconds=(0.5, 3.0), lasts_seconds=(0.1, 2.0))
    seen = []
    for k in range(2):
        (tmp_path / str(k)).mkdir()
        hosts, faults = on_ring(tmp_path / str(k), nemesis)
        times = []
        for tenth in range(400):
            version = hosts.links.version
            faults.act(tenth / 10)
            hosts.know()
            if hosts.links.version != version:
                times.append(tenth)
        seen.append(times)
    assert seen[0] == seen[1]
    assert len(seen[0]) > 20


# --- One, a minority, a majority, all -------------------------------------------------------------


def machine(folder: Path, *nemeses: Nemesis, placement: str = "each") -> tuple[Hosts, Faults]:
    actors = build(MACHINE, {})
    return plan(folder, nemeses, place(names(MACHINE), placement), actors, MACHINE)


@pytest.mark.parametrize(
    ("mode", "count"), [("one", 1), ("minority", 2), ("majority", 3), ("all", 5)]
)
@pytest.mark.parametrize("fault", ["crash", "pause", "partition", "drop", "duplicate"])
def test_so_many_of_a_kind_are_hit_at_once(
    tmp_path: Path, fault: str, mode: str, count: int
) -> None:
    hosts, faults = machine(tmp_path, of_links(fault, f"{mode} kvm"))
    faults.act(1.0)
    hosts.know()
    faults.act(1.1)
    begun = [target for what, _, target in hosts.stated() if what == "FaultBegun"]
    assert len(set(begun)) == len(begun) == count == sum(faults.begun.values())
    assert all(target.endswith(".kvm") for target in begun)


def test_err_a_part_of_what_was_asked_for_is_not_done_and_never_is_an_error(
    tmp_path: Path,
) -> None:
    """Three of five at once, and three suffer something else for ever."""
    hosts, faults = machine(tmp_path, of_links("pause", "majority kvm"))
    for k in (1, 2, 3):
        hosts.hosts[f"vm{k}.kvm"].suffers = "crash"
    now = 1.0
    while now < 1.0 + UNDONE_SECONDS - 0.5:
        faults.act(now)
        now += 0.1
    assert faults.undone == [], "it may yet be done"
    while now < 2.0 + UNDONE_SECONDS:
        faults.act(now)
        now += 0.1
    assert faults.undone == ["pause majority kvm: 2 of 3 could be hit at once"]
    assert hosts.stated() == []
    hosts.hosts["vm1.kvm"].suffers = ""
    faults.act(now)
    assert len(hosts.stated()) == 3
    assert faults.undone == []


def test_what_was_due_and_never_done_is_done_after_the_end_and_nothing_else_is(
    tmp_path: Path,
) -> None:
    """A crash is due while its host suffers something; a pause could go on for ever meanwhile."""
    crash = of_links("crash", "vm1.kvm")
    pause = Nemesis("pause", "vm2.kvm", every_seconds=(1.0, 1.0), lasts_seconds=(0.1, 0.1))
    hosts, faults = machine(tmp_path, crash, pause)
    hosts.hosts["vm1.kvm"].suffers = "crash"
    for now in (1.0, 1.5, 2.0):
        faults.act(now)
    assert faults.due(2.0)
    faults.act(9.0)
    assert faults.begun == {"pause vm2.kvm": 2}
    hosts.hosts["vm1.kvm"].suffers = ""
    faults.act(9.2)
    assert faults.begun == {"pause vm2.kvm": 2, "crash vm1.kvm": 1}
    assert not faults.due(9.2)
    assert not faults.undone


def test_who_is_lost_is_not_waited_for(tmp_path: Path) -> None:
    hosts, faults = machine(tmp_path, of_links("pause", "all kvm"))
    hosts.lost["vm1.kvm"] = None
    faults.act(1.0)
    assert [target for _, _, target in hosts.stated()] == [f"vm{k}.kvm" for k in (2, 3, 4, 5)]
    for k in (2, 3, 4, 5):
        hosts.lost[f"vm{k}.kvm"] = None
    faults.act(60.0)
    assert faults.undone == []


def test_a_host_that_runs_two_of_them_is_hit_once(tmp_path: Path) -> None:
    both = Machine(units=(Unit("dmar0"), Unit("dmar1")), devices=(Device("dsa0", "dmar0"),), vms=())
    placement = place(names(both), "packed")
    hosts, faults = plan(
        tmp_path, [of_links("pause", "all unit")], placement, build(both, {}), both
    )
    faults.act(1.0)
    process = hosts.hosts["dmar0"].process
    assert process is not None
    assert process.done == ["pause"]
    assert [target for _, _, target in hosts.stated()] == ["dmar0", "dmar1"]


# --- Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["drop", "duplicate", "delay"])
def test_err_what_never_travels_can_neither_be_lost_nor_come_twice(fault: str) -> None:
    actors, roles = build(MACHINE, {}), names(MACHINE)
    inside = [Nemesis(fault, "vfio -> iommu")]
    with pytest.raises(ExperimentError, match="nothing of 'vfio -> iommu' travels between hosts"):
        check_live(inside, MACHINE, actors, place(roles, "packed"))
    check_live(inside, MACHINE, actors, place(roles, "each"))
    check_live([Nemesis(fault, "vfio")], MACHINE, actors, place(roles, "packed"))
    check_live([Nemesis("partition", "vfio -> iommu")], MACHINE, actors, place(roles, "packed"))


def test_a_delay_may_also_hit_what_travels_to_and_from_hardware() -> None:
    actors, placement = build(MACHINE, {}), place(names(MACHINE), "packed")
    check_live([Nemesis("delay", "iommu -> dmar0")], MACHINE, actors, placement)
    with pytest.raises(ExperimentError, match="'dmar0' is hardware"):
        check_live([Nemesis("drop", "iommu -> dmar0")], MACHINE, actors, placement)
