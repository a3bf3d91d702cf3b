"""What `chaos --soak` does: run after run, each with a seed of its own, for as long as was asked.

A run that passed leaves nothing but what is counted here, so that a night of them fits on a disk;
the first that did not pass is the last, and stays as it is.
"""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from experiments.harness.result import Exit, Result
from experiments.harness.say import Voice, many


class Soak(Struct, frozen=True):
    """All runs together; `last` is the result of the last of them."""

    verb: str
    runs: int
    seconds: float
    inputs: int
    matched: int
    lives: int
    exit_code: int
    last: Result


def soak(one: Callable[[int], Result], seed: int, seconds: float, voice: Voice) -> int:
    """`one` is a run with a seed; the exit code of the first that did not pass, or 0."""
    began = time.monotonic()
    total = dict.fromkeys(("inputs", "matched", "lives"), 0)
    runs = 0
    while True:
        result = one(seed + runs)
        runs += 1
        for what in total:
            total[what] += result.counts.get(what, 0)
        over = time.monotonic() - began >= seconds
        if over or result.exit_code != Exit.PASS:
            break
        shutil.rmtree(Path(result.folder))
    spent = time.monotonic() - began
    voice.keyed(
        "soak",
        f"{many(runs, 'run')} in {spent:,.0f} s: {total['lives']:,} lives,"
        f" {total['matched']:,} of {total['inputs']:,} inputs matched in the simulator",
    )
    voice.object(
        Soak("chaos", runs, round(spent, 3), **total, exit_code=result.exit_code, last=result)
    )
    return result.exit_code
