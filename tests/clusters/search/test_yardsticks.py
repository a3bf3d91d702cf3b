"""The engine counts what others have counted: two-phase commit, as Gray and Lamport specify it."""

from typing import Final

import pytest

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.depth_first import DepthFirst
from clusters.sim.search.world_space import WorldSpace
from experiments.models.refcount import MODEL_B, MODEL_C, ROUNDS_C, USERS
from experiments.models.two_phase import TwoPhase

STATES: Final = {3: 288, 5: 8_832, 7: 296_448}
MOVES: Final = {3: 1_145, 5: 58_145, 7: 2_744_705}
"""Generated states but for the first, as TLC counts them."""
ORBITS: Final = {3: 80, 5: 314, 7: 920, 9: 2_232, 12: 6_656}


@pytest.mark.parametrize("managers", [3, 5, pytest.param(7, marks=pytest.mark.long)])
def test_two_phase_commit_has_the_states_that_are_published(managers: int) -> None:
    search = BreadthFirst(TwoPhase(managers))
    while not search.done:
        search.go_on()
    assert (len(search.graph), search.graph.moves) == (STATES[managers], MOVES[managers])
    assert (search.found, search.unknown) == (None, "")


@pytest.mark.long
def test_eight_resource_managers_have_so_many() -> None:
    search = BreadthFirst(TwoPhase(8))
    while not search.done:
        search.go_on()
    assert (len(search.graph), search.graph.moves) == (1_745_408, 18_507_777)


@pytest.mark.parametrize("managers", ORBITS)
def test_with_symmetry_one_state_of_each_orbit_is_left(managers: int) -> None:
    search = BreadthFirst(TwoPhase(managers, symmetric=True))
    while not search.done:
        search.go_on()
    assert len(search.graph) == ORBITS[managers]


@pytest.mark.parametrize("managers", [3, 5])
def test_depth_first_visits_the_same_states_by_fewer_moves(managers: int) -> None:
    search = DepthFirst(TwoPhase(managers))
    while not search.done:
        search.go_on()
    assert len(search.graph) == STATES[managers]
    assert search.graph.moves < MOVES[managers]


def test_model_b_has_a_state_for_every_place_of_every_user() -> None:
    search = BreadthFirst(WorldSpace(MODEL_B))
    while not search.done:
        search.go_on()
    assert len(search.graph) == 10**USERS
    users = tuple(f"user{k}" for k in range(1, USERS + 1))
    alike = BreadthFirst(WorldSpace(MODEL_B, users))
    while not alike.done:
        alike.go_on()
    assert len(alike.graph) == 10 * 11 * 12 // 6, "users in any order, at any of ten places"


def test_the_bug_of_model_c_lies_behind_two_users_who_are_through() -> None:
    search = BreadthFirst(WorldSpace(MODEL_C))
    while not search.done:
        search.go_on()
    assert search.found is not None
    assert search.found.property == "no-bind-after-retire"
    path = search.graph.tree.path(search.found.state)
    through = 2 * (4 * ROUNDS_C + 1)
    assert len(path) == through + 1, "all that two users have to say, then one bind"
