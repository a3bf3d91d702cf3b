"""Work does not grow with what is bound: counted, as a clock would say something else each time.

A look-up that walks a table, where it could ask for a key, makes a run of 65,536 PASIDs quadratic.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, TypeAlias

import pytest

import actors
from clusters.sim.world import Setup, simulate
from experiments.harness.config import at_large, load
from experiments.harness.setup import setup_of

FILE: Final = Path("experiments/chaos/bound_at_once.toml")
ACTORS: Final = str(Path(actors.__file__).parent)
Traced: TypeAlias = Callable[[FrameType, str, object], "Traced | None"]
"""What Python calls at each line."""
FEW: Final = 16
MANY: Final = 128


def bound_at_once(pasids: int) -> Setup:
    """One guest binds so many, and frees them all while they are bound; nobody is killed."""
    wanted = (f"pool.pasids={pasids}", f"live.rounds={pasids // 2}", "live.guests=1")
    return setup_of(at_large(load(FILE, (*wanted, "nemesis=[]"))), "many")


def lines_per_delivery(pasids: int) -> float:
    """How many lines of the actors a delivery runs, each turn of a loop among them."""
    lines = 0

    def line(_frame: FrameType, event: str, _what: object) -> Traced:
        nonlocal lines
        lines += event == "line"
        return line

    def call(frame: FrameType, _event: str, _what: object) -> Traced | None:
        return line if frame.f_code.co_filename.startswith(ACTORS) else None

    before = sys.gettrace()
    sys.settrace(call)
    try:
        result = simulate(bound_at_once(pasids), seed=1)
    finally:
        sys.settrace(before)
    assert result.verdict.word == "pass"
    return lines / result.steps


@pytest.mark.long
def test_a_delivery_is_no_more_work_where_more_pasids_are_bound() -> None:
    assert lines_per_delivery(MANY) < 1.05 * lines_per_delivery(FEW)
