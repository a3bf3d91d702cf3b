"""`clean` takes what its rules say, and never what it is not sure to have made."""

import os
from pathlib import Path

import pytest

from tests.experiments.command import Command

NOW = 1_795_000_000.0


def run(runs: Path, experiment: str, number: int, *, size: int = 100, part: bool = False) -> Path:
    """A folder as a run leaves it, the higher the number the newer."""
    path = runs / experiment / f"20261126T1010{number:02}-{number:x}{'.part' if part else ''}"
    (path / "journals").mkdir(parents=True)
    (path / "experiment.toml").write_text('title = "x"')
    (path / "journals" / "core.sqlite").write_bytes(bytes(size))
    written(path, NOW + number)
    return path


def written(path: Path, when: float) -> None:
    for one in [*path.rglob("*"), path]:
        os.utime(one, (when, when))


@pytest.fixture
def runs(here: Path) -> Path:
    path = here / "runs"
    for k in range(1, 5):
        run(path, "one", k)
    run(path, "two", 9)
    (path / "latest").symlink_to("two/20261126T101009-9")
    (path / "one" / "latest").symlink_to("20261126T101004-4")
    return path


def left(runs: Path) -> list[str]:
    return sorted(one.parent.name for one in runs.glob("*/2*/experiment.toml"))


def test_the_newest_of_each_experiment_stay(pasidlab: Command, runs: Path) -> None:
    ran = pasidlab("clean", "--keep", "2")
    assert (ran.code, ran.err) == (0, "")
    assert left(runs) == ["20261126T101003-3", "20261126T101004-4", "20261126T101009-9"]
    assert ran.out.splitlines()[-1] == "gone       2 runs, 0.0 MB; 3 left"


def test_a_dry_run_says_the_same_and_removes_nothing(pasidlab: Command, runs: Path) -> None:
    said = pasidlab("clean", "--keep", "0", "--dry-run", "--json").object
    assert (len(said["removed"]), said["dry_run"], said["kept"]) == (5, True, 0)
    assert len(left(runs)) == 5


def test_the_oldest_go_until_the_rest_is_small_enough(pasidlab: Command, runs: Path) -> None:
    pasidlab("clean", "--max-size", "250")
    assert left(runs) == ["20261126T101004-4", "20261126T101009-9"]


def test_what_is_old_goes(pasidlab: Command, runs: Path) -> None:
    for path in runs.glob("one/2*"):
        written(path, 1_000_000_000.0)
    written(runs / "two" / "20261126T101009-9", 4_000_000_000.0)
    pasidlab("clean", "--older-than", "7d")
    assert left(runs) == ["20261126T101009-9"]
    assert not (runs / "one").exists()


def test_links_lead_to_the_newest_that_is_left(pasidlab: Command, runs: Path) -> None:
    written(runs / "two" / "20261126T101009-9", NOW - 9)
    pasidlab("clean", "--max-size", "120")
    assert (runs / "latest").resolve().name == "20261126T101004-4"
    assert (runs / "one" / "latest").resolve().name == "20261126T101004-4"


def test_what_no_run_has_made_stays_and_is_named(pasidlab: Command, runs: Path) -> None:
    noted = runs / "one" / "20261126T101001-1"
    (noted / "my notes.txt").write_text("why?")
    (runs / "one" / "results").mkdir()
    (runs / "one" / "results" / "experiment.toml").write_text("")
    elsewhere = runs.parent / "elsewhere"
    run(runs.parent, "elsewhere", 7)
    (runs / "three").symlink_to(elsewhere)
    ran = pasidlab("clean", "--keep", "0")
    assert f"{noted.relative_to(runs.parent)}: no run makes my notes.txt" in ran.err
    assert (noted / "my notes.txt").exists()
    assert (runs / "one" / "results" / "experiment.toml").exists()
    assert list(elsewhere.glob("2*"))


def test_a_run_that_may_still_go_on_stays(pasidlab: Command, runs: Path) -> None:
    going = run(runs, "two", 10, part=True)
    os.utime(going)
    cut = run(runs, "two", 11, part=True)
    written(cut, 1_000_000_000.0)
    ran = pasidlab("clean", "--keep", "0")
    assert "perhaps still going on" in ran.err
    assert going.exists()
    assert not cut.exists()


def test_err_without_a_rule_nothing_goes(pasidlab: Command, runs: Path) -> None:
    ran = pasidlab("clean")
    assert ran.code == 2
    assert "say what may go: --keep, --older-than or --max-size" in ran.err
    assert len(left(runs)) == 5
    assert pasidlab("clean", "--max-size", "much").code == 2
