"""Strategies on the command line: chosen, named in the answer, counted, refused."""

from pathlib import Path
from typing import Any, Final, get_args

import pytest

from clusters.sim.search import BREADTH_FIRST, SEARCHES
from clusters.sim.strategies import CAMPAIGNS, DEPTH_MAX, DEPTHS, title
from clusters.sim.tape import read_token
from experiments.harness.config import read_experiment
from experiments.harness.tables import DEEP, Strategy
from protocol.errors import ExperimentError
from tests.experiments.command import Command, Ran

pytestmark = pytest.mark.long

SCRIPT: Final = """
title = "One guest binds and gives back"
[pool]
pasids = 1
[[process]]
name  = "vm1.guest"
steps = ["p = alloc -> ok", "bind p dsa0 -> ok", "unbind p dsa0 -> ok", "free p -> ok"]
"""
AGAIN: Final = SCRIPT.replace('"free p -> ok"', '"free p -> ok", "q = alloc -> ok"')
"""The second alloc is refused if it comes before the first PASID is reclaimed."""


@pytest.fixture(autouse=True)
def small(here: Path) -> Path:
    """The experiment."""
    path = here / "small.toml"
    path.write_text(SCRIPT)
    return path


def explore(pasidlab: Command, *words: str) -> Ran:
    return pasidlab("explore", "small.toml", "--seed", "1", "--no-determinism", *words)


def object_of(pasidlab: Command, *words: str) -> dict[str, Any]:
    said: dict[str, Any] = explore(pasidlab, *words, "--json").object
    return said


def test_the_file_and_the_command_line_know_all_campaigns_and_no_others() -> None:
    assert set(get_args(Strategy)) == {*CAMPAIGNS, *SEARCHES}
    assert (*DEPTHS, BREADTH_FIRST) == DEEP
    for name in DEEP:
        table = f'[explore]\nstrategy = "{name}"\ndepth = {DEPTH_MAX}\n'
        assert read_experiment(f'title = "x"\n{table}', "x").explore.depth == DEPTH_MAX


def test_the_portfolio_is_the_default_and_says_how_many_of_each(pasidlab: Command) -> None:
    said = explore(pasidlab, "--schedules", "40").out
    assert "strategy portfolio  seed 0x1" in said
    assert "tried      pct(depth 1) 5, delay-bounded(depth 0) 1, random 5, " in said
    counts = object_of(pasidlab, "--schedules", "40")["strategies"]
    assert sum(counts.values()) == 40
    assert len(counts) == 10


def test_a_violation_names_the_strategy_that_found_it(pasidlab: Command, here: Path) -> None:
    (here / "small.toml").write_text(AGAIN)
    found = object_of(pasidlab)
    example, small = found["counterexamples"]
    assert small["shrunk_from"] == example["steps"] >= small["steps"]
    assert found["exit_code"] == 1
    assert example["strategy"] == title(read_token(example["token"]).strategy)
    assert f"by {example['strategy']}" in explore(pasidlab).out
    by_token = pasidlab("replay", example["token"], "small.toml")
    by_file = pasidlab("replay", example["file"])
    assert pasidlab("replay", small["file"]).code == 1
    for again in (by_token, by_file):
        assert again.code == 1
        assert example["message"] in again.out


@pytest.mark.parametrize(
    ("words", "head", "proof"),
    [
        (("--strategy", "delay-bounded", "--depth", "1"), "delay-bounded(depth 1)", "choices)"),
        (("--strategy", "fail-nth"), "fail-nth(depth 1)", "10 failing steps"),
    ],
)
def test_what_ends_by_itself_says_what_is_complete(
    pasidlab: Command, words: tuple[str, ...], head: str, proof: str
) -> None:
    ran = explore(pasidlab, *words)
    assert f"strategy {head}" in ran.out
    assert "\ncomplete   all " in ran.out
    assert proof in ran.out
    assert ran.code == 0


def test_a_budget_ends_it_before_and_then_nothing_is_proved(pasidlab: Command) -> None:
    found = object_of(pasidlab, "--strategy", "fail-nth", "--schedules", "9")
    assert found["counts"]["schedules"] == 9
    assert found["proof"] == ""


def test_one_run_takes_the_strategy_itself_and_a_walk_for_the_portfolio(pasidlab: Command) -> None:
    assert "strategy random" in pasidlab("run", "small.toml").out
    other = pasidlab("run", "small.toml", "--set", "explore.strategy=pos").out
    assert "strategy pos" in other


def test_strategies_are_listed(pasidlab: Command) -> None:
    said = pasidlab("list", "strategies").out
    assert all(name in said for name in CAMPAIGNS)


def test_err_a_strategy_or_depth_that_is_not_there_is_refused(
    pasidlab: Command, here: Path
) -> None:
    for words in (("--strategy", "pcd"), ("--depth", "3"), ("--strategy", "pct", "--depth", "9")):
        assert explore(pasidlab, *words).code == 2
    assert not (here / "runs").exists()
    with pytest.raises(ExperimentError, match=r"x: \$.explore.depth: strategy 'pos' has none"):
        read_experiment('title = "x"\n[explore]\nstrategy = "pos"\ndepth = 2\n', "x")
