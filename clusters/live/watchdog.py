"""A small process that outlives the run's by a moment, to end what that could not end.

The run tells it, line by line, which processes and which folder are its own.  When the run ends by
itself it says so; when its end of the pipe just closes, it was killed, and what is left of its
processes is killed by pid.  So is what Ray was just starting, whose parent is gone already: its
command line names files of the folder.  It imports nothing that takes time.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from typing import Final, Self

from clusters.live.processes import Process, end, using

BYE: Final = "bye"
GRACE_SECONDS: Final = 1.0


class Watchdog:
    """The run's end of the pipe."""

    def __init__(self, folder: str) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", __name__, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        self.process = self._child.pid

    def watch(self, processes: Iterable[Process]) -> Self:
        """These are ours."""
        self._say("".join(f"{one.pid} {one.began}\n" for one in processes))
        return self

    def dismiss(self) -> None:
        """Everything was ended in order."""
        self._say(f"{BYE}\n")
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait()

    def _say(self, text: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(text)
        self._child.stdin.flush()


def watch(folder: str, lines: Iterable[str]) -> None:
    """Until the pipe closes; then do what is left to do."""
    processes: dict[Process, None] = {}
    for line in lines:
        if line.strip() == BYE:
            return
        pid, began = line.split()
        processes[Process(int(pid), int(began))] = None
    end({**processes, **dict.fromkeys(using(folder))}, GRACE_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    watch(sys.argv[1], sys.stdin)
