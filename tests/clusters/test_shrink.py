"""The shrinker on small worlds: it keeps the violation, never grows, and its minima are known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clusters.nemesis import Nemesis
from clusters.sim.shrink import (
    Aids,
    Reduction,
    ShrinkBudget,
    Size,
    Smaller,
    reduced,
    shrink,
)
from clusters.sim.shrink.attempts import Attempts, Wanted, shown
from clusters.sim.shrink.draft import Lenient, draft_of
from clusters.sim.tape import Begin, Tape
from clusters.sim.world import Setup, simulate
from experiments.models.refcount import MODEL_C, hasty
from protocol.effects import Out
from tests.clusters.counterexamples import LATE, assert_true_and_no_larger, violating
from tests.clusters.toys import (
    COUNTER,
    NO_MEMORY,
    NOTHING,
    AllComeBack,
    Counter,
    NoFailure,
    NoThirdLife,
    cast,
)

NEMESES: Final = (
    Nemesis("crash", COUNTER, every_steps=(5, 20)),
    Nemesis("pause", "one user1", every_steps=(5, 20)),
    Nemesis("delay", COUNTER, every_steps=(5, 20), lasts_steps=(5, 9), wait_steps=(0, 3)),
    Nemesis("lose", "user2", every_steps=(10, 10), times=1),
    Nemesis("fail", site=NO_MEMORY.name, probability=0.2),
)


@dataclass(frozen=True, slots=True)
class Users:
    """Model C, or the toys, as an experiment that can have fewer users and rounds."""

    users: int
    rounds: int

    @property
    def setup(self) -> Setup:
        return replace(MODEL_C, cast=lambda: hasty(self.users, self.rounds))

    def reductions(self, tape: Tape) -> Iterator[Reduction]:
        for gone in range(self.users, 0, -1):
            moved = {f"user{k}": f"user{k - 1}" for k in range(gone + 1, self.users + 1)}
            yield Reduction(Users(self.users - 1, self.rounds), moved)
        if self.rounds:
            yield Reduction(Users(self.users, self.rounds - 1))


class Forgetting(Counter):
    """What user1 gives back is not taken."""

    def reclaim(self, ticket: int, out: Out) -> None:
        if self.holders[ticket] == "user1":
            del self.holders[ticket]
        else:
            Counter.reclaim(self, ticket, out)


# --- Known minima ---------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["pct-3-60", "pct-2-0", "delay-bounded-0", "pct-5-60"])
def test_the_shortest_violation_of_model_c_is_reached_and_proved(strategy: str) -> None:
    """All of two users (17 messages each) before one of the third, after four starts: one delay."""
    shrunk = shrink(MODEL_C, violating(MODEL_C, strategy), LATE)
    assert_true_and_no_larger(shrunk, LATE)
    assert (shrunk.after.steps, shrunk.after.delays) == (4 + 2 * 17 + 1, 1)
    assert shrunk.minimal
    assert shrunk.reason == (
        "the plain schedule does not violate it within 39 steps,"
        " in this experiment with these draws and faults"
    )


def test_with_its_experiment_model_c_shrinks_to_two_users_and_one_round() -> None:
    """One user alone cannot do it; nobody binds late in a world without rounds."""
    source: Smaller = Users(4, 3)
    tape = violating(source.setup, "pct-3-60")
    shrunk = shrink(source.setup, tape, LATE, aids=Aids(source))
    assert_true_and_no_larger(shrunk, LATE)
    assert shrunk.source == Users(2, 1)
    assert shrunk.after == Size(3, 0, 8, 0, 0, steps=3 + 5 + 1, delays=1, drawn=0)
    assert shrunk.minimal


@dataclass(frozen=True, slots=True)
class Into:
    """An experiment with just one reduction."""

    setup: Setup
    reduction: Reduction | None = None

    def reductions(self, tape: Tape) -> Iterator[Reduction]:
        if self.reduction is not None:
            yield self.reduction


def test_who_is_left_may_have_another_name() -> None:
    """The second of three users is the one who comes late; without the first he is the first."""
    three, two = Users(3, 1).setup, Users(2, 1).setup
    tape = next(
        result.tape
        for result in (simulate(three, seed, "pct-3-20") for seed in range(500))
        if result.violations and "bind of user2" in result.violations[0].sentence
    )
    names = {"user2": "user1", "user3": "user2"}
    source = Into(three, Reduction(Into(two), names))
    best = shown(three, source, Lenient(tape, draft_of(tape), 99), Wanted(LATE))
    assert best is not None
    tries = Attempts(best, Wanted(LATE), ShrinkBudget(1), None)
    reduced(tries)
    assert tries.best.setup == two
    assert tries.best.violation.sentence == "a bind of user1 landed on a retired PASID"


def test_an_experiment_with_fewer_actors_is_not_smaller_if_it_takes_more_steps() -> None:
    """Two users with nine rounds violate it, too, but not within as few deliveries."""
    three, two = Users(3, 1).setup, Users(2, 9).setup
    source = Into(three, Reduction(Into(two)))
    shrunk = shrink(three, violating(three, "pct-3-20"), LATE, aids=Aids(source))
    assert_true_and_no_larger(shrunk, LATE)
    assert shrunk.setup == three
    assert shrunk.after.steps == 4 + 2 * 5 + 1


def test_faults_that_are_not_needed_go_and_the_one_that_is_stays() -> None:
    setup = Setup(NOTHING, cast=lambda: cast(rounds=5), properties=(NoFailure,), nemeses=NEMESES)
    kinds = 0
    for seed in range(12):
        tape = simulate(setup, seed).tape
        kinds += any(isinstance(choice, Begin) for choice in tape.choices)
        shrunk = shrink(setup, tape, NoFailure.name)
        assert_true_and_no_larger(shrunk, NoFailure.name)
        assert (shrunk.after.faults, shrunk.after.failures, shrunk.after.drawn) == (0, 1, 0)
        assert shrunk.after.steps == len(setup.actors()) + 1
        assert shrunk.minimal
    assert kinds


def test_what_fails_or_goes_wrong_without_need_does_not_in_the_end() -> None:
    nemeses = (*NEMESES[:3], Nemesis("fail", site=NO_MEMORY.name, probability=0.5))
    setup = Setup(NOTHING, cast=lambda: cast(rounds=6), properties=(NoThirdLife,), nemeses=nemeses)
    failures = faults = 0
    for seed in range(5):
        shrunk = shrink(setup, simulate(setup, seed).tape, NoThirdLife.name, ShrinkBudget(600))
        assert_true_and_no_larger(shrunk, NoThirdLife.name)
        assert (shrunk.after.failures, shrunk.after.faults) == (0, 0)
        failures += shrunk.before.failures
        faults += shrunk.before.faults
    assert failures
    assert faults


def test_what_never_comes_shrinks_towards_the_plain_schedule() -> None:
    setup = Setup(NOTHING, cast=lambda: {**cast(3, 2), COUNTER: Forgetting(1)})
    setup = replace(setup, properties=(AllComeBack,))
    shrunk = shrink(setup, violating(setup), AllComeBack.name)
    assert_true_and_no_larger(shrunk, AllComeBack.name)
    assert shrunk.minimal
    assert shrunk.after.delays < shrunk.before.delays


# --- Whatever the world ---------------------------------------------------------------------------


def toy(users: int, rounds: int, tickets: int, faults: list[Nemesis]) -> Setup:
    """A world of so many users, in which a third life of a ticket is forbidden."""
    there = [COUNTER, *(f"user{k}" for k in range(1, users + 1)), "", "one user1"]
    return Setup(
        NOTHING,
        cast=lambda: cast(users, rounds, tickets),
        properties=(NoThirdLife, AllComeBack),
        nemeses=tuple(one for one in NEMESES if one in faults and one.target in there),
        max_steps=300,
        quiet_steps=300,
    )


@settings(max_examples=15, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.builds(
        toy,
        users=st.integers(1, 4),
        rounds=st.integers(1, 4),
        tickets=st.integers(1, 3),
        faults=st.lists(st.sampled_from(NEMESES), unique=True),
    ),
    st.sampled_from([(0, 0), (0, 3)]),
    st.sampled_from(["random", "pct-3-20", "pos", "delay-bounded-1-4"]),
    st.integers(0, 1 << 30),
)
def test_shrinking_keeps_the_property_never_grows_and_does_the_same_again(
    setup: Setup, delay: tuple[int, int], strategy: str, seed: int
) -> None:
    setup = replace(setup, delay_steps=delay)
    result = simulate(setup, seed, strategy)
    assume(result.violations)
    wanted = result.violations[0].property
    shrunk = shrink(setup, result.tape, wanted, ShrinkBudget(200))
    assert_true_and_no_larger(shrunk, wanted)
    assert shrunk.tries <= 200
    again = shrink(setup, result.tape, wanted, ShrinkBudget(200))
    assert (again.tape, again.after, again.tries, again.reason) == (
        shrunk.tape,
        shrunk.after,
        shrunk.tries,
        shrunk.reason,
    )
    further = shrink(setup, shrunk.tape, wanted, ShrinkBudget(200))
    assert_true_and_no_larger(further, wanted)
    if shrunk.minimal:
        assert further.after == shrunk.after
