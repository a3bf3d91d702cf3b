"""`run` and `explore`: verdicts, exit codes, what is kept, and what is said."""

import json
import shlex
from pathlib import Path

import pytest

from clusters.sim import summary
from experiments.harness import running
from experiments.harness.result import Exit
from experiments.harness.running import Case
from protocol.errors import DivergedError
from tests.experiments.command import WRONG, Command

QUICK = ("--no-determinism", "--no-shrink", "--schedules", "8", "--seed", "7")


def latest(here: Path) -> Path:
    return (here / "runs" / "latest").resolve()


def test_a_pass_is_0_and_says_what_held(pasidlab: Command, here: Path) -> None:
    ran = pasidlab("run", "right.toml", "--seed", "7")
    assert (ran.code, ran.err) == (0, "")
    assert "\npass       " in ran.out
    assert "pasid-reused  seen" in ran.out
    assert sorted(path.name for path in latest(here).iterdir()) == [
        "experiment.toml", "history.jsonl", "result.json", "run.json",
    ]  # fmt: skip


def test_a_violation_is_1_and_its_last_line_shows_it_again(pasidlab: Command, here: Path) -> None:
    for verb in (("run",), ("explore", *QUICK)):
        ran = pasidlab(*verb, "wrong.toml", "--seed", "7")
        assert ran.code == 1
        assert "\nviolation  outcomes-as-scripted    " in ran.out
        assert "expected EBUSY" in ran.out
        assert "unbind ended in ok   <- violation\n" in ran.out
        assert (latest(here) / "ce-1.json").is_file()
        key, _, line = ran.last.partition("     ")
        assert key == "replay"
        again = pasidlab(*shlex.split(line)[1:])
        assert again.code == 1
        assert "as recorded" in again.out


def test_a_token_shows_it_again_too(pasidlab: Command) -> None:
    for verb in (("run",), ("explore", *QUICK)):
        ran = pasidlab(*verb, "wrong.toml", "--set", "pool.pasids=4", "--seed", "7")
        (token,) = [line for line in ran.out.splitlines() if line.startswith("token")]
        words = shlex.split(token.removeprefix("token"))
        assert words[:2] == ["pasidlab", "replay"]
        assert words[3:6] == ["wrong.toml", "--set", "pool.pasids=4"]
        sentence = next(line for line in ran.out.splitlines() if "expected EBUSY" in line)
        assert sentence in pasidlab(*words[1:]).out.splitlines()


def test_a_witness_that_never_happened_is_3(pasidlab: Command) -> None:
    ran = pasidlab("run", "unseen.toml", "--seed", "7")
    assert ran.code == 3
    assert "  page-answered: it never happened\n" in ran.out
    assert "page-answered  never" in ran.out
    assert "\ntry        pasidlab explore unseen.toml\n" in ran.out
    ran = pasidlab("explore", "unseen.toml", *QUICK)
    assert ran.code == 3
    assert "pasid-reused   100%" in ran.out


def test_a_run_that_does_not_come_to_rest_is_3_and_says_so(pasidlab: Command) -> None:
    ran = pasidlab("run", "right.toml", "--set", "finally.quiet_steps=1", "--max-steps", "15")
    assert ran.code == 3
    assert "  it did not come to rest in " in ran.out
    ran = pasidlab(
        "explore", "right.toml", "--set", "finally.quiet_steps=1", "--max-steps", "15", *QUICK
    )
    assert ran.code == 3
    assert "  8 of 8 schedules did not come to rest\n" in ran.out


@pytest.mark.parametrize("file", ["right.toml", "wrong.toml", "unseen.toml"])
@pytest.mark.parametrize("verb", ["run", "explore"])
def test_with_json_there_is_one_object_and_it_is_the_result(
    pasidlab: Command, here: Path, verb: str, file: str
) -> None:
    quick = QUICK if verb == "explore" else ("--seed", "7")
    ran = pasidlab(verb, file, *quick, "--json")
    assert ran.err == ""
    assert ran.object["exit_code"] == ran.code
    assert json.loads((latest(here) / "result.json").read_text()) == ran.object
    assert ran.object["folder"] == f"runs/{file[:-5]}/{latest(here).name}"


@pytest.mark.parametrize("file", ["right.toml", "wrong.toml"])
def test_the_same_seed_is_the_same_verdict_and_the_same_history(
    pasidlab: Command, here: Path, file: str
) -> None:
    said, kept = [], []
    for _ in range(2):
        ran = pasidlab("explore", file, *QUICK, "--json").object
        del ran["seconds"], ran["folder"]
        for example in ran["counterexamples"]:
            del example["file"], example["replay"]
        said.append({**ran, "again": ""})
        pasidlab("run", file, "--seed", "7")
        kept.append((latest(here) / "history.jsonl").read_bytes())
    assert said[0] == said[1]
    assert kept[0] == kept[1]


def test_a_drawn_seed_is_said_and_can_be_given_again(pasidlab: Command) -> None:
    ran = pasidlab("run", "wrong.toml", "--json").object
    again = pasidlab("run", "wrong.toml", "--seed", str(ran["seed"]), "--json").object
    assert again["violations"] == ran["violations"]


def test_keep_going_keeps_one_counterexample_for_each_property(
    pasidlab: Command, here: Path
) -> None:
    ran = pasidlab("explore", "wrong.toml", "--keep-going", *QUICK)
    assert ran.code == 1
    assert "\n8 of 8 schedules violated\n" in ran.out
    assert [path.name for path in latest(here).glob("ce-*")] == ["ce-1.json"]
    counts = pasidlab("explore", "wrong.toml", "--keep-going", *QUICK, "--json").object["counts"]
    assert (counts["schedules"], counts["violating"]) == (8, 8)


def test_the_time_ends_an_explore_but_not_before_one_schedule(pasidlab: Command) -> None:
    ran = pasidlab("explore", "right.toml", "--for", "1ms", "--no-determinism", "--json")
    assert ran.code == 0
    assert ran.object["counts"]["schedules"] >= 1


def test_determinism_is_checked_and_said(pasidlab: Command) -> None:
    ran = pasidlab("explore", "right.toml", "--schedules", "2", "--seed", "1")
    assert "; determinism checked on 1\n" in ran.out


@pytest.mark.parametrize("verb", ["run", "explore"])
def test_err_a_schedule_that_is_not_the_same_twice_is_4_and_is_kept(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def other(*_: object) -> None:
        raise DivergedError("vfio did not come back as it was")

    monkeypatch.setattr(summary, "follow", other)
    monkeypatch.setattr(Case, "once", other)
    ran = pasidlab(verb, "right.toml", "--seed", "7")
    assert ran.code == Exit.DIVERGED
    assert "  vfio did not come back as it was\n" in ran.out
    assert ran.last.startswith("again      pasidlab replay ")
    ran = pasidlab(verb, "right.toml", "--seed", "7", "--json")
    assert ran.object["verdict"] == "diverged"
    assert (latest(here) / "result.json").is_file()


def test_err_a_determinism_check_that_fails_is_4_and_a_violation_stays_1(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(*_: object) -> None:
        raise DivergedError("seed 5 is not the same schedule twice")

    monkeypatch.setattr(Case, "check_determinism", other)
    ran = pasidlab("explore", "right.toml", "--schedules", "2", "--seed", "1")
    assert ran.code == Exit.DIVERGED
    assert ran.last.startswith("again      pasidlab explore right.toml ")
    ran = pasidlab("explore", "wrong.toml", "--seed", "1")
    assert ran.code == Exit.VIOLATION
    assert "diverged, too: seed 5 is not the same schedule twice\n" in ran.out


def test_err_a_bug_of_ours_says_how_to_see_it_again(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise AssertionError("references below zero")

    monkeypatch.setattr(running, "follow", broken)
    monkeypatch.setattr(summary, "follow", broken)
    for verb in ("run", "explore"):
        ran = pasidlab(verb, "right.toml", "--seed", "7")
        assert ran.code == Exit.OUR_BUG
        assert "this is a bug in pasidlab: AssertionError: references below zero;" in ran.err
        assert ran.err.splitlines()[-1].startswith("  again  pasidlab replay ")


def test_the_runs_folder_is_an_option_or_the_environment(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasidlab("run", "right.toml", "--runs-dir", "a/b")
    assert (here / "a" / "b" / "latest" / "result.json").is_file()
    monkeypatch.setenv("PASIDLAB_RUNS_DIR", str(here / "c"))
    pasidlab("run", "right.toml")
    assert (here / "c" / "right" / "latest" / "result.json").is_file()
    assert not (here / "runs").exists()


@pytest.mark.parametrize("folder", ["right.toml/x", "/proc/nothing/x"])
def test_err_a_runs_folder_that_cannot_be_is_2(pasidlab: Command, folder: str) -> None:
    ran = pasidlab("run", "right.toml", "--runs-dir", folder)
    assert (ran.code, ran.out) == (2, "")
    assert f"{folder}/right: cannot be written: " in ran.err


def test_err_a_violation_that_cannot_be_written_stays_one(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when it comes to the files: a token is enough to see it again."""
    whole = Path.write_bytes

    def full(path: Path, data: bytes) -> int:
        if path.name == "experiment.toml":
            return whole(path, data)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    ran = pasidlab("run", "wrong.toml", "--seed", "7")
    assert ran.code == 1
    assert ran.err.endswith("ce-1.json: cannot be written: No space left on device  (exit 1)\n")
    assert ran.last.startswith("replay     pasidlab replay ai")
    assert "result  " not in ran.out
    ran = pasidlab("run", "right.toml", "--seed", "7", "--json")
    assert ran.code == ran.object["exit_code"] == 2
    assert ran.object["verdict"] == "pass"


def test_the_command_lines_that_are_said_are_quoted(pasidlab: Command, here: Path) -> None:
    (here / "a b.toml").write_text(WRONG)
    ran = pasidlab("run", "a b.toml", "--seed", "7", "--runs-dir", "the runs")
    assert "'a b.toml'" in ran.out
    words = shlex.split(ran.last.removeprefix("replay"))
    assert pasidlab(*words[1:]).code == 1


def test_an_interrupted_run_keeps_what_it_did(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Case.once

    def cut(self: Case, *rest: object) -> None:
        whole(self, *rest)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Case, "once", cut)
    ran = pasidlab("run", "right.toml", "--seed", "7")
    assert ran.code == 130
    assert "\ninterrupted  after " in ran.out
    assert (latest(here) / "history.jsonl").read_bytes().count(b"\n") > 10
