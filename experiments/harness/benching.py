"""`bench`: how fast it is, here and now.

Each figure stands beside a reference that is measured in turns with it, and their ratio says what a
figure alone cannot: where a machine is slow or busy, both fall.  Nothing is judged by them.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from msgspec import Struct

from clusters.judge import Judge
from clusters.sim.tape import schedule_seed
from clusters.sim.world import Setup, simulate
from experiments.harness.config import load
from experiments.harness.histories import History
from experiments.harness.setup import setup_of
from experiments.models.refcount import MODEL_B
from protocol.facts import RunStarted
from protocol.history import Record, encode_record
from protocol.messages import Start
from protocol.names import PASID_COUNT
from protocol.properties import PROPERTIES, property_named
from protocol.properties.property import Property

SEED: Final = 1
BARE_CALLS: Final = 20_000
ONE: Final = property_named("entries-cleared-before-reclaim")
EXPERIMENTS: Final = Path(__file__).resolve().parents[1] / "ioasid"
CHILD_SECONDS_MAX: Final = 300


class Figure(Struct, frozen=True):
    """`ratio` is figure by reference: of what comes `/s` more is better, of all else less."""

    name: str
    unit: str
    figure: float
    reference: float
    ratio: float


class Effort(Struct, frozen=True):
    """`rounds` of `seconds` for each figure, of which the best counts; and how big things are."""

    rounds: int
    seconds: float
    operations: int
    pasids: int


WHOLE: Final = Effort(rounds=5, seconds=0.5, operations=400, pasids=PASID_COUNT - 1)
QUICK: Final = Effort(rounds=1, seconds=0.001, operations=4, pasids=1_000)


def figures(effort: Effort) -> Iterator[Figure]:
    """All of them, one after the other."""
    for name in ("free_before_unbind", "normal_life"):
        yield from deliveries(name, effort)
    yield from small_schedules(effort)
    yield from checks(effort)
    yield cold_start(effort)
    yield from full_pool(effort)


# --- What is measured -----------------------------------------------------------------------------


def deliveries(name: str, effort: Effort) -> Iterator[Figure]:
    """Of an experiment's schedules, simulated with more and more to look at."""
    setup = setup_of(load(EXPERIMENTS / f"{name}.toml"), name)
    unit, every = "deliveries/s", replace(setup, properties=PROPERTIES)
    plain = schedules(replace(setup, properties=()))
    yield rate(f"{name}, no properties", unit, plain, effort)
    yield rate(f"{name}, all properties", unit, schedules(every), effort)
    yield rate(f"{name}, and its history", unit, schedules(every, history=True), effort)


def small_schedules(effort: Effort) -> Iterator[Figure]:
    """Of a protocol so small that making and ending a world counts, too."""
    go_on = schedules(MODEL_B)

    def one() -> int:
        go_on()
        return 1

    yield rate("model B (27 messages)", "schedules/s", one, effort)


def schedules(setup: Setup, *, history: bool = False) -> Callable[[], int]:
    """At each call one more schedule, and how many deliveries it had."""
    seeds = (schedule_seed(SEED, index) for index in count())

    def go_on() -> int:
        records: list[Record] = []
        keep = records.append if history else None
        return simulate(setup, next(seeds), history=keep).steps

    return go_on


def checks(effort: Effort) -> Iterator[Figure]:
    """Of a stored history, as `check` reads and judges it."""
    changes = (f"guests.operations={effort.operations}", "explore.max_steps=1000000")
    setup = setup_of(load(EXPERIMENTS / "free_before_unbind.toml", changes), "bench")
    records: list[Record] = []
    simulate(setup, SEED, history=records.append)
    with tempfile.TemporaryDirectory(prefix="pasidlab-bench-") as folder:
        path = Path(folder) / "history.jsonl"
        path.write_bytes(b"".join(encode_record(record) + b"\n" for record in records))
        yield rate("check, all properties", "records/s", lambda: judged(path, PROPERTIES), effort)
        yield rate("check, one property", "records/s", lambda: judged(path, (ONE,)), effort)


def judged(path: Path, properties: tuple[type[Property], ...]) -> int:
    """How many records the history has, after they were judged."""
    history = History(path)
    records = history.read()
    started = next(records).fact
    assert isinstance(started, RunStarted)
    judge = Judge(started.machine, properties)
    for record in records:
        judge.observe(record)
    judge.finish(quiet=True)
    return history.count


def cold_start(effort: Effort) -> Figure:
    """From the shell to a verdict, beside a Python that has nothing to do."""
    file = str(EXPERIMENTS / "normal_life.toml")
    with tempfile.TemporaryDirectory(prefix="pasidlab-bench-") as folder:
        words = ["run", file, "--seed", str(SEED), "--runs-dir", folder]
        run = [sys.executable, "-m", "experiments.harness.cli", *words]
        bare = [sys.executable, "-c", ""]
        rounds = [(child_time(run), child_time(bare)) for _ in range(effort.rounds)]
    best, reference = map(min, zip(*rounds, strict=True))
    return beside("run, cold start to verdict", "s", best, reference)


def full_pool(effort: Effort) -> Iterator[Figure]:
    """Every PASID that there is, alive in one core."""
    core, plain = (filled(what, effort.pasids) for what in ("core", "dict"))
    speed = effort.pasids / core["seconds"]
    yield beside(f"{effort.pasids:,} allocations", "/s", speed, effort.pasids / plain["seconds"])
    yield beside(f"{effort.pasids:,} live PASIDs", "MB", core["megabytes"], plain["megabytes"])


# --- How ------------------------------------------------------------------------------------------


def rate(name: str, unit: str, work: Callable[[], int], effort: Effort) -> Figure:
    """How much of `work` is done in a second of this process, beside bare calls."""
    work()
    best = reference = 0.0
    for _ in range(effort.rounds):
        reference = max(reference, per_second(bare_calls, effort.seconds / 5))
        best = max(best, per_second(work, effort.seconds))
    return beside(name, unit, best, reference)


def per_second(work: Callable[[], int], seconds: float) -> float:
    """By the processor's time, so that others on the machine count for less."""
    began, done, spent = time.process_time(), 0, 0.0
    while spent < seconds:
        done += work()
        spent = time.process_time() - began
    return done / spent


def bare_calls() -> int:
    """The reference: messages go through a queue to a handler that does nothing with them."""
    queue: deque[tuple[Start, str]] = deque()
    message = Start()
    for _ in range(BARE_CALLS):
        queue.append((message, "sender"))
        _nothing(*queue.popleft())
    return BARE_CALLS


def _nothing(message: Start, sender: str) -> None:
    pass


def beside(name: str, unit: str, figure: float, reference: float) -> Figure:
    """The figure with its reference."""
    return Figure(name, unit, figure, reference, figure / reference)


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
