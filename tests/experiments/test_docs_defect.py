"""`docs/add-a-defect.md`, done as it says: its two files make a bug that is found."""

import re
from pathlib import Path
from typing import Final

import pytest

from clusters import lineup
from experiments.harness import own
from experiments.harness.reading import EXPERIMENTS
from tests.experiments.command import Command

PAGE: Final = (EXPERIMENTS.parent / "docs" / "add-a-defect.md").read_text()


def block(language: str) -> str:
    """The one block of that language."""
    (text,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    return str(text)


def test_the_page_says_what_happens(
    pasidlab: Command, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineup, "_ADMITTED", {})
    monkeypatch.setattr(own, "_PATHS", {})
    (here / "mine.py").write_text(block("python"))
    (here / "mine.toml").write_text(block("toml"))
    sound = pasidlab("explore", "mine.toml", "--seed", "1", "--schedules", "100")
    assert sound.code == 0
    wrong = pasidlab("explore", "mine.toml", "--defect", "./mine.py", "--seed", "1", "--no-shrink")
    assert wrong.code == 1
    assert "violation  no-reference-while-pending" in wrong.out
    ran = pasidlab("bank", "mine.toml", "--defect", "./mine.py", "--seeds", "3", "--no-shrink")
    assert ran.code == 0
    assert "3/3" in ran.out
