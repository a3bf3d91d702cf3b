"""A run that never ends as a counterexample; and what becomes of one after it was found."""

import os
import signal
from pathlib import Path
from typing import Final

import pytest

from clusters.sim.world import Setup
from experiments.harness import aftermath, replaying, running, shrinking
from experiments.harness.result import Exit
from experiments.models.lost_ack import ENDLESS_E
from tests.experiments.command import Command, stored
from tests.experiments.test_explore_workers import LATE

pytestmark = pytest.mark.long

SEARCH: Final = ("--strategy", "breadth-first", "--seed", "7")
ROUND: Final = " round for ever, and everybody who can move does\n"


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the experiment says, the model that asks for ever is run."""

    def setup_of(*_: object) -> Setup:
        return ENDLESS_E

    for module in (running, replaying, shrinking):
        monkeypatch.setattr(module, "setup_of", setup_of)


@pytest.mark.usefixtures("endless")
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_that_never_ends_is_found_and_every_verb_knows_what_it_is(
    pasidlab: Command, here: Path, jobs: str
) -> None:
    ran = pasidlab("explore", "right.toml", *SEARCH, "-j", jobs)
    assert ran.code == Exit.VIOLATION
    assert "\nviolation  retired-at-last    at step " in ran.out
    assert ROUND in ran.out
    (example,) = stored(here)["counterexamples"]
    file = ran.last.split()[-1]
    assert '"loop"' in Path(file).read_text()
    for more in ((), ("--why",), ("--steps",)):
        again = pasidlab("replay", file, *more)
        assert again.code == Exit.VIOLATION
        assert ROUND in again.out
        assert example["message"] in again.out
    said = pasidlab("replay", file, "--why")
    assert "a run that never ends has no guilty step" in said.err
    assert pasidlab("check", "latest").code in (Exit.PASS, Exit.UNKNOWN)


@pytest.mark.usefixtures("endless")
def test_err_a_run_that_never_ends_is_not_shrunk(pasidlab: Command, here: Path) -> None:
    file = pasidlab("explore", "right.toml", *SEARCH).last.split()[-1]
    ran = pasidlab("shrink", file)
    assert (ran.code, ran.out) == (Exit.USAGE, "")
    assert "this schedule goes round for ever, and what is cut from it ends" in ran.err
    assert not list((here / "runs").glob("**/*small*"))


@pytest.mark.parametrize("words", [("--seed", "7"), SEARCH])
def test_ctrl_c_while_it_is_made_small_keeps_what_was_found(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    def interrupted(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(aftermath, "_small", interrupted)
    ran = pasidlab("explore", "wrong.toml", *words)
    assert ran.code == Exit.VIOLATION
    assert "interrupted: what was found is kept as it is" in ran.err
    (example,) = stored(here)["counterexamples"]
    assert not example["minimal"]
    assert pasidlab(*ran.last.split()[2:]).code == Exit.VIOLATION


def test_the_time_for_making_it_small_is_bounded(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aftermath, "SECONDS", 0.0)
    assert pasidlab("explore", "wrong.toml", "--seed", "7").code == Exit.VIOLATION
    small = stored(here)["counterexamples"][1]
    assert not small["minimal"]
    assert small["reason"].startswith("the time is over, after ")


@pytest.mark.parametrize("strategy", ["coverage", "delay-bounded", "pct"])
def test_what_any_strategy_found_is_made_small_and_replays(
    pasidlab: Command, here: Path, strategy: str
) -> None:
    (here / "wrong.toml").write_text(LATE)
    ran = pasidlab("explore", "wrong.toml", "--seed", "7", "--strategy", strategy)
    assert ran.code == Exit.VIOLATION
    found, small = stored(here)["counterexamples"]
    assert small["steps"] <= small["shrunk_from"] == found["steps"]
    assert pasidlab(*ran.last.split()[2:]).code == Exit.VIOLATION
    assert pasidlab("replay", found["token"], "wrong.toml").code == Exit.VIOLATION
    alone = pasidlab("explore", "wrong.toml", "--strategy", strategy, "--no-shrink", "--json")
    assert len(alone.object["counterexamples"]) == 1
