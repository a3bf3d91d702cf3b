"""Breadth first: the nearest first, within bounds, whoever expands and however often it stops."""

from collections.abc import Generator, Sequence
from random import Random
from typing import Final, TypeVar

import pytest

from clusters.sim.search import breadth_first, tree
from clusters.sim.search.breadth_first import BreadthFirst, Expanded, Here
from clusters.sim.search.depth_first import DepthFirst
from clusters.sim.search.graph import Bounds, Found
from clusters.sim.search.space import Space
from clusters.sim.search.tree import Tree, walk
from clusters.sim.search.world_space import Changes, State, WorldSpace
from clusters.sim.world import Setup
from experiments.models.lost_ack import ENDLESS_E
from tests.clusters.search.drawn import Drawn, Odds, drawn, search
from tests.clusters.search.tiny import tiny, with_loss
from tests.defects import stages

S = TypeVar("S")
D = TypeVar("D")

ODDS: Final = Odds(states=40, channels=2, moves=4, owing=0.1, wrong=0.02)
WORLDS: Final = [
    pytest.param(with_loss(tiny(13, 3), "a"), id="tiny"),
    pytest.param(stages.FAILED_ALLOC.setup(), id="failed-alloc"),
]


def known(made: BreadthFirst[S, D]) -> tuple[object, ...]:
    """All that a search knows."""
    graph = made.graph
    edges = graph.edges
    return (
        list(graph.seen.items()), graph.tree.parents, graph.tree.turns, graph.moves,
        [] if edges is None else [getattr(edges, name) for name in edges.__slots__],
        made.next, made.depth, made.level_ends, made.end_count, made.found, made.unknown,
    )  # fmt: skip


class Scattered:
    """Expands as several workers do: each has its own space, and gets runs of states by chance."""

    def __init__(self, spaces: Sequence[Space[S, D]], random: Random) -> None:
        self.workers = [Here(space, owing=True) for space in spaces]
        self.random = random

    def __call__(
        self, states: range, known_tree: Tree
    ) -> Generator[Sequence[Expanded], None, None]:
        size = breadth_first.CHUNK
        for at in range(states.start, states.stop, size):
            numbers = range(at, min(at + size, states.stop))
            found: dict[int, Expanded] = {}
            left = list(numbers)
            while left:
                start = self.random.randrange(len(left))
                some = left[start : start + self.random.randint(1, 5)]
                left = [number for number in left if number not in some]
                worker = self.random.choice(self.workers)
                above = known_tree.above(range(some[0], some[-1] + 1))
                found |= {number: worker.expand(number, above) for number in some}
            yield [found[number] for number in numbers]


# --- Nearest first --------------------------------------------------------------------------------


def distances(system: Drawn) -> list[int]:
    """How many moves lead to each state, at least."""
    far = [0] + [-1] * (len(system.rows) - 1)
    ahead = [0]
    for state in ahead:
        for _, target, _ in system.moves(state):
            if far[target] < 0:
                far[target] = far[state] + 1
                ahead.append(target)
    return far


def bad(system: Drawn, state: int) -> bool:
    """Whether a state is wrong, or an end at which something is owed."""
    end = not any(system.channel(label) >= 0 for label, _ in system.rows[state])
    return bool(system.wrong(state)) or (end and bool(system.owing[state]))


def test_what_is_found_is_bad_and_nothing_bad_is_nearer() -> None:
    random = Random(0)
    found = 0
    for _ in range(500):
        system = drawn(random, ODDS)
        made, far = search(system), distances(system)
        near = [far[state] for state in range(len(far)) if far[state] >= 0 and bad(system, state)]
        assert (made.found is None) == (not near)
        if made.found is None:
            assert made.unknown == ""
            assert made.depth == max(far)
            assert len(made.graph) == len([one for one in far if one >= 0])
            continue
        found += 1
        path = made.graph.tree.path(made.found.state)
        assert len(path) == min(near)
        _, states = walk(system, path)
        assert bad(system, states[-1])
        owed = [sentence.partition(": ")[0] for sentence in system.owing[states[-1]]]
        assert made.found.property == (system.wrong(states[-1]) or owed[0])
    assert 100 < found < 400


# --- Bounds ---------------------------------------------------------------------------------------


def chain(length: int, wrong: int = -1) -> Drawn:
    """States in a row; one of them may be wrong."""
    rows = [((4, state + 1),) for state in range(length)]
    wrongs = tuple("broken" if state == wrong else "" for state in range(length + 1))
    return Drawn((*rows, ()), ((),) * (length + 1), wrongs)


def both(system: Drawn, bounds: Bounds) -> tuple[tuple[Found | None, str, int], ...]:
    """What either search says within these bounds: found, unknown, depth."""
    breadth = search(system, bounds)
    depth: DepthFirst[int, int] = DepthFirst(system, bounds)
    while not depth.done:
        depth.go_on()
    return (
        (breadth.found, breadth.unknown, breadth.depth),
        (depth.found, depth.unknown, depth.depth),
    )


def test_a_bound_of_steps_that_is_reached_is_unknown_and_never_a_proof() -> None:
    for breadth in both(chain(9), Bounds(depth=5)):
        assert breadth == (None, "the bound of 5 steps was reached", 5)


def test_a_bound_of_steps_sees_all_that_takes_no_more_steps() -> None:
    for said in both(chain(9, wrong=5), Bounds(depth=5)):
        assert said[0] == Found(5, "broken")
    for said in both(chain(9, wrong=6), Bounds(depth=5)):
        assert said[0] is None


def test_depth_first_turns_back_at_its_bound_and_looks_elsewhere() -> None:
    rows = (((4, 1), (8, 3)), ((4, 2),), ((4, 2),), ())
    system = Drawn(rows, ((),) * 4, ("", "", "", "broken"))
    assert both(system, Bounds(depth=1))[1][0] == Found(2, "broken")


def test_a_bound_of_steps_that_is_never_reached_is_no_bound() -> None:
    for said in both(chain(5), Bounds(depth=5)):
        assert said == (None, "", 5)


def test_a_bound_of_states_that_is_reached_is_unknown() -> None:
    made = search(chain(2_000), Bounds(states=1_000))
    assert made.unknown == "the bound of 1,000 states was reached"
    assert made.found is None
    assert len(made.graph) == 1_000
    depth: DepthFirst[int, int] = DepthFirst(chain(9_000), Bounds(states=1_000))
    while not depth.done:
        depth.go_on()
    assert depth.unknown == "the bound of 1,000 states was reached"


def test_what_is_found_within_the_bound_is_found() -> None:
    """A violation counts, whatever else was not looked at."""
    for said in both(chain(2_000, wrong=3), Bounds(states=5)):
        assert said[:2] == (Found(3, "broken"), "")


# --- Elsewhere, and later -------------------------------------------------------------------------


def test_who_expands_makes_no_difference_to_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(0)
    for number in range(300):
        monkeypatch.setattr(breadth_first, "CHUNK", random.choice([1, 3, 512]))
        system = drawn(random, ODDS)
        here = search(system, edges=True)
        there = search(system, there=Scattered([system] * 3, random), edges=True)
        assert known(there) == known(here), f"number {number}"


@pytest.mark.parametrize("setup", WORLDS)
def test_who_expands_a_world_makes_no_difference(setup: Setup) -> None:
    """Each worker has numbers of its own for parts and labels; keys and turns are the same."""
    here = BreadthFirst(WorldSpace(setup), Bounds(states=1_200), edges=True)
    spaces = [WorldSpace(setup) for _ in range(3)]
    scattered = Scattered(spaces, Random(0))
    there = BreadthFirst(WorldSpace(setup), Bounds(states=1_200), scattered, edges=True)
    for made in (here, there):
        while not made.done:
            made.go_on()
    assert known(there) == known(here)
    assert len(here.graph) > 80


def resumed(old: BreadthFirst[S, D], space: Space[S, D]) -> BreadthFirst[S, D]:
    """A search that knows what another had written down, and no state but the first."""
    made: BreadthFirst[S, D] = BreadthFirst(space, old.bounds, edges=True)
    made.graph = old.graph
    made.next, made.depth, made.level_ends = old.next, old.depth, old.level_ends
    made.end_count = old.end_count
    return made


def test_a_search_that_is_stopped_anywhere_goes_on_as_if_it_had_not_been(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    random = Random(1)
    for number in range(300):
        monkeypatch.setattr(breadth_first, "CHUNK", random.choice([1, 2, 5]))
        system = drawn(random, ODDS)
        whole, stopped = search(system, edges=True), BreadthFirst(system, edges=True)
        while not stopped.done:
            stopped.go_on()
            if not stopped.done and random.random() < 0.3:
                stopped = resumed(stopped, system)
        assert known(stopped) == known(whole), f"number {number}"


@pytest.mark.parametrize("setup", WORLDS)
def test_a_search_of_a_world_goes_on_in_another_space(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paths are turns, so a new process makes the same states again; few of them are kept."""
    monkeypatch.setattr(tree, "KEPT", 50)
    monkeypatch.setattr(breadth_first, "CHUNK", 64)
    bounds = Bounds(states=1_200)
    whole: BreadthFirst[State, Changes] = BreadthFirst(WorldSpace(setup), bounds, edges=True)
    while not whole.done:
        whole.go_on()
    stopped: BreadthFirst[State, Changes] = BreadthFirst(WorldSpace(setup), bounds, edges=True)
    while not stopped.done:
        stopped.go_on()
        if not stopped.done:
            stopped = resumed(stopped, WorldSpace(setup))
    assert known(stopped) == known(whole)


def test_a_search_for_cycles_ends_although_the_world_does_not() -> None:
    made = BreadthFirst(WorldSpace(ENDLESS_E), edges=True)
    while not made.done:
        made.go_on()
    assert (made.found, made.unknown) == (None, "")
    assert made.graph.edges is not None
    assert len(made.graph.edges.owed) == len(made.graph)
    assert len(made.graph.edges.targets) == made.graph.moves
