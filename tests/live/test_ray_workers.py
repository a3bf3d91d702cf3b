"""Jobs as tasks on a real Ray: the same answers, also when a worker process is killed."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import ray

from clusters.live.processes import descendants, process
from clusters.live.ray_cluster import RayCluster
from clusters.live.ray_workers import RayWorkers
from clusters.workers import ElsewhereError, JobError, Workers
from experiments.harness.jobs import Jobs
from experiments.harness.result import Exit
from protocol.errors import ClusterError
from tests.clusters import workloads
from tests.clusters.workloads import Counted
from tests.experiments.command import RIGHT, Command, command, stored
from tests.experiments.test_explore_jobs import ALONE, RARE, SEARCHED, SLOW

pytestmark = pytest.mark.live

ROOT: Final = Path(__file__).resolve().parents[2]
SQUARES: Final = [n * n + 1 for n in range(60)]


@pytest.fixture
def workers(cluster: RayCluster) -> Iterator[RayWorkers]:
    with RayWorkers(2, inside=cluster) as there:
        yield there


@pytest.fixture
def pasidlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command line in a folder with an experiment."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rare.toml").write_text(SLOW)
    (tmp_path / "right.toml").write_text(RIGHT)
    return command(capsys)


def test_answers_come_in_the_order_of_the_jobs(workers: RayWorkers) -> None:
    assert list(workers.map(workloads.square, 1, range(60))) == SQUARES
    assert list(workers.map(workloads.square, 1, range(0))) == []
    given_up = workers.map(workloads.square, 0, range(60))
    assert next(given_up) == 0
    given_up.close()
    assert list(workers.map(workloads.square, 1, range(60))) == SQUARES


def test_what_is_shared_is_read_once_by_each_process(workers: RayWorkers) -> None:
    seen = [*workers.map(workloads.unpickled, Counted(), range(40))]
    seen += workers.map(workloads.unpickled, Counted(), range(40))
    assert {count for _, count in seen} == {1}


def test_err_what_a_job_raises_is_raised_in_its_turn(workers: RayWorkers) -> None:
    answers = workers.map(workloads.raises, "ours", range(9))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three is too many") as raised:
        next(answers)
    assert raised.value.__notes__ == ["try two"]
    assert isinstance(raised.value.__cause__, ElsewhereError)
    with pytest.raises(JobError, match="OddError: this and that"):
        list(workers.map(workloads.raises, "odd", range(9)))
    with pytest.raises(ClusterError, match=r"^one sentence$"):
        list(workers.map(workloads.raises, "said", range(9)))


def test_a_worker_that_dies_of_a_job_is_replaced_and_the_job_is_done(
    workers: RayWorkers, tmp_path: Path
) -> None:
    answers = workers.map(workloads.dies_once, tmp_path / "gate", range(20))
    assert list(answers) == list(range(20))


def test_err_a_job_that_kills_every_worker_is_a_cluster_that_failed(workers: RayWorkers) -> None:
    with pytest.raises(ClusterError, match=r"^Ray did not do a job: "):
        list(workers.map(workloads.dies, None, range(20)))


# --- explore --on ray -----------------------------------------------------------------------------


class Deadly:
    """Workers on Ray; the process that has done the latest batch is killed, twice."""

    count = 2
    worthwhile = 0.0

    def __init__(self, within: RayWorkers) -> None:
        self.within = within
        self.killed: list[int] = []
        self.batches = 0

    def map(self, *rest: Any) -> Generator[Any, None, None]:  # noqa: ANN401  as it comes
        for answer in self.within.map(*rest):
            self.batches += 1
            if self.batches in (10, 30):
                latest = process(self.within.pids[-1])
                assert latest is not None
                latest.kill()
                self.killed.append(latest.pid)
            yield answer


@pytest.mark.parametrize(
    "words",
    [
        ("rare.toml", *RARE, *ALONE),
        ("rare.toml", *RARE, *ALONE, "--keep-going"),
        ("right.toml", *SEARCHED),
    ],
)
def test_a_killed_ray_worker_changes_neither_verdict_nor_counterexample(
    pasidlab: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cluster: RayCluster,
    words: tuple[str, ...],
) -> None:
    words = ("explore", *words)
    code = pasidlab(*words).code
    alone = stored(tmp_path)
    killed = []

    @contextmanager
    def deadly(*_: object) -> Iterator[Workers]:
        with RayWorkers(2, inside=cluster) as within:
            workers = Deadly(within)
            yield workers
            killed.extend(workers.killed)
            assert not set(killed) & set(within.pids[-1:])

    monkeypatch.setattr(Jobs, "workers", deadly)
    assert pasidlab(*words).code == code
    assert stored(tmp_path) == alone
    assert len(killed) == 2


def line(*words: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "experiments.harness.cli", "explore", "rare.toml", *words)


def test_a_ray_of_its_own_is_named_and_ends_with_the_command(
    pasidlab: Command, tmp_path: Path
) -> None:
    pasidlab("explore", "rare.toml", *RARE)
    alone = stored(tmp_path)
    run = subprocess.Popen(
        line(*RARE, "--on", "ray", "-j", "2"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    out, err = run.communicate()
    assert run.returncode == Exit.VIOLATION, err
    assert err.startswith("ray        started here, for this run only: Ray 2.")
    assert "2 CPUs" in err.splitlines()[0]
    assert "schedule 101 of 130" in out
    assert stored(tmp_path) == alone


def test_a_ray_that_the_user_names_is_attached_to_and_left_as_it_was(
    pasidlab: Command, tmp_path: Path, cluster: RayCluster, workers: RayWorkers
) -> None:
    assert "started here" in cluster.name
    pasidlab("explore", "rare.toml", *RARE, "--keep-going")
    alone = stored(tmp_path)
    address = ray.get_runtime_context().gcs_address
    run = subprocess.Popen(
        line(*RARE, "--keep-going", "--on", "ray", "--address", address),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    _, err = run.communicate()
    assert run.returncode == Exit.VIOLATION, err
    assert err.startswith(f"ray        attached to {address}: Ray 2.")
    assert stored(tmp_path) == alone
    assert list(workers.map(workloads.square, 1, range(60))) == SQUARES


@pytest.mark.usefixtures("pasidlab")
def test_ctrl_c_ends_the_command_and_its_ray(tmp_path: Path) -> None:
    run = subprocess.Popen(
        line("--schedules", "1000000", "--keep-going", "--on", "ray"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stderr is not None
    assert run.stderr.readline().startswith("ray        started here")
    processes = descendants(run.pid)
    assert len(processes) > 3
    os.killpg(run.pid, signal.SIGINT)
    run.communicate()
    assert run.returncode in (Exit.INTERRUPTED, Exit.VIOLATION)
    assert not [one for one in processes if one.state]
    (folder,) = (tmp_path / "runs" / "rare").glob("2*")
    assert json.loads((folder / "result.json").read_text())["exit_code"] == run.returncode
