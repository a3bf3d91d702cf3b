"""What a user sees of the command line, word for word: help, refusals, lists, verdicts.

After a change that is meant: `pytest tests/snapshots --snapshot-update`, and read the difference.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from experiments.harness.cli import VERBS
from tests.experiments.command import RIGHT, UNSEEN, Command, command, scrubbed

ENDS_EARLY = """
title = "a script that expects what does not happen"
[[process]]
name = "vm1.guest"
steps = ["p = alloc -> ENOSPC", "free p"]
"""
RANDOM = ("--set", "explore.strategy=random")


@pytest.fixture
def pasidlab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """The command line in a folder with three experiments."""
    monkeypatch.chdir(tmp_path)
    for name in ("PASIDLAB_RUNS_DIR", "NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for name, text in {"wrong": ENDS_EARLY, "right": RIGHT, "unseen": UNSEEN}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    return command(capsys)


@pytest.fixture
def seen(pasidlab: Command, tmp_path: Path) -> Callable[..., str]:
    """All that a command says, and its exit code."""

    def see(*words: str) -> str:
        ran = pasidlab(*words)
        said = scrubbed(f"{ran.out}{ran.err}[exit {ran.code}]")
        said = re.sub(
            r"'[^']*/(experiments/[a-z]+/)", r"'\1", said.replace(f"{tmp_path}", "<here>")
        )
        return "\n".join(line.rstrip() for line in said.splitlines())

    return see


@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help(seen: Callable[..., str], snapshot: SnapshotAssertion, verb: str) -> None:
    assert seen(*verb.split(), "--help") == snapshot


@pytest.mark.parametrize(
    "line",
    [
        "",
        "rum",
        "report",
        "run",
        "run --sead 3 right.toml",
        "run rigth.toml",
        "run normal_life",
        "run right.toml --seed 5eed",
        "run right.toml --set pool",
        "run right.toml --set pool.pasids=four",
        "run right.toml --set pool.pasid=4",
        "run right.toml --set expect.sometimes=['pasid-reusd']",
        "run right.toml --revision v33",
        "run right.toml --json --seed x",
        "explore right.toml --schedules 0",
        "explore right.toml --for 5min",
        "list propertys",
        "schema recrd",
        "check nothing",
        "check right.toml",
        "check latest --only dma-in-its-own-live",
        "replay nothing",
        "replay right.toml",
        "replay aeaaaaaaaaaaab3smfxgi33ntx3q",
        "replay aeaaaaaaaaaaab3smfxgi33ntx3 right.toml",
        "replay latest --set pool.pasids=4",
        "shrink",
        "shrink nothing",
        "shrink right.toml",
        "shrink aeaaaaaaaaaaab3smfxgi33ntx3q",
        "shrink aeaaaaaaaaaaab3smfxgi33ntx3q right.toml",
        "shrink latest --tries 0",
        "shrink latest --for never",
    ],
)
def test_err_refusals(seen: Callable[..., str], snapshot: SnapshotAssertion, line: str) -> None:
    assert seen(*line.split()) == snapshot


@pytest.mark.parametrize(
    "noun",
    ["properties", "faults", "operations", "misbehaviours", "strategies", "revisions", "sites"],
)
def test_lists(seen: Callable[..., str], snapshot: SnapshotAssertion, noun: str) -> None:
    assert seen("list", noun) == snapshot


def test_a_pass(seen: Callable[..., str], snapshot: SnapshotAssertion) -> None:
    assert seen("run", "right.toml", "--seed", "7", *RANDOM) == snapshot
    assert seen("check", "latest") == snapshot
    words = ("--seed", "7", "--schedules", "20", *RANDOM)
    assert seen("explore", "right.toml", *words) == snapshot


def test_an_unknown(seen: Callable[..., str], snapshot: SnapshotAssertion) -> None:
    assert seen("run", "unseen.toml", "--seed", "7", *RANDOM) == snapshot


def test_a_violation_its_replay_and_its_check(
    seen: Callable[..., str], snapshot: SnapshotAssertion
) -> None:
    assert seen("explore", "wrong.toml", "--seed", "7", *RANDOM) == snapshot
    assert seen("replay", "latest") == snapshot
    assert seen("shrink", "latest") == snapshot
    assert seen("check", "latest") == snapshot
    assert seen("run", "wrong.toml", "--seed", "7", *RANDOM) == snapshot
