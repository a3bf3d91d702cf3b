"""`bench`: how fast it is, here and now."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from clusters.judge import Judge
from clusters.sim.tape import schedule_seed
from clusters.sim.world import Setup, simulate
from experiments.harness.bench_bugs import bugs
from experiments.harness.bench_engine import engines
from experiments.harness.bench_journal import journals
from experiments.harness.config import load
from experiments.harness.histories import History
from experiments.harness.measuring import (
    SEED,
    Amounts,
    Effort,
    Figure,
    Measurement,
    Yardstick,
    rate,
)
from experiments.harness.setup import setup_of
from experiments.models.refcount import MODEL_B
from protocol.errors import ExperimentError, nearest
from protocol.facts import RunStarted
from protocol.history import Record, encode_record
from protocol.machine import Machine
from protocol.properties import PROPERTIES, property_named
from protocol.properties.concerning import concerns
from protocol.properties.property import Property

ONE: Final = property_named("entries-cleared-before-reclaim")
EXPERIMENTS: Final = Path(__file__).resolve().parents[1] / "ioasid"
CHILD_SECONDS_MAX: Final = 300
START_NOISE: Final = 0.3
MEMORY_NOISE: Final = 0.05


def measurements(effort: Effort) -> list[Measurement]:
    """All that can be measured, in the order in which it is."""
    return [
        *deliveries("free_before_unbind", effort),
        *deliveries("normal_life", effort),
        small_schedules(effort),
        *bugs(effort),
        *engines(effort),
        *checks(effort),
        *journals(effort),
        cold_start(effort),
        full_pool(effort),
    ]


def chosen(words: Sequence[str], effort: Effort) -> list[str]:
    """The names of the figures that are named by a word or a part of theirs; no words: all."""
    names = [one.name for each in measurements(effort) for one in each.yardsticks]
    found: dict[str, None] = {}
    for word in words:
        matching = [name for name in names if word.casefold() in name.casefold()]
        if word in names:
            matching = [word]
        if not matching or not word.strip():
            parts = [part.strip(",:()") for name in names for part in name.split()]
            hint = nearest(word, names) or nearest(word, parts)
            raise ExperimentError(f"'{word}' is no figure{hint} (see: pasidlab bench --list)")
        found |= dict.fromkeys(matching)
    return [name for name in names if name in found] if words else names


def figures(names: Collection[str], effort: Effort) -> Iterator[Figure]:
    """Those of these names, one after the other."""
    for each in measurements(effort):
        if any(one.name in names for one in each.yardsticks):
            for figure in each.figures():
                if figure.name in names:
                    yield figure


# --- What is measured -----------------------------------------------------------------------------


def deliveries(name: str, effort: Effort) -> Iterator[Measurement]:
    """Of an experiment's schedules, simulated with more and more to look at."""
    setup = setup_of(load(EXPERIMENTS / f"{name}.toml"), name)
    unit, every = "deliveries/s", replace(setup, properties=judging(setup.machine))
    plain = schedules(replace(setup, properties=()))
    yield rate(f"{name}, no properties", unit, plain, effort)
    yield rate(f"{name}, all properties", unit, schedules(every), effort)
    yield rate(f"{name}, and its history", unit, schedules(every, history=True), effort)


def judging(machine: Machine) -> tuple[type[Property], ...]:
    """All that a history of the machine could break, and all witnesses of it."""
    return tuple(one for one in PROPERTIES if concerns(one, machine))


def small_schedules(effort: Effort) -> Measurement:
    """Of a protocol so small that making and ending a world counts, too."""
    go_on = schedules(MODEL_B)

    def one() -> int:
        go_on()
        return 1

    return rate("model B (27 messages)", "schedules/s", one, effort)


def schedules(setup: Setup, *, history: bool = False) -> Callable[[], int]:
    """At each call one more schedule, and how many deliveries it had."""
    seeds = (schedule_seed(SEED, index) for index in count())

    def go_on() -> int:
        records: list[Record] = []
        keep = records.append if history else None
        return simulate(setup, next(seeds), history=keep).steps

    return go_on


def checks(effort: Effort) -> Iterator[Measurement]:
    """Of a stored history, as `check` reads and judges it."""
    for what, properties in {"all properties": (), "one property": (ONE,)}.items():
        yield stored(f"check, {what}", properties, effort)


def stored(name: str, properties: tuple[type[Property], ...], effort: Effort) -> Measurement:
    """The history is made when it is wanted."""
    path: Path

    def work() -> int:
        return judged(path, properties)

    measured = rate(name, "records/s", work, effort)

    def measure() -> Iterator[Amounts]:
        nonlocal path
        changes = (f"guests.operations={effort.operations}", "explore.max_steps=1000000")
        setup = setup_of(load(EXPERIMENTS / "free_before_unbind.toml", changes), "bench")
        records: list[Record] = []
        simulate(setup, SEED, history=records.append)
        with tempfile.TemporaryDirectory(prefix="pasidlab-bench-") as folder:
            path = Path(folder) / "history.jsonl"
            path.write_bytes(b"".join(encode_record(record) + b"\n" for record in records))
            yield from measured.measure()

    return Measurement(measured.yardsticks, measure)


def judged(path: Path, properties: tuple[type[Property], ...]) -> int:
    """How many records the history has, after they were judged; by all without a property."""
    history = History(path)
    records = history.read()
    started = next(records).fact
    assert isinstance(started, RunStarted)
    judge = Judge(started.machine, properties or judging(started.machine))
    history.only(judge.observed)
    for record in records:
        judge.observe(record)
    judge.finish(quiet=True)
    return history.count


def cold_start(effort: Effort) -> Measurement:
    """From the shell to a verdict."""
    name, beside = "run, cold start to verdict", "a Python that does nothing"

    def measure() -> Iterator[Amounts]:
        file = str(EXPERIMENTS / "normal_life.toml")
        with tempfile.TemporaryDirectory(prefix="pasidlab-bench-") as folder:
            words = ["run", file, "--seed", str(SEED), "--runs-dir", folder]
            run = [sys.executable, "-m", "experiments.harness.cli", *words]
            bare = [sys.executable, "-c", ""]
            rounds = [(child_time(run), child_time(bare)) for _ in range(effort.rounds)]
        best, reference = map(min, zip(*rounds, strict=True))
        yield best, reference

    return Measurement((Yardstick(name, "s", beside, START_NOISE),), measure)


def full_pool(effort: Effort) -> Measurement:
    """Every PASID that there is, alive in one core."""
    beside = "a dict of that size"

    def measure() -> Iterator[Amounts]:
        core, plain = (filled(what, effort.pasids) for what in ("core", "dict"))
        yield effort.pasids / core["seconds"], effort.pasids / plain["seconds"]
        yield core["megabytes"], plain["megabytes"]

    return Measurement(
        (
            Yardstick(f"{effort.pasids:,} allocations", "/s", beside),
            Yardstick(f"{effort.pasids:,} live PASIDs", "MB", beside, MEMORY_NOISE),
        ),
        measure,
    )


# --- How ------------------------------------------------------------------------------------------


def child_time(command: list[str]) -> float:
    """How long a process takes; what it says is not wanted."""
    began = time.perf_counter()
    done = _child(command)
    spent = time.perf_counter() - began
    assert done.returncode in (0, 3), done.stderr  # Of one schedule the verdict may be unknown.
    return spent


def filled(what: str, pasids: int) -> dict[str, float]:
    """What `experiments.harness.full_pool` says, in a process whose memory is all its own."""
    done = _child([sys.executable, "-m", "experiments.harness.full_pool", what, str(pasids)])
    assert done.returncode == 0, done.stderr
    said: dict[str, float] = json.loads(done.stdout)
    return said


def _child(command: list[str]) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=False, timeout=CHILD_SECONDS_MAX
    )
