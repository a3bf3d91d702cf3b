"""A revision or a defect of the user, in a Python file: named on the command line it is as ours."""

import json
from pathlib import Path

import pytest

from clusters import lineup
from experiments.harness import own
from tests.experiments.command import Command

BUG = """
title = "a look-up after free"
[pool]
pasids = 2
[[machine.unit]]
name = "dmar0"
[[machine.device]]
name = "dsa0"
unit = "dmar0"
wq   = "dedicated"
[[process]]
name  = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "async ims p dsa0", "free p", "unims dsa0"]
"""
MINE = """
from actors.ioasid_core import IoasidCore
class Mine(IoasidCore):
    __slots__ = ()
    def may_find(self, life):
        return True
CLASSES = {"core": Mine}
"""
RULE = "no-reference-while-pending"


@pytest.fixture(autouse=True)
def files(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment and a defect, and nobody has named a file before."""
    monkeypatch.setattr(lineup, "_ADMITTED", {})
    monkeypatch.setattr(own, "_PATHS", {})
    (here / "bug.toml").write_text(BUG)
    (here / "mine.py").write_text(MINE)
    return here


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As another call of the command would: nothing has been named."""
    monkeypatch.setattr(lineup, "_ADMITTED", {})
    monkeypatch.setattr(own, "_PATHS", {})


@pytest.mark.long
@pytest.mark.parametrize("option", ["--defect", "--revision"])
def test_it_is_found_shrunk_and_replayed_as_one_of_ours(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    assert pasidlab("explore", "bug.toml", "--seed", "1", "--schedules", "50").code == 0
    ran = pasidlab("explore", "bug.toml", option, "./mine.py", "--seed", "1", "-j", "2")
    assert ran.code == 1
    assert f"violation  {RULE}" in ran.out
    assert ran.last.endswith(f"/ce-1.small.json {option} ./mine.py")
    forget(monkeypatch)
    refused = pasidlab("replay", "latest")
    assert refused.code == 2
    assert "mine.py: a Python file runs only if you name it" in refused.err
    again = pasidlab("replay", "latest", option, "./mine.py")
    assert again.code == 1
    assert again.last.endswith(f"{option} ./mine.py --steps")
    smaller = pasidlab("shrink", "latest/ce-1.json", option, "./mine.py", "--tries", "200")
    assert smaller.code == 1


def test_the_run_folder_keeps_the_file_and_says_who_played(pasidlab: Command, here: Path) -> None:
    pasidlab("run", "bug.toml", "--defect", "mine.py", "--seed", "3")
    folder = here / "runs" / "latest"
    assert (folder / "mine.py").read_text() == MINE
    assert json.loads((folder / "result.json").read_text())["revision"] == "sound + mine.py"
    started = json.loads((folder / "history.jsonl").read_text().splitlines()[0])
    assert started["revision"] == "sound + mine.py"


def test_err_an_experiment_cannot_have_a_file_run(pasidlab: Command, here: Path) -> None:
    (here / "bug.toml").write_text(f'defects = ["mine.py"]\n{BUG}')
    ran = pasidlab("run", "bug.toml")
    assert ran.code == 2
    assert "runs only if you name it" in ran.err
    assert pasidlab("run", "bug.toml", "--defect", "mine.py").code in (0, 1, 3)


def test_an_experiment_may_say_the_path_of_what_is_named(pasidlab: Command, here: Path) -> None:
    (here / "deep").mkdir()
    for path, said in (("bug.toml", "./mine.py"), ("deep/bug.toml", "../mine.py")):
        (here / path).write_text(f'defects = ["{said}"]\n{BUG}')
        words = ("run", path, "--defect", "./mine.py", "--seed", "3", "--json")
        assert pasidlab(*words).object["revision"] == "sound + mine.py"


def test_err_an_experiment_says_the_path_of_another_file(pasidlab: Command, here: Path) -> None:
    (here / "bug.toml").write_text(f'defects = ["other/mine.py"]\n{BUG}')
    ran = pasidlab("run", "bug.toml", "--defect", "./mine.py")
    assert ran.code == 2
    assert "other/mine.py: a Python file runs only if you name it" in ran.err


def test_err_two_files_of_one_name(pasidlab: Command, here: Path) -> None:
    (here / "other").mkdir()
    (here / "other" / "mine.py").write_text(f"{MINE}\n")
    ran = pasidlab("run", "bug.toml", "--defect", "mine.py", "--revision", "other/mine.py")
    assert ran.code == 2
    assert "two different files are called mine.py: rename one of them" in ran.err


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"class", "mine.py: line 1: invalid syntax"),
        (b"\xff", "byte 0 is not UTF-8 text"),
        (b"x = 1", "mine.py: has no CLASSES: a dict from role to class"),
        (b"#" * ((1 << 18) + 1), "larger than 262144 bytes"),
    ],
)
def test_err_a_file_that_is_none(pasidlab: Command, here: Path, text: bytes, sentence: str) -> None:
    (here / "mine.py").write_bytes(text)
    ran = pasidlab("run", "bug.toml", "--defect", "mine.py")
    assert ran.code == 2
    assert sentence in ran.err
    assert "Traceback" not in ran.err


def test_err_a_file_that_is_not_there_has_a_neighbour(pasidlab: Command) -> None:
    ran = pasidlab("run", "bug.toml", "--defect", "mien.py")
    assert ran.code == 2
    assert "mien.py: no such file; did you mean 'mine.py'?" in ran.err
