"""`pasidlab doctor`: whether everything is there, and does the same twice."""

import os
import platform
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from experiments.harness.options import Verb, runs_option
from experiments.harness.result import Exit
from experiments.harness.say import Voice, columns
from protocol.errors import PasidlabError

NEEDED: Final = ("msgspec", "msgpack", "click", "rich", "structlog", "tomli-w")
DISK_MIN: Final = 1 << 30


class Finding(Struct, frozen=True):
    """One thing looked at; `ok` false is a problem."""

    what: str
    said: str
    ok: bool = True


@click.command(
    "doctor",
    cls=Verb,
    epilog="Exit codes: 0 all is well, 2 something is not.",
    examples=("pasidlab doctor", "pasidlab doctor --ray", "pasidlab doctor --json"),
)
@click.option("--ray", is_flag=True, help="Start a small Ray of our own, and stop it again.")
@runs_option("Where runs go")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
@click.option("--no-color", is_flag=True, help="No colours, also on a terminal.")
def command(*, ray: bool, runs_dir: Path, as_json: bool, no_color: bool) -> int:
    """Versions, determinism, disk, and whether Ray is installed (and, with --ray, starts)."""
    voice = Voice(json=as_json, colour=False if no_color else None)
    findings = [_python(), *_packages(), _ray(start=ray), _disk(runs_dir), _determinism()]
    well = all(found.ok for found in findings)
    voice.object({"ok": well, "findings": findings})
    rows = [("ok" if found.ok else "wrong", found.what, found.said) for found in findings]
    for line in columns(rows, ""):
        voice.answer(line)
    return int(Exit.PASS if well else Exit.USAGE)


def _python() -> Finding:
    return Finding("python", platform.python_version())


def _packages() -> list[Finding]:
    found = []
    for package in NEEDED:
        try:
            found.append(Finding(package, version(package)))
        except PackageNotFoundError:
            found.append(Finding(package, "not installed: make test sets it up", ok=False))
    return found


def _ray(*, start: bool) -> Finding:
    if find_spec("ray") is None:
        return Finding("ray", "not installed: chaos needs it, nothing else does")
    if not start:
        return Finding("ray", f"{version('ray')}, not started (see --ray)")
    # In a process of its own, so that nothing of Ray stays behind in ours.
    done = subprocess.run(
        [sys.executable, "-m", "clusters.live.probe"],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = (done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["?"])[-1]
    return Finding("ray", said, ok=done.returncode == 0)


def _disk(runs: Path) -> Finding:
    """Of the folder where runs go, or the nearest one above it that is there."""
    place = next(folder for folder in (runs, *runs.resolve().parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding("disk", f"{runs}: cannot be written", ok=False)
    less = f", less than {DISK_MIN >> 30}" if free < DISK_MIN else ""
    return Finding("disk", f"{free >> 30} GiB free for {runs}{less}", ok=not less)


def _determinism() -> Finding:
    from clusters.sim import determinism
    from experiments.harness.config import load
    from experiments.harness.setup import setup_of

    path = Path(__file__).resolve().parents[1] / "ioasid" / "free_before_unbind.toml"
    try:
        determinism.check(setup_of(load(path), str(path)), [1])
    except PasidlabError as error:
        return Finding("determinism", str(error), ok=False)
    return Finding("determinism", "the same schedule twice, under two hash seeds: equal")
