import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.live import processes
from clusters.live.processes import Process, descendants, end, process, using
from clusters.live.watchdog import Watchdog, watch
from protocol.errors import ClusterError

SLEEP = "import time; print(flush=True); time.sleep(60)"


@pytest.fixture
def sleeper() -> Iterator["subprocess.Popen[str]"]:
    """A process that does nothing for a minute."""
    child = subprocess.Popen([sys.executable, "-c", SLEEP], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def found(child: "subprocess.Popen[str]") -> Process:
    its = process(child.pid)
    assert its is not None
    return its


def test_a_process_is_stopped_and_goes_on_and_each_is_seen(
    sleeper: "subprocess.Popen[str]",
) -> None:
    its = found(sleeper)
    its.pause()
    assert its.state == "T"
    its.resume()
    assert its.state in {"R", "S"}


def test_a_killed_process_is_gone_also_before_anybody_waited_for_it(
    sleeper: "subprocess.Popen[str]",
) -> None:
    its = found(sleeper)
    its.pause()
    its.kill()
    assert its.state == ""
    assert sleeper.wait() == -9


def test_err_another_process_with_the_same_number_is_left_alone(
    sleeper: "subprocess.Popen[str]",
) -> None:
    its = found(sleeper)
    other = Process(its.pid, its.began - 1)
    assert other.state == ""
    other.kill()
    assert its.state in {"R", "S"}


def test_err_a_fault_that_does_not_happen_is_the_clusters_failure(
    sleeper: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GONE_SECONDS", 0.05)
    with pytest.raises(ClusterError, match=f"process {sleeper.pid} could not be stopped"):
        found(sleeper).wait({"T"}, "stopped")


def test_descendants_are_found_and_ended(sleeper: "subprocess.Popen[str]") -> None:
    its = found(sleeper)
    assert its in descendants(os.getpid())
    assert end([its], seconds=0.0) == [its]
    assert its.state == ""
    assert process(0) is None


def test_a_watchdog_ends_what_a_killed_run_left_behind(
    tmp_path: Path, sleeper: "subprocess.Popen[str]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("clusters.live.watchdog.GRACE_SECONDS", 0.0)
    its = found(sleeper)
    folder = tmp_path / "ray"
    folder.mkdir()
    watch(str(folder), [f"{its.pid} {its.began}\n"])
    assert its.state == ""
    assert not folder.exists()


def test_a_watchdog_that_is_dismissed_touches_nothing(
    tmp_path: Path, sleeper: "subprocess.Popen[str]"
) -> None:
    its = found(sleeper)
    dog = Watchdog(str(tmp_path)).watch([its])
    dog.dismiss()
    assert its.state in {"R", "S"}
    assert tmp_path.exists()


def test_who_was_started_with_a_file_of_the_folder_is_found_and_who_only_looks_there_is_not(
    tmp_path: Path,
) -> None:
    waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    words = (
        f"--store={tmp_path}/sockets/store",
        f"{tmp_path}/log",
        f"--store={tmp_path}else/store",
    )
    started = [subprocess.Popen([*waits, word], stdin=subprocess.PIPE) for word in words]
    try:
        assert [one.pid for one in using(str(tmp_path))] == [started[0].pid]
    finally:
        for one in started:
            one.communicate()
