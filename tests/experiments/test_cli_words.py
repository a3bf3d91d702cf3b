"""What may stand on the command line, and what is said when something else does."""

import json
import tempfile
from pathlib import Path

import click
import pytest

from experiments.harness import verb_list
from experiments.harness.cli import LATER, VERBS, exit_of
from experiments.harness.result import Exit
from protocol.errors import ClusterError, DivergedError, ExperimentError, IncompleteError
from tests.experiments.command import Command


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("", "a verb is missing (one of: run, explore, replay, "),
        ("rum", "pasidlab: 'rum' is not a verb; did you mean 'run'? (verbs: run, explore, "),
        ("--frob", "pasidlab: no such option '--frob'"),
        ("run", "pasidlab run: missing argument 'FILE'"),
        ("run --sead 3 wrong.toml", "no such option '--sead'. (Did you mean one of: '--seed'"),
        ("run wrong.toml too", "unexpected extra argument (too)"),
        ("run wrong.toml --seed", "requires an argument"),
        ("run wrong.toml --runs-dir wrong.toml", "'wrong.toml' is not a folder"),
        ("list", "missing argument 'NOUN'. one of: experiments, properties, "),
        ("list propertys", "'propertys' is not a noun; did you mean 'properties'?"),
        ("schema recrd", "'recrd' is not a schema; did you mean 'record'?"),
        ("check", "missing argument 'RUN|HISTORY'"),
        ("replay", "missing argument 'CE_FILE|RUN|TOKEN'"),
        ("replay x --set pool.pasids=4", "want the experiment FILE, too"),
        ("replay x --revision sound", "want the experiment FILE, too"),
        ("replay x wrong.toml --json --steps", "--json is one object"),
    ],
)
def test_err_a_wrong_command_line_is_told_what_is_right(
    pasidlab: Command, words: str, sentence: str
) -> None:
    ran = pasidlab(*words.split())
    assert ran.code == Exit.USAGE
    assert sentence in ran.err.splitlines()[0]
    assert ran.err.splitlines()[0].endswith("(exit 2)")
    assert "--help" in ran.err.splitlines()[-1] or "argument" in sentence or not words
    assert ran.out == "" or "--json" in words


@pytest.mark.parametrize("verb", LATER)
def test_err_a_verb_of_a_later_issue_says_so(pasidlab: Command, verb: str) -> None:
    assert f"'{verb}' comes with a later issue" in pasidlab(verb).err


@pytest.mark.parametrize(
    ("seed", "hint"),
    [
        ("5eed", "did you mean 0x5eed?"),
        ("", "a number like 7 or 0x5eed"),
        ("-1", "a number like 7"),
        ("1.5", "a number like 7"),
        ("1e3", "did you mean 0x1e3?"),
        ("0x", "a number like 7"),
        ("\N{ARABIC-INDIC DIGIT SEVEN}", "a number like 7"),
        (str(1 << 64), "a seed is 0 to 2**64 - 1"),
    ],
)
def test_err_what_is_no_seed_is_refused(pasidlab: Command, seed: str, hint: str) -> None:
    ran = pasidlab("run", "right.toml", "--seed", seed)
    assert (ran.code, ran.out) == (2, "")
    assert hint in ran.err


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        ("0", "0x0"), ("007", "0x7"), (" 7 ", "0x7"), ("1_000", "0x3e8"), ("0X5EED", "0x5eed"),
        (str((1 << 64) - 1), "0xffffffffffffffff"),
    ],
)  # fmt: skip
def test_a_seed_is_decimal_or_hexadecimal(pasidlab: Command, seed: str, said: str) -> None:
    ran = pasidlab("run", "right.toml", "--seed", seed)
    assert ran.code == 0
    assert f"  seed {said}  " in ran.out


@pytest.mark.parametrize("count", ["0", "-1", "1e3", "x", "", "9" * 30])
@pytest.mark.parametrize("option", ["--schedules", "--max-steps"])
def test_err_what_is_no_count_is_refused(pasidlab: Command, option: str, count: str) -> None:
    ran = pasidlab("explore", "right.toml", option, count)
    assert ran.code == 2
    assert f"'{count}' is not a whole number from 1 to 1,000,000,000" in ran.err


@pytest.mark.parametrize("time", ["0s", "-1s", "1e9", "5 min", "x", "", "9" * 12 + "h"])
@pytest.mark.parametrize("verb", ["explore", "chaos"])
def test_err_what_is_no_time_is_refused(pasidlab: Command, verb: str, time: str) -> None:
    ran = pasidlab(verb, "right.toml", "--for", time)
    assert ran.code == 2
    assert "is not a time: 30s, 5m, 1h or 500ms" in ran.err or "more than a year" in ran.err


@pytest.mark.parametrize("words", [("run", "no.toml"), ("list", "x"), ("check", "no"), ("x",)])
def test_err_with_json_a_refusal_is_one_object_too(
    pasidlab: Command, words: tuple[str, ...]
) -> None:
    ran = pasidlab(*words, "--json")
    assert ran.object["verdict"] == "could not run"
    assert ran.object["exit_code"] == ran.code == 2
    assert ran.err.startswith(ran.object["reasons"][0])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_examples_and_no_marks(pasidlab: Command, verb: str) -> None:
    ran = pasidlab(verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count(f"\n  pasidlab {verb}") >= 3
    assert not [line for line in ran.out.splitlines() if len(line) > 80]
    for mark in ("\\b", "\b", "TEXT", "INTEGER", "DIRECTORY"):
        assert mark not in ran.out


def test_the_version_is_said(pasidlab: Command) -> None:
    assert pasidlab("--version").out.startswith("pasidlab, version ")


def test_what_ends_a_run_has_its_exit_code() -> None:
    assert exit_of(ExperimentError("x")) is Exit.USAGE
    assert exit_of(IncompleteError("x")) is Exit.UNKNOWN
    assert exit_of(DivergedError("x")) is Exit.DIVERGED
    assert exit_of(ClusterError("x")) is Exit.CLUSTER


def _break(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(_runs: Path) -> list[verb_list.Thing]:
        raise error

    monkeypatch.setattr(verb_list, "_runs", broken)


@pytest.mark.parametrize(
    ("error", "code", "word"),
    [
        (IncompleteError("a gap"), 3, "unknown"),
        (DivergedError("other"), 4, "diverged"),
        (ClusterError("no Ray"), 5, "cluster failed"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.FileError("x", "is gone"), 2, "could not run"),
        (OSError(28, "No space left on device"), 2, "could not run"),
        (KeyError("x"), 70, "could not run"),
        (FileNotFoundError(2, "No such file"), 70, "could not run"),
        (AssertionError(), 70, "could not run"),
    ],
)
def test_err_every_way_out_has_its_code_and_its_word(
    pasidlab: Command,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    word: str,
) -> None:
    _break(monkeypatch, error)
    ran = pasidlab("list", "runs", "--json")
    assert ran.code == ran.object["exit_code"] == code
    assert ran.object["verdict"] == word
    assert f"(exit {code})" in ran.err


def test_err_a_bug_of_ours_says_where_its_traceback_is(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(here))
    _break(monkeypatch, AssertionError("two of them"))
    ran = pasidlab("list", "runs")
    (file,) = here.glob("pasidlab-bug-*.txt")
    expected = f"this is a bug in pasidlab: AssertionError: two of them; details in {file}"
    assert ran.err == f"{expected}  (exit 70)\n"
    assert "Traceback" in file.read_text()


def test_what_comes_from_outside_cannot_move_the_cursor(pasidlab: Command) -> None:
    ran = pasidlab("run", "\x1b[31mred\x9b.toml")
    assert ran.err == "\\x1b[31mred\\x9b.toml: no such file  (exit 2)\n"
    assert "\x1b" not in json.dumps(pasidlab("run", "\x1b[31m.toml", "--json").object)


def test_a_name_that_is_no_utf_8_is_shown(pasidlab: Command) -> None:
    assert pasidlab("run", "\udcff.toml").err == "\\udcff.toml: no such file  (exit 2)\n"
