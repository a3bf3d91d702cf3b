"""`docs/modern-stack.md`, done as it says: the case is proved, the line plays, the defect found."""

import re
import tomllib
from pathlib import Path
from typing import Final

import pytest

from clusters import lineup
from clusters.sim.world import simulate
from experiments.harness import own
from experiments.harness.reading import EXPERIMENTS
from tests.conformance.test_misuse_table import experiment_of
from tests.experiments.command import Command
from tests.worlds import world_of

PAGE: Final = (EXPERIMENTS.parent / "docs" / "modern-stack.md").read_text()


def blocks(language: str) -> list[str]:
    """The blocks of that language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_case_is_proved_and_the_defect_found(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "_ADMITTED", {})
    monkeypatch.setattr(own, "_PATHS", {})
    case, _ = blocks("toml")
    (defect,) = blocks("python")
    (here / "mine.toml").write_text(case)
    (here / "mine.py").write_text(defect)
    proved = pasidlab("explore", "mine.toml", "--strategy", "breadth-first", "--seed", "1")
    assert proved.code == 0
    assert "proved " in proved.out
    wrong = pasidlab("explore", "mine.toml", "--defect", "./mine.py", "--seed", "1", "--no-shrink")
    assert wrong.code == 1
    assert "violation  failed-attach-changes-nothing" in wrong.out


def test_the_line_of_the_page_plays() -> None:
    _, text = blocks("toml")
    (line,) = tomllib.loads(f"lines = [\n{text}]")["lines"]
    result = simulate(world_of(experiment_of(line)), seed=1)
    assert (result.violations, result.quiet) == ([], True)
