"""The run folder: everything that is needed to look at a run again, anywhere (ux: the run folder).

A run writes into `<name>.part` and is renamed when its result is there: a folder that still ends
in `.part`, or has no `result.json`, is a run that was cut off.
"""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from experiments.harness.config import Experiment
from experiments.harness.result import Result
from protocol.errors import ExperimentError

PART: Final = ".part"
PACKAGES: Final = ("pasidlab", "msgspec", "msgpack", "ray", "click", "rich", "structlog")


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
        stamp = self.started.strftime("%Y%m%dT%H%M%S")
        self.final = _unused(runs / experiment_name / f"{stamp}-{seed:x}")
        self.folder = self.final.with_name(self.final.name + PART)
        self.seed = seed
        try:
            self.folder.mkdir(parents=True)
        except OSError as error:
            raise ExperimentError(f"{self.folder}: cannot be made: {error}") from error

    def write_experiment(self, experiment: Experiment) -> None:
        """`experiment.toml`, with every default written out."""
        text = msgspec.toml.encode(experiment)
        (self.folder / "experiment.toml").write_bytes(text)

    def write(self, name: str, content: bytes) -> Path:
        """A file of the run; its path after `finish`."""
        (self.folder / name).write_bytes(content)
        return self.final / name

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
        self.folder.rename(self.final)
        self.folder = self.final
        _point(self.runs / "latest", self.final)
        _point(self.final.parent / "latest", self.final)
        return self.final


def pretty(value: object) -> bytes:
    """JSON for people: indented, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def find_run(what: str, runs: Path) -> Path:
    """The run folder that `what` names: a path, `latest`, or an experiment's name (its latest)."""
    for candidate in (Path(what), runs / what, runs / what / "latest"):
        if (candidate / "history.jsonl").exists() or (candidate / "result.json").exists():
            return candidate.resolve()
    part = Path(what + PART)
    if part.exists():
        raise ExperimentError(f"{what}: this run was cut off; what it wrote is in {part}")
    raise ExperimentError(f"{what}: no such run under {runs}")


def git_state() -> tuple[str, bool]:
    """The commit of the code and whether it is changed; ("", False) outside a checkout."""
    root = Path(__file__).resolve().parents[2]

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words],  # noqa: S607  the user's git
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain", "--untracked-files=no"))
    except OSError:
        return "", False


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


def _unused(path: Path) -> Path:
    """`path`, or with a number behind it if a run of this second is already there."""
    candidate, k = path, 1
    while candidate.exists() or candidate.with_name(candidate.name + PART).exists():
        k += 1
        candidate = path.with_name(f"{path.name}-{k}")
    return candidate


def _point(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, in one step."""
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(os.path.relpath(target, link.parent))
    temporary.replace(link)
