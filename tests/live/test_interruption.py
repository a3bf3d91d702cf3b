"""A run that is interrupted ends in order and leaves no process behind, nor does a killed one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from clusters.live.processes import Process, descendants

pytestmark = pytest.mark.live

SCRIPT = """
import sys
from pathlib import Path
from clusters.live.live_setup import LiveSetup
from clusters.live.run import run_live
from protocol.machine import Machine

setup = LiveSetup(
    machine=Machine((), (), ()), plans={}, seed=1, folder=Path(sys.argv[1]),
    toys="tests.live.toys:storm", placement="each", seconds=300.0,
)
result = run_live(setup, lambda progress: print(progress.phase, progress.inputs, flush=True))
print(result.interrupted, result.match.whole, *result.reasons, sep="|", flush=True)
"""


def running(folder: Path) -> tuple["subprocess.Popen[str]", list[Process]]:
    """A run in the middle of its work, and its processes."""
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    for line in run.stdout:
        phase, inputs = line.split()
        if phase == "running" and int(inputs) > 0:
            break
    return run, descendants(run.pid)


def gone(processes: list[Process], seconds: float) -> bool:
    until = time.monotonic() + seconds
    while any(one.state for one in processes):
        if time.monotonic() > until:
            return False
    return True


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_no_process_and_says_what_it_knows(
    tmp_path: Path, number: signal.Signals
) -> None:
    run, processes = running(tmp_path)
    assert len(processes) > 6
    if number is signal.SIGINT:
        os.killpg(run.pid, number)  # As a terminal does it.
    else:
        run.send_signal(number)
    said, _ = run.communicate(timeout=60)
    assert run.returncode == 0
    assert said.splitlines()[-1] == "True|True|interrupted while running"
    assert gone(processes, 5.0), [one for one in processes if one.state]
    last = json.loads((tmp_path / "history.jsonl").read_text().splitlines()[-1])
    assert (last["event"], last["quiet"]) == ("run.ended", False)


def test_a_run_that_is_killed_leaves_no_process_either(tmp_path: Path) -> None:
    run, processes = running(tmp_path)
    run.kill()
    run.communicate(timeout=60)
    assert gone(processes, 10.0), [one for one in processes if one.state]
