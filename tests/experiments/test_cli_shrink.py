"""`shrink`: a counterexample file, a run, a token; what is written, said, and how it ends."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.sim.shrink import ShrinkBudget
from clusters.sim.strategies import Order
from clusters.sim.tape import Tape, read_tape
from experiments.harness.config import load
from experiments.harness.options import Asked
from experiments.harness.running import Failing, simulated
from experiments.harness.setup import digest_of
from experiments.harness.shrinking import (
    shrink_failing,
    small_example,
    small_words,
    write_small,
)
from tests.experiments.command import Command

TOKEN = Tape("random", 7).token()
EARLY = """
title = "a script that expects what does not happen"
[[process]]
name = "vm1.guest"
steps = ["p = alloc -> ENOSPC", "free p"]
"""
FEW = ("--tries", "60")
"""Where it does not matter how small it becomes."""


@pytest.fixture
def here(here: Path) -> Path:
    """With one more experiment: a small one, so that shrinking it is quick."""
    (here / "early.toml").write_text(EARLY)
    return here


@pytest.fixture
def folder(pasidlab: Command, here: Path) -> Path:
    """A run's folder with a counterexample."""
    pasidlab("run", "early.toml", "--seed", "7", "--set", "explore.strategy=random")
    return (here / "runs" / "latest").resolve()


def changed(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tape = json.loads(path.read_text())
    change(tape)
    path.write_text(json.dumps(tape))


def test_a_counterexample_gets_a_smaller_one_beside_it_that_replays(
    pasidlab: Command, folder: Path
) -> None:
    ran = pasidlab("shrink", "latest")
    assert ran.code == 1
    assert ran.out.startswith("violation  outcomes-as-scripted    27 steps\n")
    assert "\nvm1.guest  p = alloc -> ENOSPC\n" in ran.out
    assert "\nshrunk from " in ran.out
    assert "\nminimal    none of all " in ran.out
    assert all(len(line) <= 80 for line in ran.out.splitlines() if "pasidlab" not in line)
    small = folder / "ce-1.small.json"
    assert ran.last == f"replay     pasidlab replay runs/early/{folder.name}/ce-1.small.json"
    tape, origin = read_tape(small.read_bytes())
    text = small.with_suffix(".toml").read_bytes()
    assert (
        origin.experiment == digest_of(text) != digest_of((folder / "experiment.toml").read_bytes())
    )
    assert (origin.property, origin.step) == ("outcomes-as-scripted", 27)
    again = pasidlab(*ran.last.split()[2:])
    assert again.code == 1
    assert "violation  outcomes-as-scripted    27 steps, as recorded\n" in again.out
    assert len(tape.choices) < len(read_tape((folder / "ce-1.json").read_bytes())[0].choices)


def test_the_smaller_one_replays_wherever_both_files_are(
    pasidlab: Command, folder: Path, here: Path
) -> None:
    """A file beside it under its own name goes before `experiment.toml`."""
    pasidlab("shrink", folder / "ce-1.json", *FEW)
    for name in ("ce-1.small.json", "ce-1.small.toml"):
        (folder / name).rename(here / name)
    (here / "experiment.toml").write_text("title = 'another'")
    assert pasidlab("replay", "ce-1.small.json").code == 1
    assert pasidlab("replay", folder).code == 1
    toml = here / "ce-1.small.toml"
    toml.write_text(toml.read_text().replace("prq = 4", "prq = 3"))
    ran = pasidlab("replay", "ce-1.small.json")
    assert ran.code == 2
    assert "ce-1.small.toml: is not the experiment that " in ran.err


def test_what_is_small_already_is_written_over_and_stays_as_small(
    pasidlab: Command, folder: Path
) -> None:
    pasidlab("shrink", "latest")
    small = folder / "ce-1.small.json"
    before = small.read_bytes()
    ran = pasidlab("shrink", small)
    assert ran.code == 1
    assert "\nnothing smaller was found in " in ran.out
    assert small.read_bytes() == before
    assert sorted(path.name for path in folder.glob("*small*")) == [
        "ce-1.small.json",
        "ce-1.small.toml",
    ]
    assert not list(folder.glob(".*"))


def test_a_token_gets_a_run_folder(pasidlab: Command, here: Path) -> None:
    ran = pasidlab("shrink", TOKEN, "early.toml", *FEW)
    assert ran.code == 1
    folder = (here / "runs" / "latest").resolve()
    assert sorted(path.name for path in folder.iterdir()) == [
        "ce-1.json",
        "ce-1.small.json",
        "ce-1.small.toml",
        "experiment.toml",
        "history.jsonl",
        "result.json",
        "run.json",
    ]
    assert pasidlab(*ran.last.split()[2:]).code == 1
    assert pasidlab("replay", "latest").code == 1
    assert pasidlab("check", "latest").code == 1
    result = json.loads((folder / "result.json").read_text())
    assert (result["verb"], result["exit_code"]) == ("shrink", 1)
    assert pasidlab("list", "runs").code == 0


def test_changes_of_the_experiment_belong_to_a_file_that_is_named(
    pasidlab: Command, here: Path
) -> None:
    ran = pasidlab(
        "shrink", TOKEN, "early.toml", *FEW, "--set", "machine.unit=[{name='dmar0',prq=9}]"
    )
    assert ran.code == 1
    small = load((here / "runs" / "latest" / "ce-1.small.toml").resolve())
    assert small.machine.unit[0].prq == 9
    ran = pasidlab("shrink", "latest", "--set", "pool.pasids=4")
    assert ran.code == 2
    assert "want the experiment FILE, too" in ran.err


def test_with_json_there_is_one_object(pasidlab: Command, folder: Path) -> None:
    ran = pasidlab("shrink", "latest", "--json")
    found = ran.object
    assert (ran.code, found["verb"], found["verdict"]) == (1, "shrink", "violation")
    (example,) = found["counterexamples"]
    assert example["file"] == f"runs/early/{folder.name}/ce-1.small.json"
    assert (example["steps"], example["minimal"]) == (27, True)
    assert example["shrunk_from"] > 27
    assert example["tries"] == found["counts"]["schedules"]
    assert found["proof"] == example["reason"]
    assert found["violations"][0]["step"] == found["counts"]["steps"] == 27
    assert found["again"] == example["replay"]
    assert found["experiment"] == f"runs/early/{folder.name}/ce-1.small.toml"


def test_a_budget_is_kept_and_said(pasidlab: Command, folder: Path) -> None:
    ran = pasidlab("shrink", "latest", "--tries", "20", "--json")
    (example,) = ran.object["counterexamples"]
    assert (example["tries"], example["minimal"]) == (20, False)
    assert example["reason"] == "all tries are spent, after 20 tries"
    ran = pasidlab("shrink", "latest", "--for", "1ms")
    assert ran.code == 1
    assert "\nsmaller    the time is over, after " in ran.out
    assert pasidlab("replay", folder / "ce-1.small.json").code == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_is_130_and_the_best_so_far_is_stored(
    pasidlab: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    whole, count = ShrinkBudget.__init__, [0]

    def late() -> bool:
        count[0] += 1
        if count[0] == 100:
            os.kill(os.getpid(), number)
        return False

    def init(self: ShrinkBudget, tries: int, _late: Callable[[], bool]) -> None:
        whole(self, tries, late)

    monkeypatch.setattr(ShrinkBudget, "__init__", init)
    ran = pasidlab("shrink", "latest")
    assert ran.code == 130
    assert "\ninterrupted interrupted after " in ran.out
    assert pasidlab("replay", folder / "ce-1.small.json").code == 1
    count[0] = 0
    found = pasidlab("shrink", "latest", "--json").object
    assert (found["verdict"], found["exit_code"]) == ("interrupted", 130)


def test_err_a_schedule_that_does_not_show_its_violation_again_is_4(
    pasidlab: Command, folder: Path
) -> None:
    path = folder / "ce-1.json"
    changed(path, lambda tape: tape.update(property="dma-in-its-own-life"))
    ran = pasidlab("shrink", "latest")
    assert (ran.code, ran.out) == (4, "")
    assert "the recording violated dma-in-its-own-life at step " in ran.err
    changed(path, lambda tape: tape["choices"].pop())
    ran = pasidlab("shrink", "latest", "--json")
    assert ran.code == 4
    assert ran.object["verdict"] == "diverged"
    assert not list(folder.glob("*small*"))


def test_err_a_schedule_that_violates_nothing_is_2(pasidlab: Command, here: Path) -> None:
    ran = pasidlab("shrink", TOKEN, "right.toml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("this schedule violates nothing, there is nothing to shrink: pasid")
    assert not (here / "runs").exists()


def test_err_a_folder_that_takes_nothing_is_said_and_the_violation_stays_one(
    pasidlab: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, _content: bytes) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    ran = pasidlab("shrink", "latest", *FEW)
    assert ran.code == 1
    assert ran.err.endswith("cannot be written: No space left on device  (exit 1)\n")
    assert ran.last == f"replay     pasidlab replay runs/early/{folder.name}/ce-1.json"
    ran = pasidlab("shrink", TOKEN, "early.toml", *FEW)
    assert ran.code == 1
    assert ran.last == f"replay     pasidlab replay {TOKEN} early.toml"


def test_a_file_of_another_commit_is_shrunk_with_a_warning(pasidlab: Command, folder: Path) -> None:
    changed(folder / "ce-1.json", lambda tape: tape.update(git="1234567" * 5))
    ran = pasidlab("shrink", "latest", "--tries", "5")
    assert ran.code == 1
    assert ran.err.startswith("recorded with git 1234567, this is ")
    assert pasidlab("replay", folder / "ce-1.small.json").err == ""


def test_what_explore_found_is_shrunk_by_one_call(here: Path) -> None:
    """As `explore` does it: the files go into its run, the words into its answer."""
    case = simulated(Asked(here / "early.toml"), 7, here / "runs")
    order = Order("random", 7)
    failing = Failing(0, case.once(order, []), [])
    small = shrink_failing(case, failing, ShrinkBudget(3_000))
    before = failing.result.steps
    assert small_words(small.shrunk).startswith(f"shrunk from {before} steps to 27 in ")
    path = write_small(small, "ce-1.small", case.run.write)
    example = small_example(small, path, "pasidlab replay it")
    assert (example.steps, example.shrunk_from, example.minimal) == (27, before, True)
    tape, _ = read_tape((case.run.folder / "ce-1.small.json").read_bytes())
    assert tape == small.result.tape == small.shrunk.tape
    assert small.records
