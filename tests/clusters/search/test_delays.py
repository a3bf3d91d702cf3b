"""Delays: the plain order and few departures from it, and with enough of them every order."""

from random import Random
from typing import Final

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.delays import Delays, Queue
from tests.clusters.search.drawn import Drawn, Odds, drawn

ODDS: Final = Odds(states=8, channels=3, moves=4, owing=0.0)


def spaces(count: int) -> list[Drawn]:
    random = Random(0)
    return [drawn(random, ODDS) for _ in range(count)]


def reached(system: Drawn, bound: int) -> set[int]:
    """The states that are reached with so many delays."""
    made = BreadthFirst(Delays(system, bound))
    while not made.done:
        made.go_on()
    assert made.unknown == ""
    return {key[0] for key in made.graph.seen if isinstance(key, tuple)}


def test_a_delay_more_reaches_no_less_and_enough_of_them_reach_all() -> None:
    grew = 0
    for system in spaces(150):
        found = [reached(system, bound) for bound in (0, 1, 2, 24)]
        assert found[0] <= found[1] <= found[2] <= found[3]
        assert found[3] == set(range(len(system.rows)))
        grew += found[0] != found[3]
    assert grew > 20


def test_without_delays_one_channel_delivers_in_each_state_and_faults_strike_anyway() -> None:
    for system in spaces(100):
        delays = Delays(system, 0)
        state = delays.initial()
        random = Random(0)
        for _ in range(20):
            moves = delays.moves(state)
            channels = {delays.channel(label) for label, _, _ in moves}
            assert len([channel for channel in channels if channel >= 0]) <= 1
            strikes = [label for label, _ in system.rows[state[0]] if system.channel(label) < 0]
            assert [label for label, _, _ in moves if delays.channel(label) < 0] == strikes
            if not moves:
                break
            state = delays.after(state, random.choice(moves)[2])


def test_a_move_costs_as_many_delays_as_channels_were_passed_over() -> None:
    rows = (((4, 1), (8, 1), (12, 1)), ())
    delays = Delays(Drawn(rows, ((), ())), 2)
    moves = delays.moves(delays.initial())
    said = [(delays.channel(label), step[1].left, step[1].held) for label, _, step in moves]
    assert said == [(0, 2, ()), (1, 1, (0,)), (2, 0, (0, 1))]


def test_who_is_held_back_waits_until_nobody_else_can_deliver() -> None:
    rows = (((4, 0), (8, 0)), ())
    delays = Delays(Drawn(rows[:1], ((),)), 1)
    held = (0, Queue((1,), (0,), 0))
    ((label, _, step),) = delays.moves(held)
    assert delays.channel(label) == 1
    assert step[1].held == (0,)


def test_the_key_and_the_next_state_agree() -> None:
    for system in spaces(50):
        delays = Delays(system, 2)
        state = delays.initial()
        random = Random(1)
        for _ in range(10):
            moves = delays.moves(state)
            if not moves:
                break
            _, key, step = random.choice(moves)
            state = delays.after(state, step)
            assert delays.key(state) == key
