"""Workers that are processes of their own, on this machine.

One that dies is noticed at once and replaced, and its tasks are given to its successor.  They end
when this is closed, and also when this process is killed: then their pipe closes.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from multiprocessing.connection import Connection, Pipe
from multiprocessing.connection import wait as wait_for
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from clusters.tasks import ANY, TRIES_MAX, Dispatch, Reply, Task, read_reply
from clusters.workers import Answer, Job, Shared
from protocol.errors import ClusterError

MAIN: Final = "clusters.worker_main"
DEPTH: Final = 2
"""Tasks of one worker at a time: the second is there when the first is done."""
REPLACED_MAX: Final = 64
"""Workers that may die in the life of a pool; then something is wrong with the machine."""
WORTHWHILE_SECONDS: Final = 0.01
WORDS_BYTES_MAX: Final = 4096


class Worker:
    """One process, and the tasks that it has, oldest first."""

    def __init__(self, environment: dict[str, str]) -> None:
        ours, theirs = Pipe()
        self.pipe: Connection[Task, bytes] = ours
        self.tasks: deque[Task] = deque()
        self._key = b""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  as long as the process
        with theirs:
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", MAIN, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._words,
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                env=environment,
                process_group=0,  # A terminal's Ctrl-C is for the parent.
            )

    @property
    def pid(self) -> int:
        """Its process."""
        return self._child.pid

    def give(self, task: Task) -> None:
        """One task more.  That nobody takes it any more is seen when its reply is waited for."""
        self.tasks.append(task)
        known = task.key == self._key
        self._key = task.key
        with suppress(OSError):
            self.pipe.send(task._replace(charge=b"") if known else task)

    def take(self) -> Reply | None:
        """The next reply, which is there; None: the process is dead."""
        try:
            reply = read_reply(self.pipe.recv_bytes())
        except (EOFError, OSError):
            return None
        assert self.tasks.popleft().serial == reply.serial, "a worker does its tasks in order"
        return reply

    def kill(self) -> None:
        """It ends now."""
        self._child.kill()

    def bury(self) -> str:
        """Wait for its end; how it died, in words."""
        self.kill()
        code = self._child.wait()
        self.pipe.close()
        with self._words as words:
            words.seek(max(0, words.seek(0, os.SEEK_END) - WORDS_BYTES_MAX))
            said = words.read().decode(errors="replace").strip()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return f"{how}, saying: {said.splitlines()[-1]}" if said else how


class Processes:
    """A context: `count` workers are there inside it.

    `hash_seed`: all of them have this one ("": each another).  `notice` is told of each that dies.
    """

    worthwhile = WORTHWHILE_SECONDS

    def __init__(
        self,
        count: int,
        *,
        hash_seed: str = "",
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        assert count > 0
        self.count = count
        self.replaced = 0
        self._notice = notice
        self._environment = _environment(hash_seed)
        self._workers: list[Worker] = []
        self._dispatch = Dispatch(self)
        self._tries: dict[int, int] = {}
        """By task, how many died of it."""

    def __enter__(self) -> Self:
        try:
            for _ in range(self.count):
                self._workers.append(self._start())
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """All end at once, whatever they do."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.kill()
        for worker in workers:
            worker.bury()

    @property
    def pids(self) -> tuple[int, ...]:
        """Their processes, now."""
        return tuple(worker.pid for worker in self._workers)

    def map(
        self,
        work: Callable[[Shared, Job], Answer],
        shared: Shared,
        jobs: Iterable[Job],
        lane: Callable[[Job], int] | None = None,
    ) -> Generator[Answer, None, None]:
        return self._dispatch.map(work, shared, jobs, lane)

    def room(self) -> bool:
        return any(len(worker.tasks) < DEPTH for worker in self._workers)

    def take(self, task: Task) -> None:
        least = min(self._workers, key=lambda worker: len(worker.tasks))
        if task.lane != ANY:
            own = self._workers[task.lane % len(self._workers)]
            if least.tasks or len(own.tasks) < DEPTH:
                least = own
        least.give(task)

    def done(self, *, wait: bool) -> list[Reply]:
        replies = []
        for worker in self._ready(wait=wait):
            reply = worker.take()
            if reply is None:
                self._replace(worker)
            else:
                self._tries.pop(reply.serial, None)
                replies.append(reply)
        return replies

    def _ready(self, *, wait: bool) -> list[Worker]:
        pipes = wait_for([worker.pipe for worker in self._workers], None if wait else 0.0)
        return [worker for worker in self._workers if worker.pipe in pipes]

    def _start(self) -> Worker:
        try:
            return Worker(self._environment)
        except OSError as error:
            raise ClusterError(f"a worker process does not start: {error.strerror}") from error

    def _replace(self, dead: Worker) -> None:
        """Another takes its tasks.  The first of them is what it died of, if that is no chance."""
        place = self._workers.index(dead)
        del self._workers[place]
        how = dead.bury()
        self.replaced += 1
        if dead.tasks:
            serial = dead.tasks[0].serial
            self._tries[serial] = tries = self._tries.get(serial, 0) + 1
            if tries >= TRIES_MAX:
                raise ClusterError(
                    f"{tries} worker processes died of the same job, the last was {how};"
                    " with fewer (-j) there is more memory for each"
                )
        if self.replaced > REPLACED_MAX:
            raise ClusterError(f"{self.replaced} worker processes died, the last was {how}")
        self._notice(f"a worker process was {how}; another does its jobs")
        worker = self._start()
        self._workers.insert(place, worker)
        for task in dead.tasks:
            worker.give(task)


def _environment(hash_seed: str) -> dict[str, str]:
    """Ours; modules are found where we find them."""
    path = os.pathsep.join(dict.fromkeys(str(Path(one).absolute()) for one in sys.path))
    seed = {"PYTHONHASHSEED": hash_seed} if hash_seed else {}
    return {**os.environ, "PYTHONPATH": path, **seed}
