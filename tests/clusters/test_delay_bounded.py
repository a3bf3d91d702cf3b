"""The enumeration of delays against brute force: complete, nothing twice, and counted before."""

from dataclasses import replace
from typing import Final

import pytest
from msgspec import structs

from clusters.nemesis import Nemesis
from clusters.sim.strategies import Order, campaign
from clusters.sim.strategies.delay_bounded import DelayBounded, delayed
from clusters.sim.strategies.enumeration import Enumeration
from clusters.sim.world import Setup, World, follow, simulate
from experiments.models.refcount import MODEL_B, MODEL_C, hasty, sound
from tests.clusters.campaigns import runs
from tests.clusters.toys import COUNTER, NOTHING, cast
from tests.clusters.turns import Turns, interleavings, turns_of, with_delays

TOYS: Final = Setup(NOTHING, cast=lambda: cast(users=2))


def world(users: int, rounds: int) -> Setup:
    return replace(MODEL_B, cast=lambda: sound(users, rounds))


def enumerated(setup: Setup, bound: int) -> tuple[list[Turns], Enumeration]:
    made = Enumeration("delay-bounded", 1, bound)
    return [turns_of(result.tape) for _, result, _ in runs(setup, made)], made


@pytest.mark.parametrize(
    ("users", "rounds", "bound"),
    [(1, 1, 2), (2, 1, 0), (2, 1, 1), (2, 1, 2), (2, 1, 5), (3, 1, 2), (3, 0, 3), (4, 0, 3)],
)
def test_all_schedules_with_so_many_delays_are_run_once(
    users: int, rounds: int, bound: int
) -> None:
    found, made = enumerated(world(users, rounds), bound)
    brute = [turns for turns, _ in with_delays([4 * rounds + 1] * users, bound)]
    assert sorted(found) == sorted(brute)
    assert sum(made.run) == sum(made.known) == len(brute)
    assert f"all {len(brute):,} schedules with at most {bound} deviation" in made.proof()


@pytest.mark.parametrize("users", [3, 4])
def test_with_enough_delays_there_is_no_other_schedule(users: int) -> None:
    found, _ = enumerated(world(users, rounds=0), 8)
    assert len(found) == len(set(found))
    assert set(found) == interleavings(users, 1)
    brute = [turns for turns, _ in with_delays([5, 5], 9)]
    assert len(brute) == len(set(brute))
    assert set(brute) == interleavings(2, 5)


def test_without_delays_first_come_is_first_served() -> None:
    turns = turns_of(simulate(MODEL_B, 5, "delay-bounded").tape)
    assert turns == (0, 1, 2) * 9


def test_fewest_delays_come_first_so_what_is_found_is_small() -> None:
    """One delay starves a user: that is all that model C needs."""
    made = runs(MODEL_C, campaign("delay-bounded", 1))
    assert next(order.strategy for order, result, _ in made if result.violations) == (
        "delay-bounded-0"
    )


def test_with_more_than_a_round_of_schedules_nothing_is_lost_between() -> None:
    big = replace(MODEL_C, cast=lambda: hasty(rounds=2))
    made = Enumeration("delay-bounded", 1, 2)
    orders = [order.strategy for order, _, _ in runs(big, made)]
    assert len(orders) == len(set(orders)) == sum(made.known) > 200


def test_a_level_counts_as_through_when_its_last_schedule_is_known() -> None:
    made = Enumeration("delay-bounded", 1, 1)
    said = [made.proof() for _ in runs(world(2, 1), made)]
    assert set(said) == {""}
    assert made.proof() == (
        "all 10 schedules with at most 1 deviation from the plain one (9 choices)"
    )


def test_what_actors_draw_is_not_changed_by_a_delay_elsewhere() -> None:
    """Each actor has a source of its own; the proof says that it is for this seed's."""
    made = Enumeration("delay-bounded", 7, 1)
    list(runs(TOYS, made))
    assert made.proof().endswith("for the draws and faults of this seed")
    planned = replace(TOYS, nemeses=(Nemesis("crash", COUNTER, every_steps=(5, 20)),))
    assert follow(planned, Order("delay-bounded", 7))[1].drawn


def test_err_nothing_is_proved_when_a_schedule_had_to_be_calmed() -> None:
    made = Enumeration("delay-bounded", 1, 0)
    (order,) = made.round()
    _, lesson = follow(MODEL_B, order)
    made.learn(order, structs.replace(lesson, calmed=True))
    assert made.proof() == ""


def test_a_message_that_is_held_while_others_go_round_is_released() -> None:
    narrow = replace(TOYS, cast=lambda: cast(users=3, tickets=1))
    calmed = 0
    for at in range(12):
        strategy = DelayBounded(1, (), (at,))
        assert World(narrow, strategy).run().quiet
        calmed += strategy.lesson().calmed
    assert calmed


def test_a_portfolio_draws_places_in_the_length_learnt() -> None:
    assert delayed(2)(1, 0) == "delay-bounded"
    names = {delayed(2)(seed, 10) for seed in range(300)}
    assert all(name.count("-") == 3 for name in names)
    places = {int(place) for name in names for place in name.split("-")[2:]}
    assert places == set(range(10))
