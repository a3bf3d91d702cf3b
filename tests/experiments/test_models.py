"""The small protocols that tools are compared on are what they are said to be."""

from dataclasses import replace

import pytest

from clusters.sim.replay import replay
from clusters.sim.tape import Choice, Deliver, Tape
from clusters.sim.world import simulate
from experiments.models.refcount import (
    ALLOCATOR,
    MODEL_B,
    MODEL_C,
    Allocator,
    HastyAllocator,
    NoBindAfterRetire,
    User,
    hasty,
    sound,
)
from protocol.errors import DivergedError
from tests.clusters.toys import NOTHING

JUDGED_B = replace(MODEL_B, properties=(NoBindAfterRetire,))


def test_three_users_and_two_rounds_are_27_messages() -> None:
    result = simulate(MODEL_B, 1)
    assert result.quiet
    assert result.steps == 27 + len(MODEL_B.actors())
    assert result.world.hosts[ALLOCATOR].actor == Allocator(3, retired=True, byes=3)


@pytest.mark.parametrize("strategy", ["random", "pct-3-27", "pos", "delay-bounded-0-3"])
def test_the_sound_allocator_retires_last(strategy: str) -> None:
    assert all(not simulate(JUDGED_B, seed, strategy).violations for seed in range(50))


def test_a_first_bind_that_is_late_enough_lands_on_a_retired_pasid() -> None:
    """All of two users first, then the third."""
    there = [Deliver(f"user{k}", ALLOCATOR) for k in (1, 2)]
    back = [Deliver(ALLOCATOR, f"user{k}") for k in (1, 2)]
    choices: list[Choice] = []
    for k in (0, 1):
        choices += [there[k], back[k]] * 8 + [there[k]]
    late = Tape("random", 1, (*choices, Deliver("user3", ALLOCATOR)))
    result = replay(MODEL_C, late)
    assert result.violations[0].sentence == "a bind of user3 landed on a retired PASID"
    with pytest.raises(DivergedError, match="the recording ends here"):
        replay(replace(MODEL_C, cast=lambda: sound(rounds=4)), late)


def test_who_comes_second_in_time_is_not_forgotten() -> None:
    assert not any(simulate(MODEL_C, seed).violations for seed in range(200))


def test_actors_are_made_from_a_machine_too() -> None:
    assert Allocator.of(NOTHING, ALLOCATOR) == sound()[ALLOCATOR]
    assert HastyAllocator.of(NOTHING, ALLOCATOR) == hasty()[ALLOCATOR]
    assert User.of(NOTHING, "user1") == sound()["user1"]
