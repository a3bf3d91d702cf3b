"""Two-phase commit is what Gray and Lamport specify, counted as everybody else counts it."""

from collections.abc import Iterator
from itertools import combinations
from typing import TypeAlias

import pytest

from clusters.sim.search.space import Key
from experiments.models.two_phase import COMMITTED, LOCAL, RECEIVED, SENT, STATE, TwoPhase
from tests.experiments.plainest import searched


@pytest.mark.parametrize(
    ("managers", "distinct", "generated"),
    [
        (2, 56, 154),
        (3, 288, 1_146),
        (5, 8_832, 58_146),
        pytest.param(7, 296_448, 2_744_706, marks=pytest.mark.long),
    ],
)
def test_its_states_are_as_many_as_others_have_counted(
    managers: int, distinct: int, generated: int
) -> None:
    """Eight are counted by the engine: tests/clusters/search/test_yardsticks.py."""
    known, count, wrong = searched(TwoPhase(managers))
    assert (len(known), count, wrong) == (distinct, generated, -1)


@pytest.mark.parametrize(
    ("managers", "orbits"), [(3, 80), (5, 314), (7, 920), (9, 2_232), (12, 6_656)]
)
def test_its_orbits_are_exact(managers: int, orbits: int) -> None:
    known, _, wrong = searched(TwoPhase(managers, symmetric=True))
    assert (len(known), wrong) == (orbits, -1)


# --- The specification, word for word -------------------------------------------------------------

Spec: TypeAlias = tuple[tuple[str, ...], str, frozenset[int], frozenset[str]]
"""rmState, tmState, tmPrepared, msgs."""
RM_STATES = ("working", "prepared", "committed", "aborted")


def specified(state: Spec) -> Iterator[Spec]:
    """TPNext of TwoPhase.tla."""
    rm_state, tm_state, tm_prepared, msgs = state
    every = range(len(rm_state))
    if tm_state == "init" and tm_prepared == frozenset(every):
        yield rm_state, "committed", tm_prepared, msgs | {"Commit"}
    if tm_state == "init":
        yield rm_state, "aborted", tm_prepared, msgs | {"Abort"}
    for rm in every:

        def becomes(word: str, rm: int = rm) -> tuple[str, ...]:
            return (*rm_state[:rm], word, *rm_state[rm + 1 :])

        if tm_state == "init" and f"Prepared {rm}" in msgs:
            yield rm_state, tm_state, tm_prepared | {rm}, msgs
        if rm_state[rm] == "working":
            yield becomes("prepared"), tm_state, tm_prepared, msgs | {f"Prepared {rm}"}
            yield becomes("aborted"), tm_state, tm_prepared, msgs
        if "Commit" in msgs:
            yield becomes("committed"), tm_state, tm_prepared, msgs
        if "Abort" in msgs:
            yield becomes("aborted"), tm_state, tm_prepared, msgs


def read(state: int, managers: int) -> Spec:
    """What a number stands for."""
    locals_ = [state >> 2 + 4 * rm & LOCAL for rm in range(managers)]
    tm_state = RM_STATES[state & STATE] if state & STATE else "init"
    sent = {f"Prepared {rm}" for rm, local in enumerate(locals_) if local & SENT}
    decided = {"init": set[str](), "committed": {"Commit"}, "aborted": {"Abort"}}[tm_state]
    return (
        tuple(RM_STATES[local & STATE] for local in locals_),
        tm_state,
        frozenset(rm for rm, local in enumerate(locals_) if local & RECEIVED),
        frozenset(sent | decided),
    )


@pytest.mark.parametrize("managers", [1, 2, 3, 4])
def test_every_state_has_the_moves_of_the_specification(managers: int) -> None:
    space = TwoPhase(managers)
    states = searched(space)[0].values()
    assert len({read(state, managers) for state in states}) == len(states)
    for state in states:
        here = [read(space.after(state, step), managers) for _, _, step in space.moves(state)]
        there = list(specified(read(state, managers)))
        assert sorted(here, key=repr) == sorted(there, key=repr)


# --- What a search is told ------------------------------------------------------------------------

SPACES = [
    TwoPhase(managers, symmetric=symmetric, quorum=quorum)
    for managers in (2, 3, 4)
    for symmetric in (False, True)
    for quorum in (0, managers - 1, managers)
]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}, {space.quorum}")
def test_the_key_of_a_move_is_the_key_of_the_state_that_follows(space: TwoPhase) -> None:
    for state in searched(space)[0].values():
        moves = space.moves(state)
        assert len({label for label, _, _ in moves}) == len(moves)
        for _, key, step in moves:
            assert key == space.key(space.after(state, step))


@pytest.mark.parametrize("space", SPACES, ids=lambda space: f"{space.name}, {space.quorum}")
def test_moves_are_independent_exactly_if_their_order_does_not_matter(space: TwoPhase) -> None:
    def then(state: int, label: int) -> int | None:
        return next((step for one, _, step in space.moves(state) if one == label), None)

    seen = set()
    for state in searched(space)[0].values():
        for (one, _, first), (other, _, second) in combinations(space.moves(state), 2):
            ends = [then(first, other), then(second, one)]
            keys = [end if end is None else space.key(end) for end in ends]
            commute = None not in keys and keys[0] == keys[1]
            assert space.independent(state, one, other) == commute
            assert space.independent(state, other, one) == commute
            seen.add(commute)
    assert seen == {True, False}


@pytest.mark.parametrize("managers", [2, 3, 4])
def test_symmetric_keys_are_equal_exactly_if_the_sorted_managers_are(managers: int) -> None:
    space = TwoPhase(managers, symmetric=True)
    by_key: dict[Key, tuple[int, ...]] = {}
    for state in searched(TwoPhase(managers))[0].values():
        locals_ = sorted(state >> 2 + 4 * rm & LOCAL for rm in range(managers))
        alike = (state & STATE, *locals_)
        assert by_key.setdefault(space.key(state), alike) == alike
    assert len(set(by_key.values())) == len(by_key) == len(searched(space)[0])


@pytest.mark.parametrize("space", [space for space in SPACES if space.quorum == space.managers])
def test_who_can_move_for_ever_brings_it_to_an_end(space: TwoPhase) -> None:
    """While something is owed, somebody whose every move changes something waits to move."""
    for state in searched(space)[0].values():
        here, moves = space.key(state), space.moves(state)
        assert moves
        idle = {space.channel(label) for label, key, _ in moves if key == here}
        moving = {space.channel(label) for label, _, _ in moves}
        assert moving - idle or not space.owed(state)


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("quorum", range(4))
def test_a_manager_that_does_not_wait_for_all_is_caught(quorum: int, *, symmetric: bool) -> None:
    """For each awaited RM it takes two moves; then commit, one aborts, another learns of it."""
    space = TwoPhase(4, symmetric=symmetric, quorum=quorum)
    known, _, length = searched(space)
    assert length == 2 * quorum + 3
    assert {space.wrong(state) for state in known.values()} == {"", "decisions-agree"}


def test_moves_have_words() -> None:
    def said(space: TwoPhase, state: int) -> list[str]:
        return [space.words(label) for label, _, _ in space.moves(state)]

    assert said(TwoPhase(1), 0) == ["rm1 prepares", "rm1 aborts by itself", "the TM aborts"]
    twins = TwoPhase(2, symmetric=True)
    assert said(twins, 0) == [
        "a working RM prepares",
        "a working RM aborts by itself",
        "the TM aborts",
    ]
    assert said(TwoPhase(2), COMMITTED) == [
        "rm1 prepares",
        "rm1 aborts by itself",
        "rm1 learns of the commit",
        "rm2 prepares",
        "rm2 aborts by itself",
        "rm2 learns of the commit",
    ]
