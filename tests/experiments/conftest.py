"""A folder to work in, and the command line in it."""

from pathlib import Path

import pytest

from tests.experiments.command import RIGHT, UNSEEN, WRONG, Command, command


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with three experiments in it; what the user has set is not set."""
    monkeypatch.chdir(tmp_path)
    for name in ("PASIDLAB_RUNS_DIR", "NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for name, text in {"wrong": WRONG, "right": RIGHT, "unseen": UNSEEN}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return tmp_path


@pytest.fixture
def pasidlab(here: Path, capsys: pytest.CaptureFixture[str]) -> Command:  # noqa: ARG001
    """`pasidlab("run", "wrong.toml")`."""
    return command(capsys)
