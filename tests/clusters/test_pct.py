"""PCT against brute force over all priorities and changes, on a protocol of ten messages."""

from collections import Counter
from dataclasses import replace
from math import sqrt
from typing import Final

import pytest

from clusters.sim.strategies.pct import Pct
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.world import Setup, World, simulate
from experiments.models.refcount import MODEL_B, MODEL_C, sound
from tests.clusters.toys import NOTHING, AllComeBack, cast
from tests.clusters.turns import all_by_priority, interleavings, turns_of

USERS: Final = 2
MESSAGES: Final = 5
SMALL: Final = replace(MODEL_B, cast=lambda: sound(users=USERS, rounds=1))
RUNS: Final = 4000
SIGMAS: Final = 5


@pytest.mark.parametrize(("depth", "length"), [(1, 7), (2, 7), (3, 4)])
def test_schedules_are_those_of_brute_force_and_as_likely(depth: int, length: int) -> None:
    brute = all_by_priority(USERS, MESSAGES, depth, length)
    expected = Counter(brute)
    seen = Counter(
        turns_of(simulate(SMALL, seed, f"pct-{depth}-{length}").tape) for seed in range(RUNS)
    )

    assert set(seen) <= set(expected)
    for turns, count in expected.items():
        share = count / len(brute)
        spread = sqrt(RUNS * share * (1 - share))
        assert abs(seen[turns] - RUNS * share) <= SIGMAS * spread, f"{turns}, depth {depth}"


def test_more_depth_reaches_more_schedules_but_never_one_that_is_none() -> None:
    reached = [set(all_by_priority(USERS, MESSAGES, depth, 4)) for depth in (1, 2, 3)]
    assert reached[0] < reached[1] < reached[2] <= interleavings(USERS, MESSAGES)


class Watched(Pct):
    """Writes down which choices there were, and what the changes did."""

    __slots__ = ("demoted", "met")

    def __init__(self, seed: int, depth: int, length: int) -> None:
        super().__init__(seed, (), depth, length)
        self.met = 0
        self.demoted: list[tuple[int, float]] = []

    def choose(self, world: World) -> int:
        enabled = list(world.network.enabled)
        low = {slot for slot, value in self.priorities.items() if value < 0}
        chosen = super().choose(world)
        new = [slot for slot, value in self.priorities.items() if value < 0 and slot not in low]
        self.demoted += [(self.met, self.priorities[slot]) for slot in new]
        if len(enabled) > 1:
            assert self.priorities[chosen] == max(self.priorities[slot] for slot in enabled)
            self.met += 1
        return chosen


@pytest.mark.parametrize("seed", range(30))
def test_changes_come_at_their_choices_and_give_the_lowest_priorities(seed: int) -> None:
    pct = Watched(seed, 3, 20)
    World(MODEL_B, pct).run()
    planned = [(at, rank) for at, ranks in sorted(pct.changes.items()) for rank in ranks]
    assert sorted(rank for _, rank in planned) == [-2, -1]
    assert {at for at, _ in pct.demoted} <= {at for at, _ in planned}
    assert pct.lesson().choices == pct.met


def test_depth_one_finds_a_starved_user_as_often_as_promised() -> None:
    """One of n chains is the lowest: at least one run in n."""
    chains = 6
    found = sum(bool(simulate(MODEL_C, seed, "pct-1-0").violations) for seed in range(300))
    assert found >= 300 / chains


LIVELOCK: Final = Setup(NOTHING, cast=lambda: cast(tickets=1), properties=(AllComeBack,))


def test_who_waits_for_a_starved_one_is_calmed_in_the_end() -> None:
    """Users who are refused ask again and again, and the one who has the ticket gets no turn."""
    calmed = 0
    for seed in range(12):
        pct = Pct(seed, (), 3, 40)
        result = World(LIVELOCK, pct).run()
        assert result.quiet
        assert result.verdict.word == "pass"
        calmed += pct.lesson().calmed
    assert calmed


def test_after_the_faulty_phase_it_is_fair() -> None:
    short = replace(LIVELOCK, max_steps=60)
    assert all(simulate(short, seed, "pct-3-40").quiet for seed in range(12))


def test_a_random_walk_teaches_no_length() -> None:
    walk = RandomWalk(1)
    World(MODEL_B, walk).run()
    assert walk.lesson().choices == 0
