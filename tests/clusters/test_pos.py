from collections import Counter
from dataclasses import replace
from typing import Final

import pytest

from clusters.sim.strategies.pos import Pos
from clusters.sim.world import Setup, World, simulate
from experiments.models.refcount import MODEL_B, sound
from tests.clusters.toys import NOTHING, cast
from tests.clusters.turns import turns_of

CROWD: Final = Setup(NOTHING, cast=lambda: cast(users=4, rounds=3, tickets=2))


class Watched(Pos):
    """Checks each choice by its rule."""

    __slots__ = ()

    def choose(self, world: World) -> int:
        network = world.network
        before = dict(self.priorities)
        chosen = super().choose(world)
        for slot in network.enabled:
            races = network.receivers[slot] is network.receivers[chosen]
            assert (slot in self.priorities) is not races, "those that race draw again, no others"
            if not races and slot in before:
                assert self.priorities[slot] == before[slot]
        highest = max((before[slot] for slot in network.enabled if slot in before), default=0.0)
        if chosen in before:
            assert before[chosen] == highest
        return chosen


@pytest.mark.parametrize("seed", range(20))
def test_the_highest_is_delivered_and_those_that_race_with_it_draw_again(seed: int) -> None:
    assert World(CROWD, Watched(seed)).run().quiet


def test_messages_that_race_come_in_every_order_alike() -> None:
    three = replace(MODEL_B, cast=lambda: sound(users=3, rounds=0))
    seen = Counter(turns_of(simulate(three, seed, "pos").tape) for seed in range(1200))
    assert len(seen) == 6
    assert all(140 < count < 260 for count in seen.values())


def test_who_waits_for_an_unlucky_message_is_calmed_in_the_end() -> None:
    narrow = replace(CROWD, cast=lambda: cast(tickets=1))
    assert all(simulate(narrow, seed, "pos").quiet for seed in range(20))
