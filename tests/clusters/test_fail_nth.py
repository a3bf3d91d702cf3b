"""Every single fault at every place, counted against what one plain run shows."""

from collections import Counter as Tally
from dataclasses import replace
from typing import Final

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Order, campaign, make, prepared
from clusters.sim.strategies.enumeration import Enumeration
from clusters.sim.strategies.fail_nth import FailNth
from clusters.sim.tape import Begin, Choice, Deliver, Fail, Fire, Tape, read_token
from clusters.sim.world import Setup, World, follow, simulate
from protocol.effects import Out
from protocol.facts import PasidAllocated
from protocol.messages import AllocPasid
from protocol.names import Name
from tests.clusters.campaigns import Run, runs
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, AllComeBack, Counter, cast
from tests.worlds import assert_fine, world_of

pytestmark = pytest.mark.long

TOYS: Final = Setup(
    NOTHING,
    cast=lambda: cast(users=2, tickets=2),
    properties=(AllComeBack,),
    nemeses=(Nemesis("crash", COUNTER, every_steps=(1, 1)),),
)
READY: Final = prepared(TOYS, "fail-nth")
SCRIPT: Final = """
title = "One guest binds, works, and gives back"

[[machine.device]]
name = "dsa0"
unit = "dmar0"

[[process]]
name  = "vm1.guest"
steps = ["p = alloc -> ok", "bind p dsa0 -> ok", "unbind p dsa0 -> ok", "free p -> ok"]
"""


def faults_in(result: RunResult) -> list[Begin | Fail]:
    """The faults of a run, in order."""
    return [
        choice
        for choice in result.tape.choices
        if isinstance(choice, Begin) or (isinstance(choice, Fail) and choice.failed)
    ]


def all_of(setup: Setup, bound: int) -> tuple[list[Run], Enumeration]:
    made = campaign("fail-nth", 3, bound)
    assert isinstance(made, Enumeration)
    return list(runs(prepared(setup, "fail-nth"), made)), made


def receiver(choice: Choice) -> Name | None:
    match choice:
        case Deliver(destination=actor) | Fire(actor=actor):
            return actor
        case _:
            return None


def places_of(result: RunResult, fault: Begin | Fail) -> tuple[str, Name, int]:
    """A fault, whom it hit, and how many inputs or passages of that it had had."""
    at = result.tape.choices.index(fault)
    before = result.tape.choices[:at]
    if isinstance(fault, Fail):
        passed = [one for one in before if isinstance(one, Fail)]
        asked = [one for one in passed if (one.actor, one.site) == (fault.actor, fault.site)]
        return fault.site, fault.actor, len(asked)
    if fault.fault == "crash":
        return "crash", fault.target, sum(receiver(one) == fault.target for one in before)
    return "lose", fault.target, sum(receiver(one) is not None for one in before)


def test_each_fault_comes_at_each_of_its_places_once() -> None:
    done, made = all_of(TOYS, 1)
    (_, plain, lesson), *struck = done
    assert faults_in(plain) == []
    # After the last delivery nothing is chosen any more.
    inputs = Tally(filter(None, map(receiver, plain.tape.choices[:-1])))
    expected = {
        (site, actor, nth) for (actor, site), n in plain.passages.items() for nth in range(n)
    }
    expected |= {("crash", name, n) for name in plain.world.hosts for n in range(inputs[name] + 1)}
    deliveries = sum(inputs.values())
    expected |= {("lose", f"user{k}", n) for k in (1, 2) for n in range(deliveries + 1)}

    found = []
    for _, result, _ in struck:
        (fault,) = faults_in(result)
        found.append(places_of(result, fault))
        assert_fine(result, str(fault))
    assert sorted(found) == sorted(expected)
    assert lesson.points == {
        "failing steps": sum(plain.passages.values()),
        "crashes": deliveries + 3,
        "losses": 2 * (deliveries + 1),
    }
    assert f"all {1 + len(expected):,} schedules with at most 1 deviation" in made.proof()
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in lesson.points.items())
    assert f"({kinds})" in made.proof(), "how many of each kind there are"


def test_it_is_through_when_the_next_number_is_not_reached() -> None:
    plain, lesson = follow(READY, Order("fail-nth", 3))
    for number in (lesson.end, lesson.end + 5):
        result, after = follow(READY, Order(f"fail-nth-{number}", 3))
        assert not after.reached
        assert result.tape.choices == plain.tape.choices
    assert follow(READY, Order(f"fail-nth-{lesson.end - 1}", 3))[1].reached


def test_pairs_are_two_faults_each_and_no_pair_comes_twice() -> None:
    small = replace(TOYS, cast=lambda: cast(users=1, rounds=1))
    done, made = all_of(small, 2)
    singles, pairs = made.known[1:]
    count = Tally(len(faults_in(result)) for _, result, _ in done)
    assert count == {0: 1, 1: singles, 2: pairs}
    assert len({result.tape.choices for _, result, _ in done}) == len(done)
    assert "with at most 2 deviations" in made.proof()


def test_a_pair_may_strike_at_one_place() -> None:
    result, lesson = follow(READY, Order("fail-nth-0-4", 3))
    assert faults_in(result) == [Begin("crash", COUNTER), Begin("lose", "user2")]
    assert lesson.reached
    assert lesson.first == 5


def test_the_experiments_own_faults_and_expectations_are_left_out() -> None:
    strict = world_of(SCRIPT)
    ready = prepared(strict, "fail-nth")
    assert {nemesis.fault for nemesis in ready.nemeses} == {"crash", "lose", "fail"}
    assert all(not step.expect for step in ready.plans["vm1.guest"].steps)
    assert prepared(ready, "fail-nth") == ready
    assert prepared(strict, "random") is strict
    assert NO_MEMORY.name in {nemesis.site for nemesis in READY.nemeses}


@pytest.mark.parametrize("name", ["fail-nth-17", "fail-random-17", "fail-nth-2-30"])
def test_a_token_replays_in_the_experiment_as_it_is_written(name: str) -> None:
    result = simulate(TOYS, 3, name)
    assert faults_in(result)
    assert replay(TOYS, read_token(result.tape.token())).tape == result.tape
    assert replay(TOYS, result.tape).end == result.end
    assert replay(TOYS, Tape(name, 3, result.tape.choices)).tape == result.tape


def test_a_random_walk_takes_one_chance_of_as_many_as_it_learnt() -> None:
    found = list(zip(range(60), runs(READY, campaign("fail-random", 5)), strict=False))
    counts = Tally(len(faults_in(result)) for _, (_, result, _) in found)
    assert counts[0] >= 1
    assert counts[1] > 40
    assert set(counts) == {0, 1}
    assert len({order.seed for _, (order, _, _) in found}) == 60


class Leaky(Counter):
    """Whoever is refused for want of memory has the ticket none the less."""

    def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        Counter.on_alloc_pasid(self, alloc, sender, out)
        if out.answers[0]:
            out.record(PasidAllocated(9, 1, 0, sender, 1))


def test_what_only_a_fault_breaks_is_found_at_every_place() -> None:
    leaky = replace(TOYS, cast=lambda: {**cast(users=2), COUNTER: Leaky(2)})
    done, made = all_of(leaky, 1)
    found = [faults_in(result) for _, result, _ in done if result.violations]
    assert len(found) == made.points["failing steps"]
    assert all(isinstance(fault, Fail) for (fault,) in found)


def test_every_single_fault_of_a_script_leaves_the_protocol_sound() -> None:
    setup = world_of(SCRIPT)
    done, made = all_of(setup, 1)
    for order, result, _ in done:
        assert_fine(result, f"{order.strategy}: {faults_in(result)}")
    assert len(done) == 1 + sum(made.points.values())
    assert made.points["failing steps"] == 10


def test_after_the_faulty_phase_there_are_no_more_chances() -> None:
    short = replace(READY, max_steps=5)
    lesson = follow(short, Order("fail-nth", 3))[1]
    assert lesson.points["losses"] == 2 * 2, "after the third Start, and after one delivery"


def test_a_world_that_was_not_prepared_is_our_own_bug() -> None:
    with pytest.raises(AssertionError, match="cannot begin"):
        World(replace(TOYS, nemeses=()), make("fail-nth-1", 3)).run()
    assert isinstance(make("fail-nth-1", 3), FailNth)
