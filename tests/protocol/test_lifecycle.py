"""The life of a PASID, pair by pair."""

import pytest

from protocol.lifecycle import LIFECYCLE, Move, State, move


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("what", Move)
def test_a_pair_is_in_the_table_or_does_not_happen(state: State, what: Move) -> None:
    if what in LIFECYCLE[state]:
        assert move(state, what) is LIFECYCLE[state][what]
    else:
        with pytest.raises(AssertionError, match=f"that is {state.value} cannot {what.value}"):
            move(state, what)


def test_a_pasid_that_others_hold_is_not_reclaimed_by_free() -> None:
    assert move(State.ACTIVE, Move.FREE) is State.FREE_PENDING
    assert move(State.FREE_PENDING, Move.LAST_PUT) is State.FREE


def test_err_nothing_is_got_from_a_pasid_that_is_pending() -> None:
    with pytest.raises(AssertionError):
        move(State.FREE_PENDING, Move.GET)
