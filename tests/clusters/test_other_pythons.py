"""The same file and seed give the same bytes of history on every Python that is here."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

ROOT = Path(__file__).resolve().parents[2]
FILES = ("ioasid/free_before_unbind.toml", "ioasid/vm_killed.toml", "chaos/kill_everyone.toml")
PROGRAM = """
import sys
from pathlib import Path
from clusters.sim.world import simulate
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from protocol.history import encode_record
for file in sys.argv[1:]:
    records = []
    simulate(setup_of(load(Path(file)), file), 0x5EED, history=records.append)
    sys.stdout.buffer.write(b"".join(encode_record(record) + b"\\n" for record in records))
"""
NEEDED = ("msgspec", "msgpack", "tomli_w", "click", "rich")


def histories(python: str, extra_path: Path | None = None) -> bytes:
    """The histories of the files, as that Python writes them."""
    path = str(ROOT) if extra_path is None else f"{ROOT}:{extra_path}"
    done = subprocess.run(
        [python, "-c", PROGRAM, *(f"experiments/{file}" for file in FILES)],
        cwd=ROOT,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin", "PYTHONHASHSEED": "7"},
        capture_output=True,
        check=True,
        timeout=60,
    )
    return done.stdout


def find(name: str) -> str:
    """A Python of that name that runs: on the path, or one that pyenv keeps."""
    kept = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for python in (shutil.which(name), *sorted(kept.glob(f"*/bin/{name}"))):
        if (
            python
            and not subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode
        ):
            return str(python)
    pytest.skip(f"{name} is not here, or does not run")


def packages_for(python: str) -> Path:
    """What the simulator needs, for another Python, once, beside our own environment."""
    target = Path(sys.prefix) / f"for-{Path(python).name}"
    if not all((target / package).is_dir() for package in NEEDED):
        install = [python, "-m", "pip", "install", "--quiet", "--upgrade", "--target", str(target)]
        install += NEEDED
        done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=100)
        if done.returncode:
            pytest.skip(f"{python}: what it needs cannot be installed here")
    return target


@pytest.mark.parametrize("name", ["python3.11", "python3.12", "python3.13"])
def test_the_history_is_the_same_bytes_on(name: str) -> None:
    python = find(name)
    ours = histories(sys.executable)
    assert ours.count(b"\n") > 1_000
    theirs = histories(python, packages_for(python))
    assert hashlib.sha256(theirs).hexdigest() == hashlib.sha256(ours).hexdigest()
