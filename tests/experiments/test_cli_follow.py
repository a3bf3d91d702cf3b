"""`chaos --follow` and `coverage`, before Ray begins: what they refuse, and what they say."""

import json
from pathlib import Path

import pytest

from clusters.live.retelling import Retold
from clusters.sim.tape import Tape
from clusters.sim.world import simulate
from experiments.harness import covering
from experiments.harness.config import load
from experiments.harness.replaying import FOLLOW, schedule
from experiments.harness.setup import setup_of
from tests.experiments.command import Command

TOKEN = Tape("random", 7).token()


@pytest.fixture
def example(pasidlab: Command, here: Path) -> Path:
    """A counterexample of a run, with its experiment beside it."""
    pasidlab("run", "wrong.toml", "--seed", "7")
    return here / "runs" / "latest" / "ce-1.json"


def test_err_what_cannot_be_followed_is_refused_in_one_sentence(
    pasidlab: Command, example: Path
) -> None:
    text = example.read_text()
    for damaged, said in (
        (text[: len(text) // 2], "ce-1.json: not a tape: Input data was truncated"),
        (text.replace('"deliver"', '"delivers"', 1), "ce-1.json: not a tape: Invalid value"),
        (
            text.replace('"format":1', '"format":9'),
            "ce-1.json: tape format 9, this version reads 1",
        ),
        ('{"format":1}', "ce-1.json: not a tape: Object missing required field"),
    ):
        example.write_text(damaged)
        ran = pasidlab("chaos", "--follow", example)
        assert (ran.code, ran.out) == (2, "")
        assert said in ran.err
        assert ran.err.count("\n") == 1
    example.write_text(text)
    ran = pasidlab("chaos", "right.toml", "--follow", example)
    assert ran.code == 2
    assert "right.toml: is not the experiment that" in ran.err


def test_err_one_that_comes_out_differently_is_found_out_before_ray_begins(
    pasidlab: Command, example: Path
) -> None:
    tape = json.loads(example.read_text())
    example.write_text(json.dumps({**tape, "property": "locks-in-order"}))
    ran = pasidlab("chaos", "--follow", example)
    assert ran.code == 4
    assert "the recording violated locks-in-order, now outcomes-as-scripted is violated" in ran.err
    example.write_text(json.dumps({**tape, "choices": tape["choices"][1:]}))
    ran = pasidlab("chaos", "--follow", example)
    assert ran.code == 4
    assert "diverged at step " in ran.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "missing argument 'FILE'"),
        (("--follow", "nowhere.json"), "nowhere.json: no such counterexample file, run or token"),
        (
            ("--follow", TOKEN),
            f"a token needs its experiment: pasidlab chaos --follow {TOKEN} FILE",
        ),
        (("--follow", "latest", "--for", "3s"), "--follow ends with its schedule"),
        (("--follow", "latest", "--seed", "3"), "--follow ends with its schedule"),
        (("--follow", "latest", "--revision", "v1"), "--revision and --defect want the experiment"),
        (("--follow", "right.toml"), "right.toml: is an experiment; chaos --follow wants a"),
    ],
)
def test_err_what_does_not_go_together_is_said(
    pasidlab: Command, words: tuple[str, ...], said: str
) -> None:
    ran = pasidlab("chaos", *words)
    assert ran.code == 2
    assert said in ran.err


def test_of_a_run_the_schedule_that_was_made_small_is_followed(example: Path, here: Path) -> None:
    runs = here / "runs"
    assert schedule("latest", None, runs, FOLLOW).file == example.resolve()
    for suffix in ("json", "toml"):
        beside = example if suffix == "json" else example.with_name("experiment.toml")
        (example.parent / f"ce-1.small.{suffix}").write_bytes(beside.read_bytes())
    small = schedule("latest", None, runs, FOLLOW).file
    assert small == example.resolve().with_name("ce-1.small.json")
    assert schedule("latest", None, runs).file == example.resolve()


@pytest.mark.long
def test_coverage_says_per_cents_and_the_nearest_that_was_not_visited(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pasidlab("run", "right.toml", "--seed", "7")
    run = here / "runs" / "latest"
    ran = pasidlab("coverage", "latest")
    assert ran.code == 2
    assert "not a live run: it has no journals/" in ran.err

    (run / "journals").mkdir()
    tape = simulate(setup_of(load(run / "experiment.toml"), "here"), 7).tape
    monkeypatch.setattr(covering, "retold", lambda *_: Retold(tape, quiet=True))
    ran = pasidlab("coverage", "latest", "--states", "300", "--json")
    assert ran.code == 0
    found = ran.object
    assert found["states"] == {"visited": len(tape.choices) + 1, "of": 300}
    assert found["actor_states"]["visited"] < found["actor_states"]["of"]
    assert 0 < found["races"]["visited"] < found["races"]["of"]
    said = pasidlab("coverage", "latest", "--states", "300")
    share = 100 * found["states"]["visited"] / 300
    assert f"states     {share:5.1f}%  {found['states']['visited']} of 300 states" in said.out
    near = found["nearest"][0]
    assert f"  {near['actor']}: {near['first']} before {near['second']}  " in said.out
