"""One acknowledgement lost or doubled: what it breaks, and what the careful make of it."""

from collections import Counter
from dataclasses import replace

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.determinism import check_orders
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Order, campaign, prepared
from clusters.sim.tape import Fire
from clusters.sim.world import Setup, follow, simulate
from experiments.models.lost_ack import ENDLESS_E, MENDED_D, MODEL_D, MODEL_E, RETRIED_E
from experiments.models.refcount import ALLOCATOR, Allocator
from experiments.models.wire import DOUBLE, LOSE, USER, WIRE, FinalWire, Wire
from protocol.effects import Site
from tests.clusters.toys import NOTHING

pytestmark = pytest.mark.long

MODELS = (MODEL_D, MENDED_D, MODEL_E, RETRIED_E, ENDLESS_E)


def with_fault(setup: Setup, site: Site, nth: int) -> Setup:
    """The nth answer suffers, and it always does."""
    return replace(setup, nemeses=(Nemesis("fail", site=site.name, nth=nth),))


def violated(result: RunResult) -> str:
    return result.violations[0].property if result.violations else ""


def every_fault(setup: Setup) -> tuple[Counter[str], str]:
    """What every single fault comes to, and the words that all have been tried."""
    setup, tried = prepared(setup, "fail-nth"), campaign("fail-nth", 1)
    found: Counter[str] = Counter()
    while orders := tried.round():
        for order in orders:
            result, lesson = follow(setup, order)
            tried.learn(order, lesson)
            found[violated(result)] += 1
    return found, tried.proof()


def test_without_a_fault_the_wire_is_as_good_as_none() -> None:
    assert all(not simulate(replace(MODEL_D, nemeses=()), seed).violations for seed in range(50))


@pytest.mark.parametrize(
    ("site", "nth", "property_name"),
    [
        (LOSE, 1, "retired-at-last"),  # Got twice, put once.
        (LOSE, 2, "count-not-negative"),  # Put twice.
        (DOUBLE, 1, "count-not-negative"),  # Who hears twice that it is got puts it twice.
    ],
)
def test_what_is_asked_again_or_answered_twice_is_done_twice(
    site: Site, nth: int, property_name: str
) -> None:
    found = {violated(simulate(with_fault(MODEL_D, site, nth), seed)) for seed in range(50)}
    assert found == {property_name}


def test_the_count_below_zero_names_who_put_too_often() -> None:
    [violation] = simulate(with_fault(MODEL_D, LOSE, 2), 1, "delay-bounded").violations
    assert violation.sentence.startswith("a put of ")
    assert violation.sentence.endswith(" left -1 references")


def test_chance_finds_it_and_its_tape_shows_it_again() -> None:
    results = [simulate(MODEL_D, seed) for seed in range(50)]
    found = next(result for result in results if violated(result) == "count-not-negative")
    again = replay(MODEL_D, found.tape)
    assert [one.sentence for one in again.violations] == [found.violations[0].sentence]


def test_every_single_fault_is_tried_and_the_careful_bear_all() -> None:
    found, proof = every_fault(MODEL_D)
    assert found["count-not-negative"] > 0
    assert found["retired-at-last"] > 0
    assert "failing steps" in proof
    mended, proof = every_fault(MENDED_D)
    assert [*mended] == [""]
    assert "failing steps" in proof


@pytest.mark.parametrize("strategy", ["random", "pct-3-27", "pos", "delay-bounded-0-3"])
def test_the_careful_bear_what_chance_brings(strategy: str) -> None:
    results = [simulate(MENDED_D, seed, strategy) for seed in range(50)]
    assert all(not result.violations and result.quiet for result in results)
    wires = [result.world.hosts[WIRE].actor for result in results]
    assert any(isinstance(wire, Wire) and wire.spent for wire in wires)


@pytest.mark.parametrize("strategy", ["random", "pct-3-27", "pos", "delay-bounded-0-3"])
def test_an_answer_that_never_comes_is_waited_for_for_ever(strategy: str) -> None:
    for seed in range(50):
        result = simulate(MODEL_E, seed, strategy)
        assert result.quiet
        (violation,) = result.violations
        assert violation.sentence.startswith("the PASID is not retired for ")


@pytest.mark.parametrize("strategy", ["random", "pct-3-27", "pos", "delay-bounded-0-3"])
def test_who_asks_again_converges(strategy: str) -> None:
    for seed in range(50):
        result = simulate(RETRIED_E, seed, strategy)
        assert result.verdict.word == "pass"
        assert Fire(WIRE, "ask again") in result.tape.choices


def test_who_asks_for_ever_does_not_come_to_rest() -> None:
    """One run cannot tell for ever from long: that is for a search to say."""
    for seed in range(20):
        result = simulate(ENDLESS_E, seed)
        assert (result.verdict.word, result.quiet, result.steps) == ("unknown", False, 1_000)
        assert any("still owed: the PASID is not retired" in one for one in result.verdict.reasons)


@pytest.mark.parametrize("setup", MODELS)
def test_the_models_do_the_same_in_another_process(setup: Setup) -> None:
    assert [*setup.actors()] == [ALLOCATOR, WIRE, USER, "user2", "user3"]
    check_orders(setup, [Order("random", seed) for seed in range(5)])


def test_a_wire_is_made_from_a_machine_too() -> None:
    assert Wire.of(NOTHING, WIRE) == Wire()
    assert FinalWire.of(NOTHING, WIRE) == FinalWire()
    assert isinstance(MODEL_D.actors()[ALLOCATOR], Allocator)
