"""Delays: the plain order and few departures from it, and with enough of them every order."""

from dataclasses import replace
from random import Random
from typing import Final

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.delays import Delays, Queue
from clusters.sim.search.space import Key
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.world import Setup
from tests.clusters.search.paths import searched
from tests.clusters.search.tiny import Tabled, setup_of, table, tiny, with_loss

ENOUGH: Final = 40
"""Delays that no path of these worlds can use up."""


def worlds(count: int) -> list[Setup]:
    """Tiny worlds, every second one with a loss, in which nothing is judged."""
    made = [tiny(seed) if seed % 2 else with_loss(tiny(seed), "a") for seed in range(count)]
    return [replace(setup, properties=()) for setup in made]


def reached(setup: Setup, bound: int) -> set[Key]:
    """The states that are reached with so many delays."""
    made = BreadthFirst(Delays(WorldSpace(setup), bound))
    while not made.done:
        made.go_on()
    assert made.unknown == ""
    return {key[0] for key in made.graph.seen if isinstance(key, tuple)}


def test_a_delay_more_reaches_no_less_and_enough_of_them_reach_all() -> None:
    grew = 0
    for setup in worlds(40):
        found = [reached(setup, bound) for bound in (0, 1, 2, ENOUGH)]
        assert found[0] <= found[1] <= found[2] <= found[3]
        assert found[3] == set(searched(WorldSpace(setup)).graph.seen)
        grew += found[0] != found[3]
    assert grew > 10


def test_without_delays_one_channel_delivers_in_each_state_and_faults_strike_anyway() -> None:
    struck = 0
    for setup in worlds(60):
        inner = WorldSpace(setup)
        delays = Delays(inner, 0)
        state = delays.initial()
        random = Random(0)
        while moves := delays.moves(state):
            channels = {delays.channel(label) for label, _, _ in moves}
            assert len([channel for channel in channels if channel >= 0]) == 1
            strikes = [label for label, _, _ in inner.moves(state[0]) if inner.channel(label) < 0]
            assert [label for label, _, _ in moves if delays.channel(label) < 0] == strikes
            struck += bool(strikes)
            _, key, step = random.choice(moves)
            state = delays.after(state, step)
            assert delays.key(state) == key
    assert struck > 20


def crowd() -> WorldSpace:
    """Three messages are on their way, to three actors."""
    rules = table(Random(0), [""])
    pairs = (("a", "b"), ("b", "c"), ("c", "a"))
    return WorldSpace(setup_of({one: Tabled(one, ((to, 0),), rules) for one, to in pairs}))


def test_a_move_costs_as_many_delays_as_channels_were_passed_over() -> None:
    inner = crowd()
    delays = Delays(inner, 2)
    first, second, third = [inner.channel(label) for label, _, _ in inner.moves(inner.initial())]
    said = [
        (delays.channel(label), step[1].left, step[1].held)
        for label, _, step in delays.moves(delays.initial())
    ]
    assert said == [(first, 2, ()), (second, 1, (first,)), (third, 0, (first, second))]


def test_who_is_held_back_waits_until_nobody_else_can_deliver_and_then_the_first_is_first() -> None:
    inner = crowd()
    delays = Delays(inner, 0)
    first, second, third = [inner.channel(label) for label, _, _ in inner.moves(inner.initial())]
    state = (inner.initial(), Queue((third,), (second, first), 0))
    order = []
    for _ in range(3):
        ((label, _, step), *_) = delays.moves(state)
        order.append(delays.channel(label))
        state = delays.after(state, step)
    assert order == [third, second, first]
