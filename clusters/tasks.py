"""Jobs on their way to a worker and back: what is sent, what a worker does, how order is kept.

Pickle is spoken here between processes of one program and over pipes of their own; nothing that
comes from outside is ever read with it.
"""

import pickle
import re
from collections.abc import Callable, Generator, Iterable
from hashlib import blake2b
from itertools import islice
from typing import Final, NamedTuple, Protocol, cast

from clusters.workers import Answer, Failure, Job, Shared
from protocol.errors import ExperimentError

AHEAD: Final = 8
"""Jobs per worker that are begun while an earlier answer is still missing."""
TRIES_MAX: Final = 3
"""Workers that one job may kill; then it is the job."""
ANY: Final = -1
"""The lane of a task that any worker does as well."""


class Task(NamedTuple):
    """A job for another process.  `charge`: work and what is shared, empty where it is known.

    `lane`: those of one lane are best done by one worker.
    """

    serial: int
    key: bytes
    charge: bytes
    job: bytes
    lane: int = ANY


class Reply(NamedTuple):
    """What became of a task."""

    serial: int
    value: object
    failure: Failure | None


class Desk:
    """What a worker keeps between its tasks: the last charge."""

    def __init__(self) -> None:
        self._charge = b""
        self._read: tuple[Callable[[object, object], object], object] | None = None

    def do(self, task: Task) -> bytes:
        """Do it; the reply, ready to be sent.  What it raises is a reply, too."""
        try:
            work, shared = self._charged(task.charge)
            value = work(shared, pickle.loads(task.job))  # noqa: S301  see above
            return pickle.dumps(Reply(task.serial, value, None))
        except Exception as error:  # noqa: BLE001  it is raised again where it was asked for
            return pickle.dumps(Reply(task.serial, None, Failure.of(error)))

    def _charged(self, charge: bytes) -> tuple[Callable[[object, object], object], object]:
        if charge and charge != self._charge:
            self._charge, self._read = charge, None
        if self._read is None:
            self._read = cast(
                "tuple[Callable[[object, object], object], object]",
                pickle.loads(self._charge),  # noqa: S301  see above
            )
        return self._read


def read_reply(data: bytes) -> Reply:
    """What a worker sent."""
    return cast("Reply", pickle.loads(data))  # noqa: S301  see above


class Hands(Protocol):
    """Who takes tasks, and gives each one's reply back, in any order."""

    @property
    def count(self) -> int: ...

    def room(self) -> bool:
        """Whether another task would not just wait."""

    def take(self, task: Task) -> None:
        """One more."""

    def done(self, *, wait: bool) -> list[Reply]:
        """What is done since; `wait`: until something is, or a worker was replaced."""


class Dispatch:
    """Makes tasks of jobs, and brings their replies into order."""

    def __init__(self, hands: Hands) -> None:
        self._hands = hands
        self._serial = 0
        """Of the next task; never used twice, so that no map takes what another left behind."""

    def map(
        self,
        work: Callable[[Shared, Job], Answer],
        shared: Shared,
        jobs: Iterable[Job],
        lane: Callable[[Job], int] | None = None,
    ) -> Generator[Answer, None, None]:
        """As `Workers.map`."""
        hands, todo = self._hands, iter(jobs)
        charge = _charge(work, shared)
        key = blake2b(charge, digest_size=16).digest()
        current = self._serial
        replies: dict[int, Reply] = {}
        more = True
        while True:
            while more and hands.room() and self._serial < current + AHEAD * hands.count:
                taken = list(islice(todo, 1))
                more = bool(taken)
                for job in taken:
                    number = lane(job) if lane is not None else ANY
                    hands.take(Task(self._serial, key, charge, pickle.dumps(job), number))
                    self._serial += 1
            if not more and current == self._serial:
                return
            for reply in hands.done(wait=current not in replies):
                replies[reply.serial] = reply
            if current not in replies:
                continue
            reply = replies.pop(current)
            current += 1
            if reply.failure is not None:
                reply.failure.again()
            yield cast("Answer", reply.value)


def _charge(work: Callable[[Shared, Job], Answer], shared: Shared) -> bytes:
    try:
        return pickle.dumps((work, shared))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        reason = re.sub(r" at 0x[0-9a-f]+", "", str(error))
        raise ExperimentError(
            f"something here cannot be imported by name, so another process cannot run it: move it"
            f" to the top of a module ({reason})"
        ) from error
