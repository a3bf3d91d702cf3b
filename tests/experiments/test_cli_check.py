"""`check`: a stored history, whole and with all that can be wrong with it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.experiments.command import JUDGED, Command

Lines = list[bytes]


@pytest.fixture
def folder(pasidlab: Command, here: Path) -> Path:
    """The folder of a passing run, copied elsewhere: it is enough."""
    pasidlab("run", "right.toml", "--seed", "7")
    return shutil.copytree((here / "runs" / "latest").resolve(), here / "elsewhere")


def edit(folder: Path, change: Callable[[Lines], object]) -> None:
    """Change the lines of the history."""
    path = folder / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    change(lines)
    path.write_bytes(b"".join(lines))


def find(lines: Lines, event: str, nth: int = 0) -> int:
    """The place of the nth line of an event."""
    head = f'{{"event":"{event}"'.encode()
    return [place for place, line in enumerate(lines) if line.startswith(head)][nth]


def test_a_folder_alone_is_enough_and_may_be_named_in_every_way(
    pasidlab: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (folder, "elsewhere", "elsewhere/history.jsonl", "latest", "right", "runs/right"):
        ran = pasidlab("check", name)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"pass       {JUDGED} properties over ")
    monkeypatch.chdir(folder)
    assert pasidlab("check", ".").code == 0


def test_the_experiment_beside_it_says_what_is_expected(pasidlab: Command, folder: Path) -> None:
    names = [one["name"] for one in pasidlab("check", folder, "--json").object["properties"]]
    assert "pasid-reused" in names
    (folder / "experiment.toml").unlink()
    ran = pasidlab("check", folder, "--json")
    assert "pasid-reused" not in [one["name"] for one in ran.object["properties"]]
    assert ran.err == "no experiment.toml beside it: judged by every *always* and *eventually*\n"
    assert pasidlab("check", folder, "-q").err == ""


def test_only_some_properties(pasidlab: Command, folder: Path) -> None:
    only = ("--only", "references-add-up", "--only", "references-add-up")
    assert pasidlab("check", folder, *only).out.startswith("pass       1 property over ")
    ran = pasidlab("check", folder, "--only", "page-answered")
    assert ran.code == 3
    assert "page-answered: it never happened" in ran.out
    ran = pasidlab("check", folder, "--only", "page-answerd")
    assert ran.code == 2
    assert "no such property; did you mean 'page-answered'?" in ran.err


def test_a_violation_is_1_and_its_last_line_is_a_replay(pasidlab: Command) -> None:
    pasidlab("run", "wrong.toml", "--seed", "7")
    ran = pasidlab("check", "latest")
    assert ran.code == 1
    assert "  outcomes-as-scripted  operation 4 of vm1.guest, unbind, ended in ok" in ran.out
    assert ran.last.startswith("replay     pasidlab replay runs/wrong/")
    found = pasidlab("check", "latest", "--json").object
    assert (found["verb"], found["exit_code"]) == ("check", 1)
    assert found["violations"][0]["actor"] == "vm1.guest"


# --- Something is missing: unknown, never a pass --------------------------------------------------


def cut_off(lines: Lines) -> None:
    lines[-1] = lines[-1][:-20]


def no_newline(lines: Lines) -> None:
    lines[-1] = lines[-1][:-1]


def no_end(lines: Lines) -> None:
    del lines[-1]


def no_delivery(lines: Lines) -> None:
    del lines[find(lines, "message.delivered", 30)]


def no_fact(lines: Lines) -> None:
    del lines[find(lines, "reference.taken")]


def a_hole(lines: Lines) -> None:
    del lines[60:90]


def no_cause(lines: Lines) -> None:
    """Everything of one actor from its last input on: only what that caused tells of it."""
    last = [line for line in lines if b'"actor":"core"' in line][-1]
    number = last.partition(b'"n":')[2].partition(b",")[0]
    gone = b'"actor":"core","n":' + number + b","
    lines[:] = [line for line in lines if gone not in line]


def number_too_large(lines: Lines) -> None:
    place = find(lines, "message.delivered", 30)
    lines[place] = lines[place].replace(b'"n":', b'"n":9' + b"9" * 30)


def twice(lines: Lines) -> None:
    place = find(lines, "reference.taken")
    lines.insert(place, lines[place])


MISSING: dict[str, tuple[Callable[[Lines], None], str]] = {
    "cut off": (cut_off, ": cut off after "),
    "no newline": (no_newline, ": cut off after "),
    "no end": (no_end, ": the end is missing: no run.ended record"),
    "no delivery": (no_delivery, " is missing; all before is judged"),
    "no fact": (no_fact, " that were written"),
    "a hole": (a_hole, " is missing; all before is judged"),
    "no cause": (no_cause, "the cause of this one, is missing; all before is judged"),
    "a number too large": (number_too_large, " is missing; all before is judged"),
    "a fact twice": (twice, " that were written"),
}


@pytest.mark.parametrize("name", MISSING)
def test_a_history_with_a_gap_is_3_and_says_where(
    pasidlab: Command, folder: Path, name: str
) -> None:
    change, sentence = MISSING[name]
    edit(folder, change)
    for what in (folder, folder / "history.jsonl"):
        ran = pasidlab("check", what)
        assert ran.code == 3
        assert ran.out.startswith("unknown    ")
        assert sentence in ran.out.splitlines()[1]
    assert pasidlab("check", folder, "--json").object["exit_code"] == 3


def test_what_a_missing_line_makes_look_broken_is_not_called_a_violation(
    pasidlab: Command, folder: Path
) -> None:
    edit(folder, no_fact)
    ran = pasidlab("check", folder)
    assert "  references-add-up: perhaps only because of that: " in ran.out


def test_the_result_beside_it_says_how_many_records_there_are_if_the_history_does_not(
    pasidlab: Command, folder: Path
) -> None:
    def silent(lines: Lines) -> None:
        count = str(len(lines)).encode()
        lines[-1] = lines[-1].replace(b'"records":' + count, b'"records":0')

    edit(folder, silent)
    assert pasidlab("check", folder).code == 0
    edit(folder, no_fact)
    assert pasidlab("check", folder).code == 3


def test_a_violation_before_the_gap_stays_one(pasidlab: Command, here: Path) -> None:
    pasidlab("run", "wrong.toml", "--seed", "7")
    edit((here / "runs" / "latest").resolve(), no_end)
    assert pasidlab("check", "latest").code == 1


def test_an_empty_history_is_3(pasidlab: Command, folder: Path) -> None:
    for data in (b"", b'{"event":"run.st'):
        (folder / "history.jsonl").write_bytes(data)
        ran = pasidlab("check", folder, "--json")
        assert ran.code == 3
        assert ran.object["verdict"] == "unknown"


# --- Something is wrong: refused, with its line ---------------------------------------------------


def garbled(lines: Lines) -> None:
    lines[70] = b"garbage" + lines[70]


def trailing(lines: Lines) -> None:
    lines[70] = lines[70][:-1] + b" more\n"


def blank(lines: Lines) -> None:
    lines[70] = b"\n"


def deep(lines: Lines) -> None:
    lines[70] = b"[" * 100_000 + b"\n"


def huge(lines: Lines) -> None:
    lines[70] = b" " * (1 << 20) + lines[70]


def other_fact(lines: Lines) -> None:
    lines[70] = lines[70].replace(b'"event":"', b'"event":"no.')


def no_beginning(lines: Lines) -> None:
    del lines[0]


def other_format(lines: Lines) -> None:
    lines[0] = b'{"event":"run.started","format":2,"another":"form"}\n'


def after_the_end(lines: Lines) -> None:
    lines.append(lines[-1])


def two_of_them(lines: Lines) -> None:
    lines *= 2


def begun_twice(lines: Lines) -> None:
    lines.insert(70, lines[0])


def swapped(lines: Lines) -> None:
    ours = [place for place, line in enumerate(lines) if b'"actor":"core"' in line]
    first = next(place for place in ours if b"message.delivered" in lines[place])
    lines.append(lines[first])
    lines[-1], lines[-2] = lines[-2], lines[-1]


WRONG: dict[str, tuple[Callable[[Lines], None], str]] = {
    "garbled": (garbled, "line 71: not a history record: "),
    "trailing": (trailing, "line 71: not a history record: "),
    "blank": (blank, "line 71: not a history record: "),
    "deep": (deep, "line 71: not a history record: "),
    "huge": (huge, "line 71: longer than 1048576 bytes"),
    "another fact": (other_fact, "line 71: not a history record: "),
    "no beginning": (no_beginning, "line 1: a history begins with run.started"),
    "another format": (other_format, "line 1: history format 2, this version reads 1"),
    "after the end": (after_the_end, ": comes after run.ended"),
    "two of them": (two_of_them, ": a second history begins here"),
    "begun twice": (begun_twice, "line 71: a second history begins here"),
    "swapped": (swapped, ": the lines are not in their order, or twice there"),
}


@pytest.mark.parametrize("name", WRONG)
def test_err_a_history_with_a_wrong_line_is_2_and_says_which(
    pasidlab: Command, folder: Path, name: str
) -> None:
    change, sentence = WRONG[name]
    edit(folder, change)
    for only in ((), ("--only", "rollback")):  # Of the second, most lines are observed by nobody.
        ran = pasidlab("check", folder, *only)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.startswith("elsewhere/history.jsonl line ")
        assert sentence in ran.err


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("nothing", "nothing: is no run, neither here nor in runs (see: pasidlab list runs)"),
        ("latest", "latest: there is no run in runs yet"),
        ("", "an empty name names no run"),
        ("/", "/: is no run"),
        ("/dev/zero", "/dev/zero: is not a regular file"),
        ("pipe", "pipe: is not a regular file"),
        ("right.toml", "right.toml line 1: not a history record: "),
    ],
)
def test_err_what_is_no_history_is_2(
    pasidlab: Command, here: Path, what: str, sentence: str
) -> None:
    os.mkfifo(here / "pipe")
    ran = pasidlab("check", what)
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_err_a_run_that_kept_no_history_says_how_to_have_one(pasidlab: Command) -> None:
    pasidlab("explore", "right.toml", "--schedules", "1", "--seed", "7", "--no-determinism")
    ran = pasidlab("check", "latest")
    assert ran.code == 2
    assert "an explore keeps the history of a violation, and there was none" in ran.err
    assert ran.err.rstrip().endswith("/experiment.toml --seed 0x7  (exit 2)")


def test_err_a_run_that_was_cut_off_says_where_it_is(pasidlab: Command, here: Path) -> None:
    part = here / "runs" / "x" / "y.part"
    part.mkdir(parents=True)
    for name in ("x/y", "runs/x/y"):
        assert "this run was cut off; what it wrote is in " in pasidlab("check", name).err
    assert "was cut off before it kept a history" in pasidlab("check", part).err
    assert "cut off: no result" in pasidlab("list", "runs").out


def test_err_a_folder_without_its_history_says_so(pasidlab: Command, folder: Path) -> None:
    (folder / "history.jsonl").unlink()
    assert "its history.jsonl is not there" in pasidlab("check", folder).err
