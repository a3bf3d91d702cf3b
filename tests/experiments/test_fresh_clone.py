"""A token pasted elsewhere: in a fresh clone it shows the same; in changed code it says what is."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.experiments.command import WRONG
from tests.test_tidy import ROOT

pytestmark = pytest.mark.long

FOLDERS: Final = ("protocol", "actors", "clusters", "experiments")
AUTHOR: Final = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
MAKES_TOKEN: Final = """
import sys
from pathlib import Path
from clusters.sim.tape import Origin
from clusters.sim.world import simulate
from experiments.harness.config import load
from experiments.harness.setup import digest_of, setup_of
from experiments.harness.store import git_state, resolved

experiment = load(Path(sys.argv[1]))
origin = Origin(git_state()[0], digest_of(resolved(experiment)))
print(simulate(setup_of(experiment, sys.argv[1]), 7).tape.token(origin))
"""


@dataclass(frozen=True)
class Clone:
    """The code at some commit, and a folder to work in."""

    code: Path
    work: Path

    def git(self, *words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.code), *AUTHOR, *words],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.strip()

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(self.code), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *words],
            cwd=self.work, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def replay(self, *words: str) -> tuple[int, str, str]:
        done = self.python("-m", "experiments.harness.cli", "replay", *words)
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def change(self, file: str, change: Callable[[str], str]) -> str:
        """A commit that changes a file; its first digits."""
        path = self.code / file
        text = path.read_text()
        assert change(text) != text
        path.write_text(change(text))
        self.git("commit", "--quiet", "--all", "--message", "Change it")
        return self.git("rev-parse", "HEAD")[:7]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """The code as it lies here, in a repository of its own."""
    code, work = tmp_path_factory.mktemp("code"), tmp_path_factory.mktemp("work")
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, code / folder, ignore=ignored)
    (work / "wrong.toml").write_text(WRONG)
    clone = Clone(code, work)
    clone.git("init", "--quiet")
    clone.git("add", "--all")
    clone.git("commit", "--quiet", "--message", "As it is")
    return clone


@pytest.fixture(scope="module")
def token(original: Clone) -> str:
    made = original.python("-c", MAKES_TOKEN, "wrong.toml")
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def clone(original: Clone, tmp_path: Path) -> Clone:
    """A fresh clone of it, and the experiment beside."""
    code, work = tmp_path / "code", tmp_path / "work"
    original.git("clone", "--quiet", str(original.code), str(code))
    work.mkdir()
    (work / "wrong.toml").write_text(WRONG)
    return Clone(code, work)


def violation(original: Clone, token: str) -> Any:  # noqa: ANN401  whatever the JSON says
    return json.loads(original.replay(token, "wrong.toml", "--json")[1])["violations"]


def test_a_fresh_clone_of_the_same_commit_shows_the_same_violation(
    original: Clone, clone: Clone, token: str
) -> None:
    code, out, err = clone.replay(token, "wrong.toml", "--json")
    assert (code, err) == (1, "")
    assert json.loads(out)["violations"] == violation(original, token)


@pytest.mark.long
def test_another_commit_that_does_the_same_is_warned_of_and_runs(
    original: Clone, clone: Clone, token: str
) -> None:
    now = clone.change("actors/vfio/__init__.py", lambda text: f"{text}\n# Nothing else.\n")
    was = original.git("rev-parse", "HEAD")[:7]
    code, out, err = clone.replay(token, "wrong.toml", "--json")
    assert code == 1
    assert err == (
        f"recorded with git {was}, this is {now} (actors/vfio/__init__.py changed):"
        " it may come out differently\n"
    )
    assert json.loads(out)["violations"] == violation(original, token)


def test_err_a_changed_actor_is_warned_of_and_its_divergence_is_said_with_place_and_reason(
    original: Clone, clone: Clone, token: str
) -> None:
    """The core refuses what it granted: nothing goes on as it did."""
    now = clone.change(
        "actors/ioasid_core/alloc.py",
        lambda text: text.replace("ioasids.count >= ioasids.quota", "ioasids.count >= 0"),
    )
    was = original.git("rev-parse", "HEAD")[:7]
    code, out, err = clone.replay(token, "wrong.toml")
    assert code == 4
    changed = f"recorded with git {was}, this is {now} (actors/ioasid_core/alloc.py changed)"
    assert err == f"{changed}: it may come out differently\n"
    first, *others = out.splitlines()
    assert re.match(
        r"diverged   at one of the choices \d+ to \d+ of \d+ \(steps \d+ to \d+\): another one was"
        r" recorded there; now [a-z-]+ is violated in \d+ steps",
        first,
    )
    assert f"  {changed}" in others
    assert any(line.startswith("  usual causes: the code changed") for line in others)


@pytest.mark.long
def test_err_a_file_says_which_choice_is_not_possible_any_more(
    original: Clone, clone: Clone
) -> None:
    ran = original.python("-m", "experiments.harness.cli", "run", "wrong.toml", "--seed", "7")
    assert ran.returncode == 1, ran.stderr
    file = str((original.work / "runs" / "latest").resolve() / "ce-1.json")
    assert clone.replay(file)[::2] == (1, "")
    clone.change(
        "actors/ioasid_core/alloc.py",
        lambda text: text.replace("ioasids.count >= ioasids.quota", "ioasids.count >= 0"),
    )
    code, out, err = clone.replay(file)
    assert code == 4
    assert err.startswith("recorded with git ")
    first, *others = out.splitlines()
    assert re.match(
        r"diverged   at step \d+, choice \d+ of \d+: recorded: .* -> .*; possible now: ", first
    )
    assert "(actors/ioasid_core/alloc.py changed)" in others[0]


@pytest.mark.long
def test_err_another_experiment_is_said(clone: Clone, token: str) -> None:
    _, _, err = clone.replay(token, "wrong.toml", "--set", "pool.pasids=2")
    assert err == (
        "recorded with another experiment, or other options: it may come out differently\n"
    )
    assert clone.replay(token, "wrong.toml")[2] == ""
