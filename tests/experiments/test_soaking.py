"""A soak goes on from run to run until the time is over, or one does not pass."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from clusters.workers import granted
from experiments.harness.result import Result, Status
from experiments.harness.say import Voice
from experiments.harness.soaking import soak


def runs(here: Path, *codes: int) -> Callable[[int], Result]:
    """Runs that end with these codes, each with a folder."""
    left = list(codes)

    def one(seed: int) -> Result:
        folder = here / f"run-{seed}"
        folder.mkdir()
        (folder / "result.json").write_text("{}")
        code = left.pop(0)
        return Result(
            verb="chaos", experiment="x", title="x", revision="sound", world="live", seed=seed,
            verdict=Status.PASS if code == 0 else Status.VIOLATION, exit_code=code,
            folder=str(folder), counts={"inputs": 10, "matched": 10, "lives": 3},
        )  # fmt: skip

    return one


def test_the_first_that_does_not_pass_is_the_last_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak(runs(tmp_path, 0, 0, 1), 7, 1e9, Voice(json=True)) == 1
    assert [one.name for one in tmp_path.iterdir()] == ["run-9"]
    said = json.loads(capsys.readouterr().out)
    assert (said["runs"], said["lives"], said["exit_code"]) == (3, 9, 1)
    assert said["last"]["seed"] == 9


def test_when_the_time_is_over_the_last_run_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert soak(runs(tmp_path, 0), 7, 0.0, Voice()) == 0
    assert (tmp_path / "run-7").exists()
    assert ": 3 lives, 10 of 10 inputs matched" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "whole"), [("200000 100000\n", 2), ("150000 100000\n", 1), ("50000 100000\n", 1)]
)
def test_a_containers_limit_is_some_whole_cores(tmp_path: Path, text: str, whole: int) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert granted(tmp_path / "cpu.max") == whole


def test_without_a_limit_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert granted(tmp_path / "cpu.max") == granted(tmp_path / "none") > 1_000


@pytest.mark.parametrize(("quota", "whole"), [("50000", 1), ("250000", 2)])
def test_a_containers_limit_on_an_older_machine(tmp_path: Path, quota: str, whole: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    assert granted(tmp_path / "cpu.max") == whole
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text("-1\n")
    assert granted(tmp_path / "cpu.max") > 1_000
