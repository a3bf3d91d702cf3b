"""A run or a search makes millions of things and no cycles: nobody need look for garbage there."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SELDOM: Final = (50_000, 20, 100)
"""Things made between two looks, and how many of those before a longer and the longest one."""


def collect_seldom() -> None:
    """For a process that simulates: what a run makes and keeps is not looked at over and over."""
    gc.set_threshold(*SELDOM)


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside, the garbage collector rests."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
