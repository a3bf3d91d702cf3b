"""What is on the disk when something leaves, and what becomes of it when the disk is full."""

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Final, Never, cast

import pytest
from msgspec import structs

from clusters.live.chronicle import Chronicle, read_chronicle
from clusters.live.journal import Input, SqliteJournal
from clusters.live.journals import make_journal, open_journal
from clusters.live.live_host import Failure
from clusters.live.operations_log import OperationsLog
from clusters.live.redis_server import redis_server, why_none
from clusters.live.reexecute import reexecute
from clusters.live.supervisor import HostView, Supervisor
from protocol.errors import ClusterError, IncompleteError
from protocol.messages import HostLost
from tests.clusters.journal_hands import entry, opened, read
from tests.live.without_ray import TWO_HOSTS, quiet, started

pytestmark = pytest.mark.long

if TYPE_CHECKING:
    from clusters.live.ray_host import Charge

ROOT: Final = Path(__file__).resolve().parents[2]
STRACE: Final = shutil.which("strace")
CALLS: Final = "trace=fsync,fdatasync,write,pwrite64"

JOURNAL: Final = """
from pathlib import Path
from clusters.live.journal import SqliteJournal
from tests.clusters.journal_hands import entry
path, durability = Path(sys.argv[1]) / "core.sqlite", sys.argv[2]
SqliteJournal.make(path, "core", durability)
say("made")
journal = SqliteJournal(path, "core", durability)
journal.begin(1)
say("begun")
for n in range(1, 4):
    journal.append([entry(n)])
    say("appended")
journal.save(b"state")
"""
SUPERVISED: Final = """
from pathlib import Path
from clusters.live.chronicle import Chronicle
from protocol.messages import HostLost
chronicle = Chronicle(Path(sys.argv[1]) / "world.jsonl", sys.argv[2])
say("made")
for n in range(1, 4):
    chronicle.told("core", n, HostLost("x"))
    say("told")
"""
SAYING: Final = "import os, sys\ndef say(what): os.write(1, f'LEAVES {what}'.encode())\n"


def traced(script: str, folder: Path, durability: str) -> list[str]:
    """The writes and syncs of a process, in order, as `call name-of-the-file`."""
    if STRACE is None:
        pytest.skip("strace is not installed")
    command = [STRACE, "-f", "-y", "-e", CALLS, sys.executable, "-c", SAYING + script]
    ran = subprocess.run(
        [*command, str(folder), durability],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if "Operation not permitted" in ran.stderr and ran.returncode:
        pytest.skip("processes may not be traced here")
    assert ran.returncode == 0, ran.stderr
    calls = []
    for call, path, rest in re.findall(r"(\w+)\(\d+<([^>]*)>(.*)", ran.stderr):
        if "LEAVES" in rest:
            calls.append("leaves " + rest.split("LEAVES ")[1].split('"')[0])
        elif folder in Path(path).parents or Path(path) == folder:
            calls.append(f"{call.removesuffix('64')} {Path(path).name}")
    return calls


def before(calls: list[str], what: str) -> list[list[str]]:
    """What was done before each `what` left, since something left before it."""
    found: list[list[str]] = []
    since: list[str] = []
    for call in calls:
        if not call.startswith("leaves"):
            since.append(call)
            continue
        if call == f"leaves {what}":
            found.append(since)
        since = []
    assert found, calls
    return found


@pytest.mark.parametrize("durability", ["process", "power"])
def test_what_leaves_is_in_the_journal_and_with_power_on_the_disk(
    tmp_path: Path, durability: str
) -> None:
    calls = traced(JOURNAL, tmp_path, durability)
    for what in ("begun", "appended"):
        for done in before(calls, what):
            writes = [k for k, call in enumerate(done) if call == "pwrite core.sqlite-wal"]
            synced = [k for k, call in enumerate(done) if call == "fdatasync core.sqlite-wal"]
            assert writes
            assert done[-1] == "pwrite core.mark"  # Never ahead of its journal.
            if durability == "power":
                assert max(synced) > max(writes)
            else:
                assert what != "appended" or not synced  # It costs what it says it does.


def test_with_power_new_files_have_names_that_last(tmp_path: Path) -> None:
    [made] = before(traced(JOURNAL, tmp_path, "power"), "made")
    assert {"fdatasync core.mark", f"fsync {tmp_path.name}"} <= set(made)
    assert any(call in made for call in ("fdatasync core.sqlite", "fsync core.sqlite"))


@pytest.mark.parametrize("durability", ["process", "power"])
def test_what_the_supervisor_says_is_in_its_chronicle_before(
    tmp_path: Path, durability: str
) -> None:
    calls = traced(SUPERVISED, tmp_path, durability)
    told = before(calls, "told")
    line = ["write world.jsonl"]
    assert told == 3 * [line if durability == "process" else [*line, "fdatasync world.jsonl"]]
    [made] = before(calls, "made")
    assert (f"fsync {tmp_path.name}" in made) == (durability == "power")


# --- A disk that is full --------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """One of 512 KiB."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("a tmpfs wants root and mount")
    folder = tmp_path / "small"
    folder.mkdir()
    words = [mount, "-t", "tmpfs", "-o", "size=512k", "pasidlab-test", str(folder)]
    made = subprocess.run(words, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"a tmpfs cannot be mounted here: {made.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "--lazy", str(folder)], check=True)


def until_it_fails(step: Callable[[int], object]) -> tuple[int, str]:
    """How often it could be done, and why no more."""
    for number in range(100_000):
        try:
            step(number)
        except ClusterError as error:
            return number, str(error)
    raise AssertionError("the disk has no end")


def test_err_a_full_disk_ends_a_journal_and_what_was_appended_is_there(small_disk: Path) -> None:
    path = small_disk / "core.sqlite"
    journal = opened(path)
    journal.begin(pid=1)
    done, said = until_it_fails(
        lambda k: journal.append([entry(n) for n in range(50 * k + 1, 50 * k + 51)])
    )
    assert said.startswith(f"{path}: the journal cannot be written: ")
    assert done > 5
    found = [entry(n) for n in range(1, 50 * done + 1)]
    assert [one for one in journal.read() if isinstance(one, Input)] == found
    journal.close()
    assert read(path)[1:] == found
    with pytest.raises(ClusterError, match="cannot be written"):
        SqliteJournal(path, "core").keep()
    assert read(path)[1:] == found


def test_err_a_full_disk_ends_a_chronicle_and_what_was_said_is_there(small_disk: Path) -> None:
    path = small_disk / "world.jsonl"
    chronicle = Chronicle(path)
    said, why = until_it_fails(lambda k: chronicle.told("core", k + 1, HostLost("x" * 1_000)))
    assert why == f"{path}: the run's chronicle cannot be written: No space left on device"
    assert said > 100
    assert len(list(read_chronicle(path))) == said


def test_err_a_line_that_has_half_a_place_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "world.jsonl"
    chronicle = Chronicle(path)
    chronicle.told("core", 1, HostLost("x"))
    write = os.write
    room = [30]

    def little(fd: int, data: bytes) -> int:
        if not room[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        done, room[0] = write(fd, data[: room[0]]), 0
        return done

    with monkeypatch.context() as patched:
        patched.setattr("clusters.live.chronicle.os.write", little)
        with pytest.raises(ClusterError, match="cannot be written: No space left on device"):
            chronicle.told("core", 2, HostLost("x"))
    assert [line.serial for line in read_chronicle(path)] == [1]


def test_err_a_run_on_a_full_disk_stops_with_a_sentence_and_can_be_re_executed(
    small_disk: Path,
) -> None:
    wire = started(small_disk, TWO_HOSTS)
    failures: list[Failure] = []
    while not failures:
        wire.step()
        failures = [one.failure for one in wire.hosts.values() if one.failure is not None]
    assert failures[0].kind == "ClusterError"
    assert "the journal cannot be written" in failures[0].message
    for live in wire.hosts.values():
        live.journal.close()
    match = reexecute(small_disk)
    assert match.matched == match.total > 100
    assert not match.divergence
    assert match.gaps == (f"{small_disk}: the run was cut off before its end",)


def test_a_full_disk_stops_no_operational_log(small_disk: Path) -> None:
    log = OperationsLog(small_disk / "logs", "core")
    for _ in range(1_000):
        log("host.started", message="x" * 1_000)
    log.close()
    assert (small_disk / "logs" / "core.jsonl").stat().st_size > 100_000


# --- Kills ----------------------------------------------------------------------------------------

KILLED: Final = """
import os, sys
from clusters.live.journals import open_journal
from tests.clusters.journal_hands import entry
journal = open_journal(sys.argv[1], "core")
journal.begin(os.getpid())
for n in range(1, 1_000_000):
    journal.append([entry(n)])
    os.write(1, b".")
"""


@pytest.mark.parametrize("where", ["file", "server"])
def test_a_kill_loses_nothing_that_had_left(tmp_path: Path, where: str) -> None:
    with ExitStack() as stack:
        at = str(tmp_path / "core.sqlite")
        if where == "server":
            if why_none():
                pytest.skip(why_none())
            at = f"{stack.enter_context(redis_server(tmp_path)).address}#run"
        make_journal(at, "core", "process")
        for epoch, more in ((1, 50), (2, 500)):
            left = killed_after(at, more)
            journal = open_journal(at, "core")
            inputs = [one for one in journal.read() if isinstance(one, Input)]
            assert inputs[-1].n in (left, left + 1)  # One may be journalled and not yet have left.
            assert journal.begin(os.getpid()) == 2 * epoch
            journal.close()


def killed_after(at: str, more: int) -> int:
    """A process that appends is killed in the middle of it; how often something had left it."""
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, at],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    left = len(child.stdout.read(more))
    child.kill()
    return left + len(child.communicate()[0])


# --- An end that is lost --------------------------------------------------------------------------


def test_err_a_host_that_comes_back_with_less_is_noticed_by_the_supervisor(tmp_path: Path) -> None:
    """Whatever it keeps its journal on: a server may come back with a part of its log."""
    wire = started(tmp_path, TWO_HOSTS)
    first = wire.hosts["left"].status()
    for _ in range(100):
        wire.step()
    later = wire.hosts["left"].status()
    chronicle = Chronicle(tmp_path / "again.jsonl")
    supervisor = Supervisor((), lambda _charge: cast("Never", None), chronicle, quiet)
    view = HostView(cast("Charge", SimpleNamespace(name="left")), cast("Never", None), ["a", "b"])
    supervisor._see(view, later)
    with pytest.raises(IncompleteError, match=r"host left comes back with input .* of a, and had"):
        supervisor._see(view, structs.replace(first, epoch=2))
