"""Paths of a search as runs of a world, and keys worked out the slow way."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Final

import msgspec

from clusters.sim.replay import Recorded
from clusters.sim.run_result import RunResult
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.frozen import Plain, Renaming, ghosts_in, in_order, plain, with_ghosts
from clusters.sim.search.graph import BOUNDS, Bounds
from clusters.sim.search.space import Label
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import ACTORS, Changes, State, WorldSpace
from clusters.sim.world import Setup, World
from protocol.names import Incarnation, Name
from protocol.properties.property import Kind
from tests.clusters.search.tiny import without_ghosts

LONG: Final = 1_000_000
"""Steps that no path takes."""


def random_path(
    space: WorldSpace, random: Random, faults: float = 0.02
) -> tuple[list[Label], list[State]]:
    """Moves by chance until nobody has to move; the state before each, and the last one."""
    labels: list[Label] = []
    states = [space.initial()]
    while True:
        moves = space.moves(states[-1])
        due = [move for move in moves if space.channel(move[0]) >= 0]
        strikes = [move for move in moves if space.channel(move[0]) < 0]
        if not due:
            return labels, states
        label, _, step = random.choice(strikes if strikes and random.random() < faults else due)
        labels.append(label)
        states.append(space.after(states[-1], step))


def searched(
    space: WorldSpace, bounds: Bounds = BOUNDS, *, edges: bool = False
) -> BreadthFirst[State, Changes]:
    """A search that is over."""
    search = BreadthFirst(space, bounds, edges=edges)
    while not search.done:
        search.go_on()
    return search


def path_to_what_was_found(space: WorldSpace, search: BreadthFirst[State, Changes]) -> list[Label]:
    """The moves that lead to it."""
    assert search.found is not None
    return walk(space, search.graph.tree.path(search.found.state))[0]


def run_of(setup: Setup, space: WorldSpace, labels: Sequence[Label]) -> RunResult:
    """The world that does what a path does, choice by choice, with nothing left over."""
    recorded = Recorded(tape_of("breadth-first", space, labels))
    free = replace(setup, delay_steps=(0, 0), max_steps=LONG, quiet_steps=LONG)
    world = World(free, recorded)
    result = world.run()
    recorded.finish(world)
    return result


def assert_same_end(space: WorldSpace, state: State, result: RunResult) -> None:
    """Each actor as it is in the world, and the same said of it."""
    world = result.world
    for at, name in enumerate(space.names):
        if name not in world.faults.lost:
            frozen: Plain = msgspec.msgpack.decode(space.parts.content[state[ACTORS + at]])
            assert without_ghosts(frozen) == plain(world.hosts[name].actor), name
    violated = [violation.property for violation in result.violations]
    if space.wrong(state):
        assert violated[0] == space.wrong(state)
    else:
        assert violated == [sentence.partition(": ")[0] for sentence in space.owed(state)]


def canonical(space: WorldSpace, state: State, alike: Sequence[Name] = ()) -> bytes:
    """What a key stands for, from nothing but the contents of the parts.

    Lives are numbered by their order, what a *sometimes* property has seen is left out, and of all
    exchanges of names that one is taken which gives the smallest bytes.
    """
    unweighed = [
        f"memory of {each.name}" for each in space.setup.properties if each.kind is Kind.SOMETIMES
    ]
    parts: dict[str, Plain] = {
        space.parts.places[part]: msgspec.msgpack.decode(space.parts.content[part])
        for part in state[ACTORS:]
        if space.parts.places[part] not in unweighed
    }
    ghosts: dict[Incarnation, None] = {}
    for value in parts.values():
        ghosts_in(value, ghosts)
    ranks = {ghost: rank for rank, ghost in enumerate(sorted(g for g in ghosts if g), start=1)}
    numbered = {
        place: msgspec.msgpack.encode(with_ghosts(value, lambda ghost: ranks.get(ghost, 0)))
        for place, value in parts.items()
    }
    if not alike:
        return msgspec.msgpack.encode([space.wrong(state), sorted(numbered.items())])
    exchanges = [Renaming(dict(zip(alike, order, strict=True))) for order in permutations(alike)]
    return min(
        msgspec.msgpack.encode(
            [
                space.wrong(state),
                sorted(
                    (exchange.word(place), in_order(exchange.frozen(content)))
                    for place, content in numbered.items()
                ),
            ]
        )
        for exchange in exchanges
    )
