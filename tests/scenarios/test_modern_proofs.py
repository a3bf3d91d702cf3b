"""Each case of the modern stack is proved: in every order, or with at most one delay."""

from pathlib import Path
from typing import Any, Final

import pytest

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.cycles import fair_cycle
from clusters.sim.search.delays import Delays
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.strategies import prepared
from experiments.harness.config import load
from experiments.harness.setup import setup_of

ROOT: Final = Path(__file__).resolve().parents[2] / "experiments" / "iommufd"
CASES: Final = sorted(path.stem for path in ROOT.glob("s[0-9]*.toml"))
WIDE: Final = ("s15", "s16", "s17", "s26", "s29_system")
"""Every order: millions of states."""
LONG: Final = ("s18", "s19", "s24", "s27")
"""Every order, s27 one delay, by hand: 6 to 164 s, docs/modern-stack.md."""


@pytest.mark.long
@pytest.mark.parametrize("case", [one for one in CASES if not one.startswith(LONG)])
def test_a_case_is_proved(case: str) -> None:
    experiment = load(ROOT / f"{case}.toml")
    setup = prepared(setup_of(experiment, case), experiment.explore.strategy)
    space = WorldSpace(setup, booted=True, told=True)
    if case.startswith(WIDE):
        finds_nothing(BreadthFirst(Delays(space, 1), edges=True))
    else:
        finds_nothing(BreadthFirst(space, edges=True))


def finds_nothing(search: BreadthFirst[Any, Any]) -> None:
    """No violation, no endless round, and nothing is left unknown."""
    while not search.done:
        search.go_on()
    assert (search.found, search.unknown) == (None, "")
    assert search.graph.edges is not None
    assert fair_cycle(search.graph.edges, len(search.graph)) is None


def test_every_case_of_the_stack_is_there() -> None:
    assert {one[:3] for one in CASES} >= {f"s{number:02}" for number in range(1, 31)}
