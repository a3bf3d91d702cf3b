"""Ctrl-C and SIGTERM: both end a run early, neither ends its ending."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def listen() -> None:
    """From here on SIGTERM is taken like Ctrl-C; Ray puts a handler of its own there."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)


@contextmanager
def interruptible() -> Iterator[None]:
    """Listen inside; afterwards SIGTERM is what it was."""
    before = signal.getsignal(signal.SIGTERM)
    listen()
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


@contextmanager
def shielded() -> Iterator[None]:
    """What must be finished is, however often the user presses Ctrl-C."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
