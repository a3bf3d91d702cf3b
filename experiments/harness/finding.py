"""Finds what a user means by a run: a folder, `latest`, an experiment's name, or a file in it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from experiments.harness.reading import read_file, shown
from experiments.harness.result import Status
from experiments.harness.store import EXPERIMENT, HISTORY, LATEST, PART
from protocol.errors import ExperimentError

RESULT: Final = "result.json"
RESULT_BYTES_MAX: Final = 16 << 20
_ANY: Final = (HISTORY, RESULT, EXPERIMENT)


class Summary(Struct, frozen=True):
    """What of a `result.json` is read again."""

    verdict: Status
    verb: str = ""
    world: str = ""
    seed: int = 0
    counts: dict[str, int] = {}


def find_run(what: str, runs: Path) -> Path:
    """The run folder that `what` names: a path, `latest`, or an experiment's name (its latest)."""
    for candidate in _candidates(what, runs):
        if candidate.is_dir():
            if candidate.name.endswith(PART):
                return candidate.resolve()
            for folder in (candidate, candidate / LATEST):
                if any((folder / name).exists() for name in _ANY):
                    return folder.resolve()
    for candidate in _candidates(what, runs):
        part = candidate.parent / f"{candidate.name}{PART}"
        if part.is_dir():
            raise ExperimentError(f"{what}: this run was cut off; what it wrote is in {part}")
    if what == LATEST:
        raise ExperimentError(f"{what}: there is no run in {runs} yet (see: pasidlab run --help)")
    raise ExperimentError(
        f"{what}: is no run, neither here nor in {runs} (see: pasidlab list runs)"
    )


def find_file(what: str, runs: Path) -> Path | None:
    """The file (not the folder) that `what` names: `latest/ce-1.json` or a path."""
    for candidate in _candidates(what, runs):
        if candidate.exists() and not candidate.is_dir():
            return candidate
    return None


def find_history(what: str, runs: Path) -> Path:
    """The history of a run, or the file itself."""
    if file := find_file(what, runs):
        return file
    folder = find_run(what, runs)
    path = folder / HISTORY
    if path.exists():
        return path
    if folder.name.endswith(PART):
        raise ExperimentError(f"{folder}: this run was cut off before it kept a history")
    summary = summary_of(folder)
    if summary and summary.verb == "explore" and summary.verdict is not Status.VIOLATION:
        raise ExperimentError(
            f"{folder}: an explore keeps the history of a violation, and there was none;"
            f" for one schedule's: pasidlab run {folder / EXPERIMENT} --seed {summary.seed:#x}"
        )
    raise ExperimentError(f"{folder}: its {HISTORY} is not there")


def summary_of(folder: Path) -> Summary | None:
    """The verdict and counts of a run; None if it was cut off, or nobody can read them."""
    path = folder / RESULT
    try:
        return msgspec.json.decode(read_file(path, RESULT_BYTES_MAX), type=Summary)
    except (ExperimentError, msgspec.DecodeError, RecursionError):
        return None


def all_runs(runs: Path) -> Iterator[tuple[str, str]]:
    """Every run, oldest first, and what it came to in a few words."""
    folders = [
        folder
        for folder in runs.glob("*/*")
        if folder.is_dir() and not folder.is_symlink() and not folder.parent.is_symlink()
    ]
    for folder in sorted(folders, key=lambda folder: (folder.name, folder.parent.name)):
        summary = summary_of(folder)
        if summary is None:
            yield shown(folder), "cut off: no result"
        else:
            said = f"{summary.verdict.value}  {summary.verb}  seed {summary.seed:#x}"
            yield shown(folder), said


def _candidates(what: str, runs: Path) -> tuple[Path, ...]:
    if not what or "\0" in what:
        raise ExperimentError("an empty name names no run" if not what else "a zero byte in a name")
    if Path(what).parts[:1] == (LATEST,):
        return runs / what, Path(what)
    return Path(what), runs / what
