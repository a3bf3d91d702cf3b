"""What `clean` takes away of `runs/`, and what it leaves: only what this program has made goes.

A run's folder is one by its name, by where it is, and by what is in it; where anything is that no
run makes, or where a run may still be going on, all of it stays, and that is said.
"""

import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from clusters.live.room import taken
from experiments.harness.errors import UnwritableError
from experiments.harness.store import LATEST, PART

NAME: Final = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]+(-[0-9]+)?(\.part)?")
MADE: Final = re.compile(
    r"experiment\.toml|run\.json|result\.json|history\.jsonl(\.gz)?|search\.bin|ce-[0-9]+\.json"
    r"|journals|logs|[A-Za-z0-9_-]+\.(html|py|md|svg|perfetto|pftrace|shiviz|xml)|\..*\.part"
)
MARKS: Final = ("experiment.toml", "run.json", "result.json", "journals")
"""One of them is in every run's folder from its first moment on."""
BUSY_SECONDS: Final = 3600.0
"""A folder without a result in which something was written so lately may still go on."""


class Rules(Struct, frozen=True):
    """A run goes when one of them says so; None: the rule is not asked for."""

    keep: int | None = None
    older_s: float | None = None
    size: int | None = None


class Found(Struct, frozen=True):
    """A folder, how large, when it was last written; `why`: it goes, or stays, because."""

    path: Path
    size: int
    written: float
    why: str = ""
    goes: bool = False


def choose(runs: Path, rules: Rules, now: float) -> list[Found]:
    """Every folder of a run, the newest first, and what is to become of it."""
    found = sorted(_runs(runs, now), key=lambda one: (-one.written, one.path.name))
    counted: dict[Path, int] = {}
    size, chosen = 0, []
    for one in found:
        if one.why:  # It stays whatever the rules are.
            chosen.append(one)
            size += one.size
            continue
        place = counted[one.path.parent] = counted.get(one.path.parent, 0) + 1
        why = _why(one, rules, place, size + one.size, now)
        size += 0 if why else one.size
        chosen.append(structs.replace(one, why=why, goes=bool(why)))
    return chosen


def _why(one: Found, rules: Rules, place: int, size: int, now: float) -> str:
    if rules.keep is not None and place > rules.keep:
        return f"not among the newest {rules.keep}"
    if rules.older_s is not None and now - one.written > rules.older_s:
        return f"{(now - one.written) / 86_400:.1f} days old"
    if rules.size is not None and size > rules.size:
        return "beyond the size in all"
    return ""


def _runs(runs: Path, now: float) -> Iterator[Found]:
    for folder in _folders(runs):
        for path in _folders(folder):
            if NAME.fullmatch(path.name):
                yield _found(path, now)


def _folders(path: Path) -> list[Path]:
    """Those in it; what is only a link to one is not in it."""
    if not path.is_dir():
        return []
    return [one for one in sorted(path.iterdir()) if one.is_dir() and not one.is_symlink()]


def _found(path: Path, now: float) -> Found:
    written, strange, inside = 0.0, "", list(path.iterdir())
    for one in [path, *path.rglob("*")]:
        written = max(written, one.lstat().st_mtime)
    for one in inside:
        if one.is_symlink() or not MADE.fullmatch(one.name):
            strange = strange or f"no run makes {one.name}"
    if not any(one.name in MARKS for one in inside):
        strange = strange or "no run's folder"
    if path.name.endswith(PART) and now - written < BUSY_SECONDS:
        strange = strange or "perhaps still going on"
    return Found(path, taken(path), written, strange)


def remove(runs: Path, chosen: list[Found]) -> None:
    """Take them away; `latest` is then the newest that is left."""
    for one in chosen:
        if not one.goes:
            continue
        try:
            shutil.rmtree(one.path)
        except OSError as error:
            raise UnwritableError(f"{one.path}: cannot be removed: {error.strerror}") from error
    left = [one for one in chosen if not one.goes and not one.path.name.endswith(PART)]
    for folder in dict.fromkeys([runs, *(one.path.parent for one in chosen)]):
        _point(folder, [one.path for one in left if folder in one.path.parents])
        if folder != runs and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _point(folder: Path, newest_first: list[Path]) -> None:
    """Only a link that leads nowhere any more is changed."""
    link = folder / LATEST
    if not link.is_symlink() or link.exists():
        return
    link.unlink()
    if newest_first:
        link.symlink_to(newest_first[0].relative_to(folder))


def now() -> float:
    """Seconds, as files have them."""
    return time.time()
