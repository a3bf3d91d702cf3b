"""Copies and digests of an actor's state: what the search for an order rests on."""

from dataclasses import dataclass, field

import pytest

from actors.ioasid_core.state import IoasidSet, Life
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.state import copy_of, digest
from clusters.sim.search.frozen import Ghost, Unfreezable, freeze
from protocol.lifecycle import State
from protocol.messages import SetKind
from tests.conformance.traces import CORE, MACHINE, judged, recorded


@dataclass(slots=True)
class Holder:
    """Something of everything that actors are made of."""

    lives: list[Life | None] = field(default_factory=list)
    sets: dict[int, IoasidSet] = field(default_factory=dict)
    names: tuple[str, ...] = ()


def holder() -> Holder:
    life = Life(Ghost(3), 1, "a", State.IDLE, ledger={"b": 1})
    return Holder([None, life], {1: IoasidSet(SetKind.NULL, "", 8, spids=[(1, 2)])}, ("x",))


def test_a_copy_shares_nothing_that_can_change() -> None:
    one = holder()
    two, before = copy_of(one), freeze(one)
    assert freeze(two) == before
    life = two.lives[1]
    assert life is not None
    life.data, life.ledger["c"] = 5, 1
    two.sets[1].spids.append((3, 4))
    two.sets[2] = two.sets[1]
    two.lives.append(None)
    assert freeze(one) == before


def test_ghosts_and_the_order_of_a_dict_do_not_tell_two_states_apart() -> None:
    one, two = holder(), holder()
    one.sets, two.sets = ({1: one.sets[1], 2: one.sets[1]}, {2: one.sets[1], 1: one.sets[1]})
    two.lives[1] = Life(Ghost(9), 1, "a", State.IDLE, ledger={"b": 1})
    assert digest(one) == digest(two)
    assert digest(one, 1) != digest(one, 2)


@pytest.mark.parametrize(
    "life",
    [
        Life(Ghost(3), 2, "a", State.IDLE, ledger={"b": 1}),
        Life(Ghost(3), 1, "a", State.ACTIVE, ledger={"b": 1}),
        Life(Ghost(3), 1, "a", State.IDLE, ledger={"b": 2}),
        Life(Ghost(3), 1, "a", State.IDLE, ledger={"b": 1}, data=7),
        None,
    ],
)
def test_all_else_does(life: Life | None) -> None:
    one, two = holder(), holder()
    two.lives[1] = life
    assert digest(one) != digest(two)


@pytest.mark.parametrize("value", [{1, 2}, object(), 1.5])
def test_err_what_has_no_copy_and_no_digest(value: object) -> None:
    with pytest.raises(Unfreezable):
        copy_of(value)
    with pytest.raises(Unfreezable):
        digest(value)


def test_what_is_not_needed_is_forgotten_and_nothing_else() -> None:
    calls = recorded("io-t4-small")[:60]
    vocabulary = IoasidCalls(MACHINE, calls)
    assert judged(calls)[1].order is not None
    actor = vocabulary.actor(CORE)
    actor.lives[2] = Life(Ghost(1), 1, "a", data=5)  # type: ignore[attr-defined]
    assert digest(vocabulary.without(actor, -1)) == digest(actor)
    assert vocabulary.without(actor, 0).lives[2].data == 0  # type: ignore[attr-defined]
