"""The parent of all processes of one Ray node that we started: while it is there, so is the node.

In a lab it is the first process of the node's PID namespace, on a laptop the one that orphans of
its descendants fall to; either way every process of the node descends from it, whoever started
it.  It runs `ray start`, writes its exit code into a file, and stays until the node's raylet is
gone or SIGTERM comes; then it ends what is left.  SIGUSR1: a GCS that was killed runs again.
It imports nothing that takes time.
"""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Final

from clusters.live.processes import PROC, Process, descendants, end

PR_SET_CHILD_SUBREAPER: Final = 36
POLL_SECONDS: Final = 0.05
START_POLL_SECONDS: Final = 0.2
GRACE_SECONDS: Final = 2.0
"""When its raylet is gone the others of a node end by themselves; then they are made to."""
GCS: Final = "gcs_server"
RAYLET: Final = "raylet"
NODE: Final = "PASIDLAB_NODE"
"""In the environment of every process of a node: what the node is called."""


def named(processes: Sequence[Process], name: str) -> Process | None:
    """The one among them that runs this program."""
    for one in processes:
        if Path(os.fsdecode(_words(one.pid, "cmdline")[0])).name == name and one.state:
            return one
    return None


def _words(pid: int, file: str) -> list[bytes]:
    try:
        return (PROC / str(pid) / file).read_bytes().split(b"\0")
    except OSError:
        return [b""]


class Keeper:
    """One node's.  `wanted`: what signals have asked for."""

    def __init__(self, command: Sequence[str], rc: Path) -> None:
        self.command = command
        self.rc = rc
        self.wanted = ""
        self._gcs: tuple[list[bytes], dict[bytes, bytes]] | None = None
        self._raylet: Process | None = None

    def run(self) -> None:
        """Until the node is over."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._asked)
        code = self._start()
        self._look()
        part = self.rc.with_suffix(".part")
        part.write_text(f"{code}\n")
        part.replace(self.rc)
        while not self._over(code):
            time.sleep(POLL_SECONDS)
        if not (code or self.wanted):
            until = time.monotonic() + GRACE_SECONDS
            while time.monotonic() < until and descendants(os.getpid()):
                self._reap()
                time.sleep(POLL_SECONDS)
        self._end()

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.wanted = "gcs" if number == signal.SIGUSR1 else "end"

    def _start(self) -> int:
        """`ray start`, from its beginning to its end; its children stay.

        It goes on waiting for a raylet that has died, as one does on a machine that is too busy.
        """
        child = subprocess.Popen(self.command)
        while child.poll() is None:
            self._raylet = self._raylet or named(descendants(os.getpid()), RAYLET)
            if self.wanted == "end" or (self._raylet is not None and not self._raylet.state):
                child.kill()
            time.sleep(START_POLL_SECONDS)
        return child.returncode

    def _look(self) -> None:
        """Who is the raylet; how a GCS was started, so that it can be again."""
        family = descendants(os.getpid())
        self._raylet = self._raylet or named(family, RAYLET)
        gcs = named(family, GCS)
        if gcs is not None:
            words = _words(gcs.pid, "cmdline")[:-1]
            said = (one.partition(b"=") for one in _words(gcs.pid, "environ") if b"=" in one)
            self._gcs = words, {key: value for key, _, value in said}

    def _over(self, code: int) -> bool:
        self._reap()
        if self.wanted == "gcs":
            self.wanted = ""
            self._start_gcs()
        if code or self.wanted == "end":
            return True
        # A head whose raylet is gone has a GCS still, which is what others need of it.
        return self._gcs is None and (self._raylet is None or not self._raylet.state)

    def _start_gcs(self) -> None:
        if self._gcs is not None and named(descendants(os.getpid()), GCS) is None:
            words, environment = self._gcs
            subprocess.Popen(words, env=environment)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _end(self) -> None:
        """Those that are started meanwhile as well."""
        while family := [one for one in descendants(os.getpid()) if one.state]:
            end(family, 0.0)
            self._reap()


if __name__ == "__main__":
    # The folder of its cluster is there so that `ps`, and who looks for strays, sees whose it is.
    Keeper(sys.argv[3:], Path(sys.argv[1]) / f"{sys.argv[2]}.rc").run()
