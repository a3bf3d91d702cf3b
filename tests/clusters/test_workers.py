"""Workers: the same answers in the same order, whoever does the jobs and whoever dies of them."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from clusters.live.processes import Process, descendants, process
from clusters.tasks import AHEAD
from clusters.worker_processes import Processes
from clusters.workers import ElsewhereError, Here, JobError, Workers
from protocol.errors import ClusterError, ExperimentError
from tests.clusters import workloads
from tests.clusters.workloads import Counted

pytestmark = pytest.mark.long

SQUARES = [n * n + 1 for n in range(60)]


@pytest.fixture(scope="module")
def two() -> Iterator[Processes]:
    """Two workers that several tests share."""
    with Processes(2) as workers:
        yield workers


def until(condition: Callable[[], bool]) -> None:
    """Wait for it; pytest's time-out is the bound."""
    while not condition():
        os.sched_yield()


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_answers_come_in_the_order_of_the_jobs(count: int) -> None:
    if not count:
        assert list(Here().map(workloads.square, 1, range(60))) == SQUARES
        return
    with Processes(count) as workers:
        assert list(workers.map(workloads.square, 1, range(60))) == SQUARES
        assert list(workers.map(workloads.square, 1, range(0))) == []
        assert list(workers.map(workloads.square, 1, range(60))) == SQUARES


def test_what_is_shared_goes_to_each_worker_once() -> None:
    with Processes(2) as workers:
        seen = [*workers.map(workloads.unpickled, Counted(), range(20))]
        seen += workers.map(workloads.unpickled, Counted(), range(20))
        pids = workers.pids
    assert {count for _, count in seen} == {1}
    assert {pid for pid, _ in seen} <= {*pids}


def test_jobs_are_taken_as_workers_come_free(two: Processes) -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    answers = two.map(workloads.square, 0, jobs())
    assert [next(answers) for _ in range(5)] == [0, 1, 4, 9, 16]
    assert len(taken) <= 5 + AHEAD * two.count
    answers.close()


def test_a_map_that_is_given_up_leaves_nothing_to_the_next(two: Processes) -> None:
    for _ in range(3):
        given_up = two.map(workloads.square, 0, range(60))
        assert next(given_up) == 0
        given_up.close()
        assert list(two.map(workloads.square, 1, range(60))) == SQUARES


@pytest.mark.parametrize("workers", [Here(), Processes(2)])
def test_err_what_a_job_raises_is_raised_in_its_turn(workers: Workers) -> None:
    if isinstance(workers, Processes):
        workers.__enter__()
    answers = workers.map(workloads.raises, "ours", range(9))
    assert [next(answers) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three is too many") as raised:
        next(answers)
    assert raised.value.__notes__ == ["try two"]
    if isinstance(workers, Processes):
        workers.close()
        assert isinstance(raised.value.__cause__, ElsewhereError)
        assert "in raises\n" in str(raised.value.__cause__)


def test_err_what_cannot_travel_comes_in_words(two: Processes) -> None:
    with pytest.raises(JobError, match="OddError: this and that"):
        list(two.map(workloads.raises, "odd", range(9)))
    with pytest.raises(ClusterError, match=r"^one sentence$"):
        list(two.map(workloads.raises, "said", range(9)))
    with pytest.raises((AttributeError, JobError), match=r"pickle.*lambda"):
        list(two.map(workloads.unspeakable, None, [1]))


def test_err_work_without_a_name_is_refused(two: Processes) -> None:
    with pytest.raises(ExperimentError, match=r"cannot be imported by name.*lambda>"):
        list(two.map(lambda _, job: job, None, [1]))


def test_a_worker_that_is_killed_in_the_middle_changes_no_answer() -> None:
    with Processes(2) as workers:
        answers = []
        for k, answer in enumerate(workers.map(workloads.square, 1, range(60))):
            answers.append(answer)
            if k in (3, 20):
                os.kill(workers.pids[0], signal.SIGKILL)
                killed = process(workers.pids[0])
                until(lambda killed=killed: not (killed and killed.state))  # type: ignore[misc]
        assert answers == SQUARES
        assert workers.replaced == 2


def test_a_worker_that_dies_of_a_job_is_replaced_and_the_job_is_done(tmp_path: Path) -> None:
    said: list[str] = []
    with Processes(2, notice=said.append) as workers:
        before = workers.pids
        answers = workers.map(workloads.dies_once, tmp_path / "gate", range(20))
        assert list(answers) == list(range(20))
        assert len(set(before) & set(workers.pids)) == 1
    assert said == ["a worker process was killed by SIGKILL; another does its jobs"]


def test_a_worker_that_is_killed_while_idle_is_replaced(two: Processes) -> None:
    idle = process(two.pids[0])
    assert idle is not None
    idle.kill()
    assert list(two.map(workloads.square, 1, range(60))) == SQUARES
    assert idle.pid not in two.pids


def test_err_a_job_that_kills_every_worker_is_named_as_the_cause() -> None:
    with Processes(2) as workers:
        answers = workers.map(workloads.dies, None, range(20))
        assert [next(answers) for _ in range(5)] == [0, 1, 2, 3, 4]
        with pytest.raises(
            ClusterError, match=r"^3 worker processes died of the same job, the last"
        ):
            next(answers)


def test_err_the_last_words_of_a_worker_are_said() -> None:
    with (
        Processes(1) as workers,
        pytest.raises(ClusterError, match="ended with 7, saying: the disk is on fire;"),
    ):
        list(workers.map(workloads.leaves, None, [7]))


def test_a_hash_seed_is_the_same_in_all_and_else_in_none() -> None:
    def hashes(hash_seed: str) -> set[int]:
        with Processes(1, hash_seed=hash_seed) as first, Processes(1, hash_seed=hash_seed) as last:
            every = [next(one.map(workloads.hash_of, None, ["word"])) for one in (first, last)]
        return set(every)

    assert hashes("1") == hashes("1")
    assert len(hashes("1")) == 1
    assert hashes("1") != hashes("2")


# --- How they end ---------------------------------------------------------------------------------

PROGRAM = """
import sys
from pathlib import Path
from clusters.tasks import AHEAD
from clusters.worker_processes import Processes
from tests.clusters import workloads
with Processes(2) as workers:
    try:
        for answer in workers.map(workloads.waits, Path(sys.argv[1]), range(9)):
            print(answer, flush=True)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


def waiting(folder: Path) -> tuple["subprocess.Popen[str]", list[Process]]:
    """A program whose workers are all in the middle of a job, and they."""
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder / "gate")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(list(folder.glob("gate-*"))) == 2)
    return program, descendants(program.pid)


def test_workers_end_in_the_middle_of_a_job_when_they_are_not_needed(tmp_path: Path) -> None:
    with Processes(2) as workers:
        answers = workers.map(workloads.waits, tmp_path / "gate", range(9))
        assert [next(answers), next(answers)] == [0, 1]
        ours = [process(pid) for pid in workers.pids]
    assert not [one for one in ours if one is not None and one.state]


def test_ctrl_c_ends_all_at_once(tmp_path: Path) -> None:
    program, workers = waiting(tmp_path)
    assert len(workers) == 2
    os.killpg(program.pid, signal.SIGINT)  # As a terminal does it.
    said, _ = program.communicate()
    assert said.splitlines() == ["0", "1", "interrupted"]
    assert program.returncode == 0
    assert not [one for one in workers if one.state]


def test_ctrl_c_is_the_parents_affair_alone(tmp_path: Path) -> None:
    program, workers = waiting(tmp_path)
    for one in workers:
        status = Path(f"/proc/{one.pid}/status").read_text()
        ignored = next(line for line in status.splitlines() if line.startswith("SigIgn:"))
        assert int(ignored.split()[1], 16) & (1 << (signal.SIGINT - 1))
        assert os.getpgid(one.pid) == one.pid
    program.kill()
    program.communicate()


def test_workers_do_not_outlive_a_program_that_is_killed(tmp_path: Path) -> None:
    program, workers = waiting(tmp_path)
    program.kill()
    program.communicate()
    until(lambda: not [one for one in workers if one.state])
