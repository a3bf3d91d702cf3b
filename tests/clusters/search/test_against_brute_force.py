"""What the search says of thousands of tiny worlds, held against all of their schedules.

A schedule judges by happens-before, with vector clocks; the search judges by the order in which it
does things, and does them in every order.  Both must find the same.
"""

from dataclasses import replace
from functools import cache
from itertools import permutations
from random import Random
from typing import Final

import msgspec
import pytest

from clusters.cluster import Actor
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.delays import Delays
from clusters.sim.search.depth_first import DepthFirst
from clusters.sim.search.frozen import Renaming
from clusters.sim.search.handling import LeakError
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import ACTORS, State, WorldSpace
from clusters.sim.world import Setup
from protocol.names import Name
from tests.clusters.search.tiny import (
    Namer,
    Tabled,
    TooManyError,
    alike,
    ends_of,
    schedules,
    tiny,
    with_loss,
    without_ghosts,
)

FEW: Final = range(80)
MANY: Final = [range(start, start + 300) for start in range(80, 1_580, 300)]
PARTS: Final = [FEW, *[pytest.param(seeds, marks=pytest.mark.long) for seeds in MANY]]
"""Seeds; there are several parts, so that they can run side by side."""
SCHEDULES: Final = 1_500


def breadth_first(space: WorldSpace) -> BreadthFirst[State, tuple[tuple[int, int], ...]]:
    search = BreadthFirst(space)
    while not search.done:
        search.go_on()
    return search


def depth_first(
    space: WorldSpace, *, sleeps: bool
) -> DepthFirst[State, tuple[tuple[int, int], ...]]:
    search = DepthFirst(space, sleeps=sleeps)
    while not search.done:
        search.go_on()
    return search


def ends_in(space: WorldSpace) -> list[bytes]:
    """The actors of every state in which nothing is left to happen, sorted."""
    ends: dict[bytes, None] = {}
    seen, ahead = {space.key(space.initial()): None}, [space.initial()]
    for state in ahead:
        moves = space.moves(state)
        if not any(space.channel(label) >= 0 for label, _, _ in moves):
            actors = [space.parts.content[part] for part in state[ACTORS:][: len(space.names)]]
            plain = [without_ghosts(msgspec.msgpack.decode(one)) for one in actors]
            ends[msgspec.msgpack.encode(plain)] = None
        for _, key, step in moves:
            if key not in seen:
                seen[key] = None
                ahead.append(space.after(state, step))
    return sorted(ends)


@pytest.mark.parametrize("seeds", PARTS, ids=str)
def test_a_search_finds_a_violation_where_some_schedule_has_one_and_none_shorter(
    seeds: range,
) -> None:
    """The news of a loss is the supervisor's, whose clock says nothing of the lost one's.

    So a schedule may call a use and a free concurrent that a loss has put in order; the search,
    which does things in order, need not.
    """
    compared = violated = 0
    for seed in seeds:
        setup = tiny(seed) if seed % 2 else with_loss(tiny(seed, 1), "a")
        try:
            results = [result for result in schedules(setup, SCHEDULES) if result.violations]
        except TooManyError:
            continue
        found = [result.violations[0].record.stamp.step for result in results]
        surely = [result for result in results if not is_by_loss(result)]
        assert seed % 2 == 0 or len(surely) == len(found)
        space = WorldSpace(setup)
        search = breadth_first(space)
        assert search.unknown == ""
        assert bool(surely) <= (search.found is not None) <= bool(found), f"seed {seed}"
        compared += 1
        if search.found is None:
            continue
        violated += 1
        labels, _ = walk(space, search.graph.tree.path(search.found.state))
        tape = tape_of("breadth-first", space, labels)
        again = replay(setup, tape)
        assert [one.property for one in again.violations] == [search.found.property]
        if seed % 2:  # A loss is a choice, and no step.
            assert again.steps == min(found), f"seed {seed}"
    assert compared > len(seeds) // 2
    assert len(seeds) // 8 < violated < compared - len(seeds) // 8


def is_by_loss(result: RunResult) -> bool:
    """Whether what was violated is only not known to be after what the lost one did."""
    sentence = result.violations[0].sentence
    lost = result.world.faults.lost
    return any(f"not known to be after {name} used it" in sentence for name in lost)


@pytest.mark.parametrize("seeds", PARTS, ids=str)
def test_a_search_reaches_exactly_the_ends_that_schedules_reach(
    seeds: range,
) -> None:
    compared = 0
    for seed in seeds[::4]:
        setup = replace(tiny(seed), properties=())
        try:
            reached = {ends_of(result): None for result in schedules(setup, SCHEDULES)}
        except TooManyError:
            continue
        assert ends_in(WorldSpace(setup)) == sorted(reached), f"seed {seed}"
        compared += 1
    assert compared > len(seeds) // 8


@pytest.mark.parametrize("seeds", PARTS, ids=str)
def test_sleep_sets_leave_out_moves_and_no_state(
    seeds: range,
) -> None:
    left_out = 0
    for seed in seeds[::2]:
        setup = with_loss(tiny(seed, 3), "a") if seed % 4 else tiny(seed, 4)
        breadth = breadth_first(WorldSpace(setup))
        all_moves = depth_first(WorldSpace(setup), sleeps=False)
        some_moves = depth_first(WorldSpace(setup), sleeps=True)
        verdicts = [search.found is None for search in (breadth, all_moves, some_moves)]
        assert len(set(verdicts)) == 1, f"seed {seed}"
        if breadth.found is None:
            assert (
                set(breadth.graph.seen) == set(all_moves.graph.seen) == set(some_moves.graph.seen)
            )
            assert breadth.graph.moves == all_moves.graph.moves
            assert some_moves.graph.moves <= all_moves.graph.moves
            left_out += all_moves.graph.moves - some_moves.graph.moves
    assert left_out > len(seeds) // 20


@pytest.mark.parametrize("seeds", PARTS, ids=str)
def test_symmetry_keeps_the_verdict_and_one_state_of_each_orbit(
    seeds: range,
) -> None:
    smaller = 0
    for seed in seeds[::8]:
        setup = alike(seed)
        names = ("user1", "user2", "user3")
        plain, symmetric = WorldSpace(setup), WorldSpace(setup, names)
        every, orbits = breadth_first(plain), breadth_first(symmetric)
        assert (every.found is None) == (orbits.found is None), f"seed {seed}"
        assert every.depth == orbits.depth
        if every.found is None:
            assert len(orbits.graph) == orbits_of(plain, names), f"seed {seed}"
            smaller += len(orbits.graph) < len(every.graph)
    assert smaller > len(seeds) // 40


def orbits_of(space: WorldSpace, names: tuple[Name, ...]) -> int:
    """How many states are different when the names may be exchanged: all exchanges are tried."""
    exchanges = [Renaming(dict(zip(names, order, strict=True))) for order in permutations(names)]
    orbits: dict[tuple[tuple[str, bytes], ...], None] = {}

    @cache
    def exchanged(number: int, part: int) -> tuple[str, bytes]:
        exchange = exchanges[number]
        place, content = space.parts.places[part], space.parts.content[part]
        return exchange.word(place), exchange.frozen(content, ordered=False)

    seen, ahead = {space.key(space.initial()): None}, [space.initial()]
    for state in ahead:
        others = [
            tuple(sorted(exchanged(number, part) for part in state[ACTORS:]))
            for number in range(len(exchanges))
        ]
        orbits[min(others)] = None
        for _, key, step in space.moves(state):
            if key not in seen:
                seen[key] = None
                ahead.append(space.after(state, step))
    return len(orbits)


@pytest.mark.parametrize("seed", range(20))
def test_err_symmetry_is_refused_by_name_where_an_identity_leaks(seed: int) -> None:
    space = WorldSpace(with_namer(alike(seed, users=2)), ("user1", "user2"))
    with pytest.raises(LeakError, match="hub does not treat user1 and user2 alike"):
        breadth_first(space)


def with_namer(setup: Setup) -> Setup:
    """The same, with a hub that looks at names."""

    def cast() -> dict[Name, Actor]:
        made = setup.actors()
        hub = made["hub"]
        assert isinstance(hub, Tabled)
        made["hub"] = Namer(hub.name, hub.opening, hub.table)
        return made

    return replace(setup, cast=cast)


@pytest.mark.parametrize("part", range(2))
def test_enough_delays_are_every_order_and_fewer_find_nothing_more(part: int) -> None:
    random = Random(part)
    for _ in range(60):
        setup = tiny(random.randrange(1 << 30))
        everything = breadth_first(WorldSpace(setup)).found is None
        verdicts = []
        for bound in (0, 1, 2, 12):
            search = BreadthFirst(Delays(WorldSpace(setup), bound))
            while not search.done:
                search.go_on()
            verdicts.append(search.found is None)
        assert verdicts == sorted(verdicts, reverse=True), "fewer delays find no more"
        assert verdicts[-1] == everything
