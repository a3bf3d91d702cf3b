"""Processes of ours: who they are, whether they are gone, and how they are ended; by pid only.

A pid is remembered with the time at which its process began, so that a number that came into use
again is never taken for the process that had it before.  Linux: what is asked is in `/proc`.
"""

import os
import signal
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol

from msgspec import Struct

from protocol.errors import ClusterError

PROC: Final = Path("/proc")
POLL_SECONDS: Final = 0.002
GONE_SECONDS: Final = 10.0
STATE, PARENT, BEGAN = 0, 1, 19
"""Places in `/proc/<pid>/stat` behind the command's name."""


class Held(Protocol):
    """A process that we can do things to, wherever it is; each waits until it is seen done."""

    @property
    def pid(self) -> int:
        """As its own node numbers it."""

    @property
    def state(self) -> str:
        """As `/proc` says; "" when it is gone."""

    def kill(self) -> None:
        """SIGKILL."""

    def pause(self) -> None:
        """SIGSTOP."""

    def resume(self) -> None:
        """SIGCONT."""


class Process(Struct, frozen=True):
    """A process, not just its number."""

    pid: int
    began: int

    @property
    def state(self) -> str:
        """As `/proc` says: R, S, D, T (stopped) ...; "" when it is gone (or only waited for)."""
        fields = _stat(self.pid)
        if not fields or int(fields[BEGAN]) != self.began:
            return ""
        if fields[STATE] in {"Z", "X"} and _threads(self.pid) <= 1:
            return ""
        return fields[STATE]

    def send(self, number: signal.Signals) -> None:
        """A signal, if it is still there."""
        if self.state:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def kill(self) -> None:
        """SIGKILL, and wait until it is seen to be gone."""
        self.send(signal.SIGKILL)
        self.wait({""}, "killed")

    def pause(self) -> None:
        """SIGSTOP, and wait until it is seen to have stopped."""
        self.send(signal.SIGSTOP)
        self.wait({"T"}, "stopped")

    def resume(self) -> None:
        """SIGCONT, and wait until it is seen to run."""
        self.send(signal.SIGCONT)
        self.wait({"R", "S", "D", ""}, "resumed")

    def wait(self, states: set[str], what: str) -> None:
        """Until it is in one of the states."""
        until = time.monotonic() + GONE_SECONDS
        while self.state not in states:
            if time.monotonic() > until:
                raise ClusterError(f"process {self.pid} could not be {what}: it is in {self.state}")
            time.sleep(POLL_SECONDS)


def process(pid: int) -> Process | None:
    """The process that has this number now."""
    fields = _stat(pid)
    return Process(pid, int(fields[BEGAN])) if fields else None


def descendants(ancestor: int) -> list[Process]:
    """All that `ancestor` has started, and they in their turn."""
    parents: dict[int, list[Process]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            fields = _stat(int(entry.name))
            if fields:
                its = Process(int(entry.name), int(fields[BEGAN]))
                parents.setdefault(int(fields[PARENT]), []).append(its)
    found: list[Process] = []
    todo = [ancestor]
    while todo:
        children = parents.get(todo.pop(), [])
        found += children
        todo += [child.pid for child in children]
    return found


def end(processes: Iterable[Process], seconds: float) -> list[Process]:
    """Give them so long to end by themselves; then kill, one by one.  Those that had to be."""
    left = list(processes)
    until = time.monotonic() + seconds
    while left and time.monotonic() < until:
        left = [one for one in left if one.state]
        time.sleep(POLL_SECONDS)
    for one in left:
        one.kill()
    return left


def _threads(pid: int) -> int:
    """The first thread of a killed process can be a zombie while others still let go of files."""
    try:
        return len(list((PROC / str(pid) / "task").iterdir()))
    except OSError:
        return 0


def _stat(pid: int) -> list[str]:
    try:
        text = (PROC / str(pid) / "stat").read_text()
    except (OSError, UnicodeDecodeError):
        return []
    return text[text.rindex(")") + 2 :].split()
