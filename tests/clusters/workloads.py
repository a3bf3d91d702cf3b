"""Work for workers: functions that another process finds by their names."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from protocol.errors import ClusterError

Gate = Path
"""A file that is there once somebody has come by."""


class Counted:
    """A thing that is shared; each process counts how often it was unpickled there."""

    unpickled = 0

    def __reduce__(self) -> tuple[Callable[[], "Counted"], tuple[()]]:
        return _again, ()


def _again() -> Counted:
    Counted.unpickled += 1
    return Counted()


class OddError(Exception):
    """Cannot be made from its words alone, so it cannot travel."""

    def __init__(self, left: str, right: str) -> None:
        super().__init__(f"{left} and {right}")


def square(shift: int, number: int) -> int:
    return number * number + shift


def unpickled(_shared: Counted, _number: int) -> tuple[int, int]:
    """Who does it, and how often it had to read what is shared."""
    return os.getpid(), Counted.unpickled


def dies_once(gate: Gate, number: int) -> int:
    """The first to come to job 5 dies of it."""
    if number == 5 and not gate.exists():
        gate.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dies(_shared: None, number: int) -> int:
    """Whoever comes to job 5 dies of it."""
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def leaves(_shared: None, number: int) -> int:
    """A worker that says something, and ends."""
    os.write(1, b"the disk is on fire")
    os._exit(number)


def raises(kind: str, number: int) -> int:
    if number == 3:
        match kind:
            case "ours":
                error: Exception = ValueError("three is too many")
                error.add_note("try two")
                raise error
            case "odd":
                raise OddError("this", "that")
            case "said":
                raise ClusterError("one sentence")
    return number


def unspeakable(_shared: None, _number: int) -> Callable[[], None]:
    """An answer that cannot travel."""
    return lambda: None


def waits(gate: Gate, number: int) -> int:
    """Everybody waits at job 2 and after it, for ever."""
    if number >= 2:
        gate.with_name(f"{gate.name}-{os.getpid()}").touch()
        signal.pause()
    return number


def hash_of(_shared: None, word: str) -> int:
    return hash(word)
