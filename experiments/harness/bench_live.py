"""What `bench` measures on Ray: messages, the latency of one life, and how soon a host is back.

The reference is Ray itself in the same minute: one call per message and no journal, a call there
and back, a process that has nothing to remember.  Only who names these figures gets them: they
start a Ray.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from clusters.live.live_setup import LiveSetup
from clusters.live.reexecute import reexecute
from clusters.live.run import LiveRun
from experiments.harness.bench_journal import FILE, HOST, PLAN, PREFIX, live
from experiments.harness.config import Experiment, load, machine_of, plans_of, read_experiment
from experiments.harness.measuring import SEED, Amounts, Effort, Measurement, Yardstick
from protocol.errors import ExperimentError
from protocol.facts import OpInvoked, PasidAllocated, PasidReclaimed
from protocol.history import Record
from protocol.names import Pasid

if TYPE_CHECKING:
    from clusters.live.ray_cluster import RayCluster

GROUP: Final = "live"
NOISE: Final = 0.4
"""Processes and their scheduling are shared with others."""
CALLS: Final = 20
"""Operations of a guest for each of which the reference makes so many calls."""
KILLS: Final = 3

MANY: Final = """
title = "As many lives at once as there are guests, and more"
[pool]
pasids = 1024
[[machine.unit]]
name = "dmar0"
prq = 64
[[machine.device]]
name = "dsa0"
unit = "dmar0"
wq_size = 1024
[guests]
count = {guests}
operations = {operations}
mix = {{ alloc = 4, bind = 3, enable = 1, dma = 3, unbind = 2, free = 2 }}
"""
LIFE: Final = ("p = alloc", "bind p dsa0", "dma p dsa0 x4", "unbind p dsa0", "free p")


def on_ray(effort: Effort) -> Iterator[Measurement]:
    """Each with a Ray of its own, so that one that was ended in the middle leaves nothing."""
    crowd = f"{GROUP}, {effort.guests} lives at once"
    yield Measurement(
        (Yardstick(crowd, "messages/s", "one Ray call per message, no journal", NOISE),),
        lambda: messages(effort),
    )
    yield Measurement(
        (
            Yardstick(f"{GROUP}, one life, median", "ms", "a call there and back", NOISE),
            Yardstick(f"{GROUP}, one life, p99", "ms", "its p99", NOISE),
        ),
        lambda: latencies(effort),
    )
    beside = "a Ray actor with nothing to remember"
    yield Measurement(
        (
            Yardstick(f"{GROUP}, killed and back", "s", beside, NOISE),
            Yardstick(f"{GROUP}, back after {effort.messages:,} inputs", "s", beside, NOISE),
        ),
        lambda: recoveries(effort),
    )


@contextmanager
def ray(hosts: int) -> Iterator["RayCluster"]:
    """One of our own."""
    if find_spec("ray") is None:
        raise ExperimentError("the live figures need Ray: pip install 'pasidlab[live]'")
    from clusters.live.ray_cluster import RayCluster

    with RayCluster(hosts) as cluster:
        yield cluster


# --- Messages -------------------------------------------------------------------------------------


class Crowd:
    """Sees when at least so many PASIDs were alive, and counts what was handled meanwhile."""

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.alive = self.most = self.inputs = self.lives = 0
        self.began_ns = self.ended_ns = 0
        self._last = ("", 0)

    def __call__(self, record: Record) -> None:
        """A record of the re-execution; each input has at least one."""
        stamp = record.stamp
        match record.fact:
            case PasidAllocated():
                self.alive += 1
                self.most = max(self.most, self.alive)
            case PasidReclaimed():
                self.alive -= 1
                self.lives += 1
            case _:
                pass
        if self.alive < self.wanted and self.began_ns:
            return
        if (stamp.actor, stamp.n) == self._last or not stamp.ts_ns:
            return
        self._last = (stamp.actor, stamp.n)
        if self.alive >= self.wanted:
            self.began_ns = self.began_ns or stamp.ts_ns
            self.ended_ns = stamp.ts_ns
            self.inputs += 1

    @property
    def rate(self) -> float:
        """Inputs a second while that many were alive."""
        assert self.inputs, f"at most {self.most} PASIDs were alive at once, not {self.wanted}"
        return self.inputs / max((self.ended_ns - self.began_ns) / 1e9, 1e-6)


def messages(effort: Effort) -> Iterator[Amounts]:
    """All guests at once: two hosts of guests, and one that is the machine."""
    from clusters.live.bare_ray import pipelined

    text = MANY.format(guests=effort.guests, operations=effort.live_operations)
    experiment = read_experiment(text, "bench")
    crowd = Crowd(effort.guests)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, ray(3) as cluster:
        calls = CALLS * effort.live_operations
        before = pipelined(calls)
        run = lived(experiment, Path(folder) / "run", cluster)
        reference = max(before, pipelined(calls))
        match = reexecute(Path(folder) / "run", crowd)
    assert match.whole, match
    frames, batches = run.counts["frames"], max(run.counts["calls"], 1)
    note = (
        f"{match.total:,} messages, all re-executed, {frames / match.total:.0%} between processes,"
        f" {frames / batches:.0f} a call; at most {crowd.most} PASIDs alive"
    )
    yield crowd.rate, reference, note


def lived(experiment: Experiment, folder: Path, cluster: "RayCluster") -> LiveRun:
    """A live run without faults; nobody judges it."""
    setup = LiveSetup(
        machine=machine_of(experiment, "bench"),
        plans=plans_of(experiment, "bench"),
        seed=SEED,
        folder=folder,
        placement="kernel",
        hosts=3,
    )
    run = LiveRun(setup, lambda _: None)
    run.prepare()
    run.live(cluster)
    if run.interrupted:
        raise KeyboardInterrupt
    assert run.quiet, run.reasons
    return run


# --- One life -------------------------------------------------------------------------------------


class Lives:
    """How long each life takes: from where its guest asks for a PASID until that is reclaimed."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._asked_ns = 0
        self._began: dict[Pasid, int] = {}

    def __call__(self, record: Record) -> None:
        """One more record."""
        match record.fact:
            case OpInvoked(operation="alloc"):
                self._asked_ns = record.stamp.ts_ns
            case PasidAllocated(pasid=pasid):
                self._began[pasid] = self._asked_ns
            case PasidReclaimed(pasid=pasid):
                self.times.append((record.stamp.ts_ns - self._began.pop(pasid)) / 1e6)
            case _:
                pass


def latencies(effort: Effort) -> Iterator[Amounts]:
    """One guest, one life after the other, nobody else."""
    from clusters.live.bare_ray import round_trips

    steps = [step for _ in range(effort.lives) for step in LIFE]
    experiment = read_experiment(one_guest(steps), "bench")
    lives = Lives()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, ray(3) as cluster:
        beside = [1e3 * one for one in round_trips(effort.live_operations * CALLS)]
        run = lived(experiment, Path(folder) / "run", cluster)
        match = reexecute(Path(folder) / "run", lives)
    assert match.whole, match
    times = sorted(lives.times)
    calls = run.counts["calls"] / len(times)
    note = f"{len(times)} lives of {len(LIFE)} operations, {calls:.0f} calls each"
    yield quantile(times, 0.5), quantile(beside, 0.5), note
    yield quantile(times, 0.99), quantile(beside, 0.99)


def one_guest(steps: list[str]) -> str:
    """An experiment with nobody else."""
    listed = ", ".join(f'"{step}"' for step in steps)
    return (
        'title = "One life after the other"\n[guests]\ncount = 1\n[[process]]\n'
        f'name = "vm1.guest"\nsteps = [{listed}]\n'
    )


def quantile(times: list[float], share: float) -> float:
    """Of what is sorted."""
    return times[min(int(share * len(times)), len(times) - 1)]


# --- Coming back ----------------------------------------------------------------------------------


def recoveries(effort: Effort) -> Iterator[Amounts]:
    """Killed, noticed by Ray, started again, its journal lived again: until it answers."""
    from clusters.live.bare_ray import host_reborn, reborn
    from clusters.live.cast import Cast
    from clusters.live.ray_host import Charge

    experiment = load(FILE, (PLAN,))
    who = Cast(machine_of(experiment, str(FILE)), plans_of(experiment, str(FILE)))
    placement = dict.fromkeys(who.roles(), HOST)
    with ray(3) as cluster:
        reference = min(reborn() for _ in range(KILLS))
        for inputs in (1, effort.messages):
            with tempfile.TemporaryDirectory(prefix=PREFIX) as folder:
                at = str(Path(folder) / f"{HOST}.sqlite")
                live(at, inputs, 2 * effort.messages)
                times = []
                for number in range(KILLS):
                    charge = Charge(
                        HOST, f"bench-{inputs}-{number}", who, placement, SEED, (), "process",
                        at, folder, 4 * effort.messages,
                    )  # fmt: skip
                    times.append(host_reborn(charge, cluster))
            yield sorted(times)[KILLS // 2], reference
