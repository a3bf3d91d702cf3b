"""The tree of a search: paths, and the states that are made of them again."""

from random import Random
from typing import Final

import pytest

from clusters.sim.search import tree
from clusters.sim.search.tree import ROOT, Maker, Tree, walk
from tests.clusters.search.drawn import Odds, drawn, search

ODDS: Final = Odds(states=60, channels=3, moves=3, owing=0.0)


def test_the_root_is_its_own_parent_and_its_path_is_empty() -> None:
    made = Tree()
    assert len(made) == 1
    assert made.parents[ROOT] == ROOT
    assert made.path(ROOT) == []


def test_a_path_has_the_turns_from_the_root() -> None:
    made = Tree()
    for parent, turn in ((0, 3), (0, 5), (1, 7), (3, 2)):
        made.parents.append(parent)
        made.turns.append(turn)
    assert made.path(4) == [3, 7, 2]
    assert made.path(2) == [5]


def test_a_path_leads_to_the_state_that_it_was_found_for() -> None:
    random = Random(0)
    for _ in range(100):
        system = drawn(random, ODDS)
        made = search(system)
        for key, number in made.graph.seen.items():
            labels, states = walk(system, made.graph.tree.path(number))
            assert states[-1] == key
            assert len(labels) == len(states) - 1


@pytest.mark.parametrize("kept", [4, 16, 1_000])
def test_a_state_is_made_of_its_path_however_few_are_kept(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "KEPT", kept)
    random = Random(0)
    for _ in range(50):
        system = drawn(random, ODDS)
        made = search(system)
        maker = Maker(system)
        numbers = list(range(len(made.graph))) * 2
        random.shuffle(numbers)
        for number in numbers:
            above = made.graph.tree.above(range(number, number + 1))
            state, moves, _ = maker.expand(number, above)
            assert made.graph.seen[state] == number
            assert moves == system.moves(state)
