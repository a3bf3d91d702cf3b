"""`explore -j`: how many workers there are, and what becomes of them."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from clusters.live.processes import Process, descendants, process
from clusters.sim import summary
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Order
from clusters.worker_processes import Processes
from clusters.workers import Here, Workers, cores
from experiments.harness import exploring
from experiments.harness.exploring import Search
from experiments.harness.jobs import Jobs
from experiments.harness.result import Exit
from experiments.harness.say import Voice
from tests.experiments.command import Command, stored

pytestmark = pytest.mark.long

ROOT: Final = Path(__file__).resolve().parents[2]
SLOW: Final = """
title = "A PASID is nearly always reclaimed by then"
[pool]
pasids = 1
[[process]]
name  = "vm1.guest"
steps = [
  "p = alloc", "bind p dsa0", "unbind p dsa0", "free p",
  "bind #17 dsa0", "bind #17 dsa0", "bind #17 dsa0", "q = alloc -> ok",
]
"""
RARE: Final = ("--strategy", "random", "--seed", "2", "--schedules", "130")
"""Schedule 101 of these is the first that violates."""
SEARCHED: Final = ("--strategy", "breadth-first", "--seed", "7")
UNLUCKY: Final = 143
"""Steps that some of them take."""
ALONE: Final = ("--no-determinism",)
LARGE: Final = 1e6
"""Seconds that a batch is to take: as many schedules as there can be."""
FILE: Final = re.compile(r"/\S+/pasidlab-bug-\S+\.txt")


@pytest.fixture(autouse=True)
def rare(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The experiment, and nobody who asks for workers."""
    (here / "rare.toml").write_text(SLOW)
    monkeypatch.delenv("PASIDLAB_JOBS", raising=False)


def test_determinism_is_checked_by_the_workers_too(pasidlab: Command) -> None:
    words = ("explore", "right.toml", "--seed", "7", "--schedules", "101")
    assert "; determinism checked on 2\n" in pasidlab(*words, "-j", "2").out


# --- What becomes of workers ----------------------------------------------------------------------


class Deadly:
    """Two processes, of which one is killed after each so many batches."""

    def __init__(self, within: Processes) -> None:
        self.within = within
        self.count = within.count
        self.worthwhile = 0.0
        self.batches = 0

    def map(self, *rest: Any) -> Generator[Any, None, None]:  # noqa: ANN401  as it comes
        for answer in self.within.map(*rest):
            if self.batches % 20 == 10:
                killed = process(self.within.pids[self.batches // 20 % 2])
                assert killed is not None
                killed.kill()
            self.batches += 1
            yield answer


@pytest.mark.parametrize("words", [("rare.toml", *RARE, *ALONE), ("right.toml", *SEARCHED)])
def test_a_worker_that_is_killed_changes_nothing(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    words = ("explore", *words)
    code = pasidlab(*words).code
    alone = stored(here)
    replaced = []

    @contextmanager
    def deadly(*_: object) -> Iterator[Workers]:
        with Processes(2) as within:
            yield Deadly(within)
            replaced.append(within.replaced)

    monkeypatch.setattr(Jobs, "workers", deadly)
    assert pasidlab(*words).code == code
    assert stored(here) == alone
    assert replaced[0] >= 2


def dies(*_: object) -> object:
    """In place of a schedule."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("that was survived")


class Broken:
    """Workers that all die of the same job, once the first round is done."""

    count = 2
    worthwhile = 0.0

    def __init__(self, within: Processes) -> None:
        self.within = within
        self.rounds = 0

    def map(self, work: Any, *rest: Any) -> Generator[Any, None, None]:  # noqa: ANN401
        self.rounds += 1
        return self.within.map(work if self.rounds == 1 else dies, *rest)


def test_err_workers_that_die_of_a_job_are_a_cluster_that_failed(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def broken(*_: object) -> Iterator[Workers]:
        with Processes(2) as within:
            yield Broken(within)

    monkeypatch.setattr(Jobs, "workers", broken)
    ran = pasidlab("explore", "right.toml", "--seed", "7", "--schedules", "20")
    assert ran.code == Exit.CLUSTER
    assert "\ncluster failed  after 4 schedules (" in ran.out
    assert "\n  3 worker processes died of the same job, the last was killed by SIGKILL;" in ran.out
    assert ran.last.startswith("again      pasidlab explore right.toml --schedules 20 --seed 0x7")
    assert (stored(here)["verdict"], stored(here)["exit_code"]) == ("cluster failed", 5)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_keeps_what_was_taken_and_leaves_no_worker(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    whole, workers = Search._take, list[Process]()
    others = descendants(os.getpid())  # Of tests beside this one.

    def take(self: Search, *rest: Any) -> None:  # noqa: ANN401  as it comes
        if self.count.schedules == 9:
            workers.extend(one for one in descendants(os.getpid()) if one not in others)
            os.kill(os.getpid(), number)
        whole(self, *rest)

    monkeypatch.setattr(Search, "_take", take)
    ran = pasidlab("explore", "right.toml", "--seed", "7", "--schedules", "100", "-j", "2")
    assert ran.code == Exit.INTERRUPTED
    assert "\ninterrupted  after 9 schedules (" in ran.out
    assert stored(here)["counts"]["schedules"] == 9
    assert len(workers) == 2
    assert not [one for one in workers if one.state]


def test_ctrl_c_on_a_terminal_ends_the_workers_with_the_command(here: Path) -> None:
    line = (sys.executable, "-m", "experiments.harness.cli", "explore", "right.toml", "-q")
    run = subprocess.Popen(
        [*line, "-j", "2", "--schedules", "1000000", "--no-determinism"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while len(workers := descendants(run.pid)) < 2:
        assert run.poll() is None
    os.killpg(run.pid, signal.SIGINT)
    out, err = run.communicate()
    assert (run.returncode, err) == (Exit.INTERRUPTED, "")
    assert out.splitlines()[1].startswith("interrupted  after ")
    while [one for one in workers if one.state]:
        pass  # Killed, and until somebody has taken note of it, still there.
    assert stored(here)["exit_code"] == Exit.INTERRUPTED


# --- A job that raises ----------------------------------------------------------------------------


def _steps(result: RunResult) -> int:
    if result.world.step == UNLUCKY:
        raise AssertionError("an unlucky number")
    return result.world.step


def clumsy(charge: summary.Charge, orders: list[Order]) -> summary.Batch:
    """`run_batch` of a version in which a run must not have an unlucky number of steps."""
    before = RunResult.steps
    RunResult.steps = property(_steps)  # type: ignore[method-assign,assignment]
    try:
        return summary.run_batch(charge, orders)
    finally:
        RunResult.steps = before  # type: ignore[method-assign]


def test_err_a_bug_of_ours_is_named_with_its_schedule_by_any_number_of_workers(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exploring, "run_batch", clumsy)
    monkeypatch.setattr(Processes, "worthwhile", LARGE)
    said = []
    for number in ("1", "2"):
        ran = pasidlab("explore", "rare.toml", *RARE, "-q", "-j", number)
        assert ran.code == Exit.OUR_BUG
        assert "in _steps\n" in Path(FILE.findall(ran.err)[0]).read_text()
        said.append(FILE.sub("<file>", ran.err))
    assert said[0] == said[1]
    assert (
        "this is a bug in pasidlab: AssertionError: an unlucky number; details in <file>" in said[0]
    )
    assert said[0].splitlines()[-1].startswith("  again  pasidlab replay ")


# --- How many -------------------------------------------------------------------------------------


def number_of(pasidlab: Command, monkeypatch: pytest.MonkeyPatch, *words: str) -> Jobs:
    """What the command line asks for."""
    asked: list[Jobs] = []

    def workers(self: Jobs, *_: object) -> object:
        asked.append(self)
        return nullcontext(Here())

    monkeypatch.setattr(Jobs, "workers", workers)
    assert pasidlab("explore", "right.toml", "--schedules", "2", *words).code == 0
    return asked[0]


def test_how_many_is_an_option_or_the_environment(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert number_of(pasidlab, monkeypatch).number is None
    assert number_of(pasidlab, monkeypatch, "-j", "auto").number == 0
    assert number_of(pasidlab, monkeypatch, "--jobs", "0").number == 0
    monkeypatch.setenv("PASIDLAB_JOBS", "5")
    assert number_of(pasidlab, monkeypatch).number == 5
    assert number_of(pasidlab, monkeypatch, "-j", "3").number == 3


@pytest.mark.parametrize(("number", "count"), [(None, 1), (1, 1), (2, 2), (0, cores())])
def test_one_job_needs_no_process_and_auto_is_one_for_each_core(
    number: int | None, count: int
) -> None:
    others = descendants(os.getpid())  # Of tests beside this one.
    with Jobs(number).workers(Voice()) as workers:
        assert workers.count == count
        mine = [one for one in descendants(os.getpid()) if one not in others]
        assert len(mine) == (count if count > 1 else 0)


@pytest.mark.parametrize("number", ["-1", "257", "two", "", "1.5"])
def test_err_a_number_of_jobs_that_is_none(pasidlab: Command, number: str) -> None:
    ran = pasidlab("explore", "right.toml", f"--jobs={number}")
    assert ran.code == Exit.USAGE
    assert f"'{number}' is not a number of jobs: 1 to 256, or 0 or auto for one on each" in ran.err


def test_err_an_address_without_ray_and_a_place_that_is_not_known(pasidlab: Command) -> None:
    ran = pasidlab("explore", "right.toml", "--address", "127.0.0.1:6379")
    assert ran.code == Exit.USAGE
    assert "--address names a Ray cluster, so it goes with --on ray" in ran.err
    ran = pasidlab("explore", "right.toml", "--on", "rai")
    assert ran.code == Exit.USAGE
    assert "'rai' is not a place to work; did you mean 'ray'? (one of: here, ray)" in ran.err
