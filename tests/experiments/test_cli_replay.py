"""`replay`: a counterexample file, its experiment, a token; and all that can be wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clusters.sim.tape import Tape
from experiments.harness import replaying
from tests.experiments.command import Command

TOKEN = Tape("random", 7).token()


@pytest.fixture
def folder(pasidlab: Command, here: Path) -> Path:
    """A run's folder with a counterexample, copied elsewhere: it is enough."""
    pasidlab("run", "wrong.toml", "--seed", "7")
    folder = here / "elsewhere"
    (here / "runs" / "latest").resolve().rename(folder)
    return folder


def changed(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """The counterexample file with a change."""
    path = folder / "ce-1.json"
    tape = json.loads(path.read_text())
    change(tape)
    path.write_text(json.dumps(tape))
    return path


def test_a_folder_alone_is_enough_and_may_be_named_in_every_way(
    pasidlab: Command, folder: Path
) -> None:
    for name in (folder, "elsewhere", folder / "ce-1.json", "elsewhere/ce-1.json"):
        ran = pasidlab("replay", name)
        assert ran.code == 1
        assert ", as recorded\n" in ran.out
        assert ran.last == "steps      pasidlab replay elsewhere/ce-1.json --steps"


def test_latest_and_an_experiments_name_are_found_below_the_runs_folder(
    pasidlab: Command,
) -> None:
    pasidlab("run", "wrong.toml", "--seed", "7")
    pasidlab("run", "wrong.toml", "--seed", "7", "--runs-dir", "other")
    for name in ("latest", "latest/ce-1.json", "wrong", "runs/latest", "wrong/latest/ce-1.json"):
        assert pasidlab("replay", name).code == 1
        assert pasidlab("replay", name, "--runs-dir", "other").code == 1


def test_the_steps_are_one_line_for_each_delivery_and_fact(pasidlab: Command, folder: Path) -> None:
    ran = pasidlab("replay", folder, "--steps")
    assert ran.code == 1
    lines = ran.out.splitlines()
    assert "     1  supervisor -> core  Start" in lines
    assert "        vm1.guest: op.ok op=4 operation=unbind expected=EBUSY met=false" in lines
    assert not [line for line in lines if line != line.rstrip()]
    assert "'name':" not in ran.out


def test_with_json_there_is_one_object(pasidlab: Command, folder: Path) -> None:
    found = pasidlab("replay", folder, "--json").object
    assert (found["verb"], found["verdict"], found["exit_code"]) == ("replay", "violation", 1)
    assert found["violations"][0]["property"] == "outcomes-as-scripted"
    changed(folder, lambda tape: tape["choices"].pop())
    found = pasidlab("replay", folder, "--json").object
    assert (found["verdict"], found["exit_code"]) == ("diverged", 4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda tape: tape["choices"].__setitem__(40, ["deliver", "core", "dsa0"]),
            "choice 41 of ",
        ),
        (lambda tape: tape["choices"].__setitem__(40, ["fire", "x", "y"]), "timer 'y' of x"),
        (lambda tape: tape["choices"].__delitem__(slice(40, None)), "the recording ends here"),
        (lambda tape: tape["choices"].append(["deliver", "a", "b"]), "the run has ended"),
        (lambda tape: tape.update(end="00"), "the actors are not as they were at the end"),
        (
            lambda tape: tape.update(property="dma-in-its-own-life"),
            "the recording violated dma-in-its-own-life at step ",
        ),
    ],
)
def test_err_a_replay_that_does_something_else_is_4_and_says_where(
    pasidlab: Command,
    folder: Path,
    change: Callable[[dict[str, Any]], object],
    sentence: str,
) -> None:
    changed(folder, change)
    ran = pasidlab("replay", folder)
    assert ran.code == 4
    first, *others = ran.out.splitlines()
    assert first.startswith(("diverged   at step ", "diverged   by step ", "diverged   at the end"))
    assert sentence in first
    assert any(line.startswith("  recorded with git ") for line in others)
    assert any(line.startswith("  usual causes: the code changed, ") for line in others)
    if ", choice " in first:
        assert "possible now: " in first


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "tape format 2, this version reads 1"),
        ({"format": 2, "seed": "another form"}, "tape format 2, this version reads 1"),
        ({"strategy": "rndom", "choices": []}, "is not a strategy; did you mean 'random'?"),
        ({"seed": -1}, "not a tape: "),
        ({"seed": None}, "not a tape: "),
        ({"seed": 1 << 70}, "does not fit into 64 bits"),
        ({"choices": [["jump", "a"]]}, "not a tape: "),
        ({"more": 1}, "not a tape: "),
        ({"experiment": "00"}, "is not the experiment that "),
    ],
)
def test_err_a_file_that_is_no_counterexample_is_2(
    pasidlab: Command, folder: Path, change: dict[str, object], sentence: str
) -> None:
    changed(folder, lambda tape: tape.update(change))
    ran = pasidlab("replay", folder)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_err_a_truncated_an_empty_and_a_binary_file_are_2(pasidlab: Command, folder: Path) -> None:
    path = folder / "ce-1.json"
    whole = path.read_bytes()
    for data in (whole[: len(whole) // 2], b"", b"\x00\xff" * 99, b"[" * 100_000):
        path.write_bytes(data)
        ran = pasidlab("replay", path)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("elsewhere/ce-1.json: not a tape: ") or str(path) in ran.err


def test_err_a_changed_or_missing_experiment_beside_it_is_2(
    pasidlab: Command, folder: Path
) -> None:
    beside = folder / "experiment.toml"
    beside.write_text(beside.read_text().replace("prq = 4", "prq = 3"))
    ran = pasidlab("replay", folder)
    assert ran.code == 2
    assert "elsewhere/experiment.toml: is not the experiment that " in ran.err
    beside.write_text("x = [")
    assert "not TOML" in pasidlab("replay", folder).err
    beside.unlink()
    ran = pasidlab("replay", "elsewhere/ce-1.json")
    assert ran.code == 2
    assert "pasidlab replay elsewhere/ce-1.json FILE" in ran.err
    assert pasidlab("replay", folder / "ce-1.json", "wrong.toml").code == 1
    assert pasidlab("replay", folder / "ce-1.json", "right.toml").code == 2


def test_a_file_of_another_commit_is_replayed_with_a_warning(
    pasidlab: Command, folder: Path
) -> None:
    other = "1234567890123456789012345678901234567890"
    changed(folder, lambda tape: tape.update(git=other))
    ran = pasidlab("replay", folder)
    assert ran.code == 1
    assert ran.err.startswith("recorded with git 1234567, this is ")
    assert ran.err.endswith(": it may come out differently\n")
    assert pasidlab("replay", folder, "-q").err == ""


def test_what_changed_since_is_named(
    pasidlab: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [f"actors/{name}.py" for name in "abcde"]
    monkeypatch.setattr(replaying, "model_changes", lambda _: files)
    monkeypatch.setattr(replaying, "git_state", lambda: ("feed" * 10, True))
    changed(folder, lambda tape: tape["choices"].pop())
    ran = pasidlab("replay", folder)
    assert ran.code == 4
    sentence = "(actors/a.py, actors/b.py, actors/c.py and 2 more changed)"
    assert f", this is feedfee {sentence}\n" in ran.out


@pytest.mark.parametrize("file", ["right.toml", "wrong.toml", "unseen.toml"])
def test_a_token_with_its_experiment_is_the_run_of_its_seed(pasidlab: Command, file: str) -> None:
    token = Tape("random", 7).token()
    ran = pasidlab("run", file, "--seed", "7", "--set", "explore.strategy=random", "--json").object
    for said in (token, token.upper()):
        again = pasidlab("replay", said, file, "--set", "explore.strategy=random", "--json").object
        assert again["violations"] == ran["violations"]
        assert again["verdict"] == ran["verdict"]
        assert again["counts"]["steps"] == ran["counts"]["steps"]


@pytest.mark.parametrize("token", [TOKEN[:-1], TOKEN + "a", "a" + TOKEN, "xyz", "zz" + TOKEN[2:]])
def test_err_a_token_that_is_not_whole_is_2(pasidlab: Command, token: str) -> None:
    ran = pasidlab("replay", token, "wrong.toml")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("token: '")
    assert "(copy it whole, as run or explore said it)" in ran.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((TOKEN,), f"a token needs its experiment: pasidlab replay {TOKEN} FILE"),
        (("nothing",), "nothing: no such counterexample file, run or token"),
        (("runs/no/ce-1.json",), "no such counterexample file, run or token"),
        (("no/ce-1.json", "wrong.toml"), "no such counterexample file, run or token"),
        (("wrong.toml",), "wrong.toml: is an experiment; replay wants a counterexample file"),
        (("",), "an empty name names no run"),
        (("/dev/zero",), "/dev/zero: is not a regular file"),
        (("/",), "is no run, neither here nor in runs"),
        ((TOKEN, "no.toml"), "no.toml: no such file"),
    ],
)
def test_err_what_is_nothing_to_replay_is_2(
    pasidlab: Command, words: tuple[str, ...], sentence: str
) -> None:
    ran = pasidlab("replay", *words)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_err_a_run_without_a_counterexample_says_its_verdict(pasidlab: Command) -> None:
    pasidlab("run", "right.toml", "--seed", "7")
    ran = pasidlab("replay", "latest")
    assert ran.code == 2
    assert "this run has no counterexample (its verdict: pass)" in ran.err
