"""The run folder: everything that is needed to look at a run again, anywhere (ux: the run folder).

A run writes into `<name>.part` and is renamed when its result is there: a folder that still ends
in `.part`, or has no `result.json`, is a run that was cut off.
"""

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from experiments.harness.config import Experiment
from experiments.harness.errors import UnwritableError
from experiments.harness.result import Result

PART: Final = ".part"
LATEST: Final = "latest"
HISTORY: Final = "history.jsonl"
EXPERIMENT: Final = "experiment.toml"
CHECKPOINT: Final = "search.bin"
"""Of a stateful search that was stopped: from where it goes on."""
PACKAGES: Final = ("pasidlab", "msgspec", "msgpack", "ray", "click", "rich", "structlog")
MODEL: Final = ("protocol", "actors", "clusters")
"""What a replay depends on."""
GIT_SECONDS_MAX: Final = 10
_ODD: Final = re.compile(r"[^A-Za-z0-9._-]+")


class Manifest(Struct, frozen=True):
    """`run.json`: how a run came about."""

    command: tuple[str, ...]
    git: str
    dirty: bool
    versions: dict[str, str]
    host: str
    started: str
    ended: str
    seed: int
    cluster: str


class Run:
    """One run's folder while it is written."""

    def __init__(self, runs: Path, experiment_name: str, seed: int) -> None:
        """Make the folder, under a name that says it is not whole yet."""
        self.runs = runs
        self.started = _now()
        self.seed = seed
        stamp = self.started.strftime("%Y%m%dT%H%M%S")
        self.final, self.folder = _claim(runs / folder_name(experiment_name) / f"{stamp}-{seed:x}")

    def write_experiment(self, experiment: Experiment) -> bytes:
        """`experiment.toml`, with every default written out, and the user's own files; its text."""
        text = resolved(experiment)
        self.write(EXPERIMENT, text)
        for own in experiment.lineup.own:
            self.write(own.name, own.text.encode())
        return text

    def write(self, name: str, content: bytes) -> Path:
        """A file of the run; its path after `finish`."""
        with _writing(self.folder / name):
            (self.folder / name).write_bytes(content)
        return self.final / name

    def discard(self) -> None:
        """Nothing came of it: no folder says that it was begun."""
        shutil.rmtree(self.folder, ignore_errors=True)
        with suppress(OSError):  # Others have runs there.
            self.folder.parent.rmdir()
            self.runs.rmdir()

    def finish(self, result: Result, cluster: str = "") -> Path:
        """`run.json` and `result.json`, then the final name and the `latest` links."""
        git, dirty = git_state()
        manifest = Manifest(
            command=tuple(sys.argv),
            git=git,
            dirty=dirty,
            versions={"python": platform.python_version(), **_versions()},
            host=platform.node(),
            started=self.started.isoformat(),
            ended=_now().isoformat(),
            seed=self.seed,
            cluster=cluster,
        )
        self.write("run.json", pretty(manifest))
        self.write("result.json", pretty(result))
        with _writing(self.final):
            self.folder.rename(self.final)
            self.folder = self.final
            _point(self.runs / LATEST, self.final)
            _point(self.final.parent / LATEST, self.final)
        return self.final


def written(path: Path, content: bytes) -> Path:
    """A file beside others, whole or not there."""
    part = path.with_name(f".{path.name}{PART}")
    with _writing(path):
        part.write_bytes(content)
        part.replace(path)
    return path


def resolved(experiment: Experiment) -> bytes:
    """The experiment as TOML, with every default written out."""
    return msgspec.toml.encode(experiment)


def pretty(value: object) -> bytes:
    """JSON for people: indented, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def folder_name(experiment_name: str) -> str:
    """The name of an experiment's folder: nothing that a shell or a link would trip over."""
    name = _ODD.sub("_", experiment_name).strip("._-")[:64] or "experiment"
    return f"{name}_" if name == LATEST or name.endswith(PART) else name


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnwritableError(f"{path}: cannot be written: {error.strerror}") from error


def _claim(path: Path) -> tuple[Path, Path]:
    """`path`, or with a number behind it if it is taken, and its folder while it is not whole.

    Two runs of the same second may ask at once: whoever makes the folder has it.
    """
    with _writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        final, k = path, 1
        while True:
            part = final.with_name(final.name + PART)
            try:
                part.mkdir()
            except FileExistsError:
                pass
            else:
                if not final.exists():
                    return final, part
                part.rmdir()
            k += 1
            final = path.with_name(f"{path.name}-{k}")


def _point(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)


# --- The code that ran ----------------------------------------------------------------------------


def git_state() -> tuple[str, bool]:
    """The commit of the code and whether it is changed; ("", False) outside a checkout."""
    commit = _git("rev-parse", "HEAD")
    return commit, bool(commit and _git("status", "--porcelain", "--untracked-files=no"))


def model_changes(commit: str) -> Sequence[str]:
    """The files of the model that differ from a commit; none also if git does not know it."""
    if not re.fullmatch(r"[0-9a-f]{7,64}", commit):
        return ()
    return _git("diff", "--name-only", commit, "--", *MODEL).splitlines()


def _git(*words: str) -> str:
    root = Path(__file__).resolve().parents[2]
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words],  # noqa: S607  the user's git
            capture_output=True,
            text=True,
            check=False,
            timeout=GIT_SECONDS_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _now() -> datetime:
    return datetime.now(UTC)


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
