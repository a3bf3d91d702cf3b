"""Schedules that show something new are kept and deviated from, and each replays alone."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise, takewhile
from typing import Final

import pytest

from actors.defects.drain_past_the_ring import DrainsPastTheRing
from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Lesson, Order
from clusters.sim.strategies.coverage import CORPUS_MAX, FRESH, ROUND, Guided
from clusters.sim.tape import Begin, Choice, Deliver, Fire, Tape
from clusters.sim.world import Setup, follow
from experiments.models.refcount import MODEL_B
from tests.clusters.campaigns import first_failure, runs
from tests.clusters.toys import COUNTER, NOTHING, cast
from tests.defects.stages import FREED_WITH_FAULTS, LIFE, stage

pytestmark = pytest.mark.long

CROWD: Final = Setup(NOTHING, cast=lambda: cast(users=4, rounds=3, tickets=2))


def of(name: str, setup: Setup = CROWD, seed: int = 7) -> tuple[RunResult, Lesson]:
    return follow(setup, Order(name, seed))


def common(one: RunResult, other: RunResult) -> tuple[Choice, ...]:
    """The choices that both begin with."""
    both = zip(one.tape.choices, other.tape.choices, strict=False)
    return tuple(mine for mine, _ in takewhile(lambda pair: pair[0] == pair[1], both))


@pytest.mark.parametrize("cut", [0, 5, 20, 40])
def test_a_child_follows_its_parent_up_to_the_cut_and_then_walks_on_its_own(cut: int) -> None:
    parent, lesson = of("coverage")
    children = [of(f"coverage-{cut}-{walk}")[0] for walk in range(1, 6)]
    assert lesson.choices > 40
    for child in children:
        assert len(common(parent, child)) >= cut
        assert child.tape.choices != parent.tape.choices
        assert child.quiet
    assert len({child.tape.choices for child in children}) == len(children)


def test_a_lineage_is_followed_from_walk_to_walk() -> None:
    parent = of("coverage-10-1")[0]
    assert len(common(parent, of("coverage-10-1-25-2")[0])) >= 25
    assert 10 <= len(common(of("coverage")[0], of("coverage-10-1-25-2")[0])) < 25


def test_without_a_lineage_it_is_the_random_walk() -> None:
    assert of("coverage")[0].tape.choices == of("random")[0].tape.choices


def test_a_cut_that_is_never_reached_changes_nothing() -> None:
    assert of("coverage-99999-1")[0].tape.choices == of("coverage")[0].tape.choices


def test_faults_keep_to_their_timetable_across_a_cut() -> None:
    crash = Nemesis("crash", COUNTER, every_steps=(10, 20), lasts_steps=(1, 3))
    setup = replace(CROWD, nemeses=(crash,))
    for walk in range(20):
        result, _ = of(f"coverage-30-{walk}", setup)
        steps = [
            sum(isinstance(c, Deliver | Fire) for c in result.tape.choices[:at])
            for at, choice in enumerate(result.tape.choices)
            if isinstance(choice, Begin)
        ]
        assert len(steps) > 2
        assert all(10 <= two - one <= 20 for one, two in pairwise(steps))


def test_what_is_seen_are_the_same_numbers_in_every_process() -> None:
    """A pair of message types after each other at a role, and what was sent: here they are few."""
    _, lesson = of("coverage", MODEL_B)
    assert lesson.seen == tuple(sorted(set(lesson.seen)))
    assert len(lesson.seen) == 19
    assert sum(lesson.seen) == 44298369803


def test_what_showed_something_new_is_kept_and_nothing_else() -> None:
    made = Guided(3)
    one, two, three = made.round()[:3]
    made.learn(one, Lesson(9, seen=(1, 2)))
    made.learn(two, Lesson(9, seen=(2, 1)))
    made.learn(three, Lesson(7, seen=(2, 3)))
    assert made.corpus == [(one, 9), (three, 7)]


def test_half_of_the_schedules_deviate_from_those_that_are_kept() -> None:
    made = Guided(3)
    first = made.round()
    assert {order.strategy for order in first} == {"coverage"}
    made.learn(first[0], Lesson(50, seen=(1,)))
    made.learn(first[1], Lesson(5, seen=(2,)))
    orders = [order for _ in range(40) for order in made.round()]
    children = [order for order in orders if order.strategy != "coverage"]
    assert abs(len(children) / len(orders) - FRESH) < 0.1
    by_parent = Counter(order.seed for order in children)
    assert set(by_parent) == {first[0].seed, first[1].seed}
    for order in children:
        cut = int(order.strategy.split("-")[1])
        assert cut < (50 if order.seed == first[0].seed else 5)


def test_lineages_and_the_corpus_are_bounded() -> None:
    made = Guided(5)
    longest = 0
    for number in range(100):
        for k, order in enumerate(made.round()):
            made.learn(order, Lesson(1000, seen=(ROUND * number + k,)))
            longest = max(longest, order.strategy.count("-"))
    assert longest == 8
    assert len(made.corpus) == CORPUS_MAX


@pytest.mark.parametrize("seed", range(5))
def test_it_finds_a_defect_and_its_token_alone_shows_it_again(seed: int) -> None:
    setup = replace(FREED_WITH_FAULTS.setup(), classes={"iommu": DrainsPastTheRing})
    count, order = first_failure(setup, "coverage", seed, 200)
    assert count > ROUND or order.strategy == "coverage"
    assert replay(setup, Tape(order.strategy, order.seed)).violations


def test_children_of_kept_schedules_show_something_new_as_well() -> None:
    made = Guided(1)
    setup = stage(("p = alloc", "bind p dsa0", "async dma p dsa0 x4", "free p"), LIFE).setup()
    for _, (order, _, lesson) in zip(range(150), runs(setup, made), strict=False):
        assert lesson.seen, order
    assert 10 < len(made.corpus) < 150
    assert any(order.strategy != "coverage" for order, _ in made.corpus)
