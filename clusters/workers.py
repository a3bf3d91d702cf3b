"""Who does jobs that do not depend on each other: this process alone, or many beside it.

A job is a value, and `work` a function at the top of a module, so that another process finds it by
its name.  What all jobs of a map share goes to each worker once.  Answers come in the order of the
jobs, whoever was done first: nothing that is made of them can tell how many workers there were, nor
that one of them was killed.
"""

import os
import pickle
import sys
import traceback
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Never, Protocol, Self, TypeVar

Shared = TypeVar("Shared")
Job = TypeVar("Job")
Answer = TypeVar("Answer")


class Workers(Protocol):
    """`count` of them work at once; a job that takes `worthwhile` seconds is worth handing over."""

    @property
    def count(self) -> int: ...
    @property
    def worthwhile(self) -> float: ...

    def map(
        self,
        work: Callable[[Shared, Job], Answer],
        shared: Shared,
        jobs: Iterable[Job],
        lane: Callable[[Job], int] | None = None,
    ) -> Generator[Answer, None, None]:
        """What `work` makes of each job, in order; jobs are taken when a worker is free for them.

        Jobs of one `lane` go to the same worker, where there is a choice and no other is idle.
        Who closes it before its end throws away what was done beyond.  One map at a time.
        """


class Here:
    """No other process: each job is done when its answer is asked for."""

    count = 1
    worthwhile = 0.0

    def map(
        self,
        work: Callable[[Shared, Job], Answer],
        shared: Shared,
        jobs: Iterable[Job],
        lane: Callable[[Job], int] | None = None,
    ) -> Generator[Answer, None, None]:
        for job in jobs:
            yield work(shared, job)


LIMIT: Final = Path("/sys/fs/cgroup/cpu.max")
"""Where a container's share of the machine is said: microseconds in how many."""


def cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return min(len(os.sched_getaffinity(0)), granted())
    return os.cpu_count() or 1


def granted(limit: Path = LIMIT) -> int:
    """What a container's limit comes to in whole cores, one at least; without one, any number.

    Older machines say it in two files, -1 for none.
    """
    older = [limit.parent / "cpu" / f"cpu.cfs_{one}_us" for one in ("quota", "period")]
    for files in ([limit], older):
        try:
            quota, period = (int(one) for file in files for one in file.read_text().split())
        except (OSError, ValueError):  # None is set ("max"), or it is not that kind of system.
            continue
        if quota > 0:
            return max(1, quota // period)
    return sys.maxsize


class JobError(Exception):
    """A job raised something that cannot travel from process to process; its words can."""


class ElsewhereError(Exception):
    """Where in the other process it was raised: the cause of what is raised again here."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


@dataclass(frozen=True)
class Failure:
    """An exception as a value that can travel, with its traceback as text."""

    error: Exception
    text: str

    @classmethod
    def of(cls, error: Exception) -> Self:
        """What was just raised."""
        text = "".join(traceback.format_exception(error))
        return cls(error if _travels(error) else _in_words(error), text)

    def again(self) -> Never:
        """Raise it here."""
        if self.error.__traceback__ is None:
            raise self.error from ElsewhereError(self.text)
        raise self.error


def _travels(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301  our own, made in this line
    except Exception:  # noqa: BLE001  whatever its class does there
        return False
    return True


def _in_words(error: Exception) -> JobError:
    words = JobError(f"{type(error).__name__}: {error}")
    for note in getattr(error, "__notes__", ()):
        words.add_note(note)
    return words
