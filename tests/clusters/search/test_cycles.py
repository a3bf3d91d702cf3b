"""Fair cycles, held against a look at every set of states of thousands of small systems."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from random import Random
from typing import Final

import pytest

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.cycles import fair_cycle, is_fair, parts_of
from clusters.sim.search.graph import Found
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import Changes, State, WorldSpace
from clusters.sim.tape import Fire, words
from clusters.sim.world import Setup
from experiments.models.lost_ack import ENDLESS_E, MODEL_E, RETRIED_E
from experiments.models.wire import AGAIN, WIRE
from tests.clusters.search.drawn import SENTENCES, SMALL, Drawn, Odds, drawn, edges_of, search

SYSTEMS: Final = 1_500
"""In each part of a test."""
ODDS: Final = (
    SMALL,
    Odds(channels=2, moves=2, owing=0.9),
    Odds(channels=1, moves=4, owing=0.4),
    Odds(channels=0, moves=2, owing=0.7),
)


def reached(system: Drawn, first: int, inside: Sequence[int]) -> dict[int, None]:
    """The states of `inside` that one or more moves within it lead to."""
    found: dict[int, None] = {}
    ahead = [first]
    for state in ahead:
        for _, target in system.rows[state]:
            if target in inside and target not in found:
                found[target] = None
                ahead.append(target)
    return found


def channels(system: Drawn, state: int, inside: Sequence[int] | None = None) -> dict[int, None]:
    """The channels that can deliver in a state; only those that lead to `inside`, if that is given.

    A fault has no channel: nobody has to be fair to it.
    """
    said = [
        system.channel(label)
        for label, target in system.rows[state]
        if inside is None or target in inside
    ]
    return dict.fromkeys(channel for channel in said if channel >= 0)


def can_go_on_for_ever(system: Drawn, inside: Sequence[int]) -> bool:
    """Whether a fair run can go through all of these states again and again, and no others."""
    connected = all(set(reached(system, state, inside)) == set(inside) for state in inside)
    used = [channel for state in inside for channel in channels(system, state, inside)]
    for state in inside:
        for channel in channels(system, state):
            closed = any(channel not in channels(system, other) for other in inside)
            if channel not in used and not closed:
                return False
    return connected


def all_fair(system: Drawn) -> Iterator[tuple[int, str]]:
    """Every set of states that a fair run can stay in while one thing is owed: lowest, sentence."""
    states = range(len(system.rows))
    for size in range(1, len(states) + 1):
        for inside in combinations(states, size):
            if can_go_on_for_ever(system, inside):
                for sentence in SENTENCES:
                    if all(sentence in system.owing[state] for state in inside):
                        yield min(inside), sentence


def assert_fair_walk(system: Drawn, found: Found) -> None:
    """The cycle is a closed walk on which the sentence is owed everywhere, and a fair one."""
    states, state = [found.state], found.state
    used: dict[int, None] = {}
    assert found.cycle, "a walk that goes nowhere is no cycle"
    for turn in found.cycle:
        label, state = system.rows[state][turn]
        states.append(state)
        used[system.channel(label)] = None
    assert state == found.state
    assert all(f"{found.property}: {found.sentence}" in system.owing[state] for state in states)
    for channel in dict.fromkeys(one for state in states for one in channels(system, state)):
        closed = any(channel not in channels(system, state) for state in states)
        assert channel in used or closed, f"channel {channel} is starved"


@pytest.mark.parametrize("part", range(4))
def test_the_nearest_fair_cycle_is_found_exactly_where_there_is_one(part: int) -> None:
    random = Random(part)
    with_one = 0
    for number in range(SYSTEMS):
        system = drawn(random, ODDS[part])
        every = sorted(all_fair(system))
        found = fair_cycle(edges_of(system), len(system.rows))
        assert (found is None) == (not every), f"part {part}, number {number}: {system}"
        if found is None:
            continue
        with_one += 1
        assert (found.state, f"{found.property}: {found.sentence}") == every[0]
        assert_fair_walk(system, found)
    assert SYSTEMS // 20 < with_one < SYSTEMS * 19 // 20


@pytest.mark.long
def test_a_cycle_of_a_large_system_is_a_fair_walk_on_which_one_thing_is_owed() -> None:
    """Too large for all sets of states: what is found is checked, and its nearest part."""
    random = Random(0)
    with_one = 0
    for _ in range(400):
        odds = Odds(states=60, channels=random.randint(1, 6), moves=3, owing=0.85)
        system = drawn(random, odds)
        edges = edges_of(system)
        found = fair_cycle(edges, len(system.rows))
        if found is not None:
            with_one += 1
            assert_fair_walk(system, found)
    assert 40 < with_one < 360


def test_the_parts_are_what_can_reach_itself_and_each_other() -> None:
    random = Random(0)
    for _ in range(SYSTEMS):
        system = drawn(random)
        states = range(len(system.rows))
        chosen = [state for state in states if random.random() < 0.8]
        inside = bytearray(state in chosen for state in states)
        parts = list(parts_of(edges_of(system), chosen, inside))
        ways = {state: reached(system, state, chosen) for state in chosen}
        expected = {
            tuple(other for other in chosen if other in ways[state] and state in ways[other])
            for state in chosen
            if state in ways[state]
        }
        assert sorted(map(tuple, parts)) == sorted(expected)


def test_a_channel_that_is_always_open_and_never_used_is_not_fair() -> None:
    """The timer goes round for ever, but who could answer must answer at last."""
    timer, answer = 4, 8
    starving = Drawn((((timer, 0), (answer, 1)), ()), (SENTENCES[:1], ()))
    assert fair_cycle(edges_of(starving), 2) is None
    assert not is_fair(edges_of(starving), [0])


def test_a_channel_that_is_closed_now_and_then_may_starve() -> None:
    """What is weak in weak fairness: only who could deliver all the time has to."""
    timer, answer = 4, 8
    system = Drawn((((timer, 1), (answer, 2)), ((timer, 0),), ()), ((SENTENCES[0],),) * 2 + ((),))
    found = fair_cycle(edges_of(system), 3)
    assert found == Found(0, "late", "one is owed", (0, 0))


def test_a_cycle_of_faults_alone_is_a_walk_too() -> None:
    system = Drawn((((0, 1),), ((0, 0),)), ((SENTENCES[0],),) * 2)
    found = fair_cycle(edges_of(system), 2)
    assert found == Found(0, "late", "one is owed", (0, 0))


def test_what_is_owed_by_turns_is_not_owed_for_ever() -> None:
    system = Drawn((((4, 1),), ((4, 0),)), (SENTENCES[:1], SENTENCES[1:2]))
    assert fair_cycle(edges_of(system), 2) is None


def test_a_search_writes_down_the_edges_that_cycles_are_looked_for_in() -> None:
    random = Random(0)
    for _ in range(300):
        system = drawn(random)
        searched = search(system, edges=True)
        if searched.found is None:
            expected, edges = edges_of(system), searched.graph.edges
            assert edges is not None
            for name in edges.__slots__:
                assert getattr(edges, name) == getattr(expected, name)


# --- Whole worlds ---------------------------------------------------------------------------------


def searched_whole(setup: Setup) -> tuple[WorldSpace, BreadthFirst[State, Changes]]:
    space = WorldSpace(setup)
    made = BreadthFirst(space, edges=True)
    while not made.done:
        made.go_on()
    return space, made


def cycle_in(made: BreadthFirst[State, Changes]) -> Found | None:
    assert made.graph.edges is not None
    assert made.found is None
    return fair_cycle(made.graph.edges, len(made.graph))


def test_who_asks_for_ever_goes_round_and_is_found_with_its_timer() -> None:
    """The trap: step numbers stay out, or a retry for ever has no end of states."""
    space, made = searched_whole(ENDLESS_E)
    found = cycle_in(made)
    assert found is not None
    assert found.property == "retired-at-last"
    assert found.sentence.startswith("the PASID is not retired")
    turns = made.graph.tree.path(found.state)
    labels, states = walk(space, [*turns, *found.cycle])
    assert space.key(states[-1]) == space.key(states[len(turns)])
    said = [space.words(label) for label in labels[len(turns) :]]
    assert words(Fire(WIRE, AGAIN)) in said
    assert all(space.owed(state) for state in states[len(turns) :])


def test_who_asks_again_and_is_heard_owes_nothing_for_ever() -> None:
    _, made = searched_whole(RETRIED_E)
    assert cycle_in(made) is None


def test_who_does_not_ask_again_owes_it_at_an_end_and_not_in_a_cycle() -> None:
    _, made = searched_whole(MODEL_E)
    assert made.found is not None
    assert (made.found.property, made.found.cycle) == ("retired-at-last", ())
