"""The shrinker on small worlds: it keeps the violation, never grows, and its minima are known."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.shrink import Aids, Reduction, ShrinkBudget, Shrunk, Size, Smaller, shrink
from clusters.sim.tape import Begin, Fail, Tape
from clusters.sim.world import Setup, simulate
from experiments.models.refcount import MODEL_C, NoBindAfterRetire, hasty
from protocol.effects import Out
from protocol.errors import DivergedError
from protocol.facts import Event, ReferenceTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import AllocPasid
from protocol.names import Name
from protocol.properties.property import Kind
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

LATE: Final = NoBindAfterRetire.name
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


class Leaky(Counter):
    """Whoever comes third gets what somebody else has."""

    def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        if sum(self.lives.values()) == 2:
            self.holders.clear()
        Counter.on_alloc_pasid(self, alloc, sender, out)


class Backwards:
    """The users do not bind in the order from the last to the first."""

    name: ClassVar[str] = "backwards"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T4"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (ReferenceTaken,)

    def __init__(self, machine: Machine) -> None:
        self.bound: list[Name] = []

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if isinstance(fact, ReferenceTaken):
            self.bound.append(fact.holder)
        return "backwards" if self.bound == [f"user{k}" for k in range(5, 0, -1)] else None

    def unmet(self) -> list[str]:
        return []


def violating(setup: Setup, strategy: str = "random", seeds: int = 500) -> Tape:
    """The first schedule that violates something."""
    return next(
        result.tape
        for result in (simulate(setup, seed, strategy) for seed in range(seeds))
        if result.violations
    )


def assert_true_and_no_larger(shrunk: Shrunk, wanted: str) -> None:
    """The result replays exactly, with the same violation, and is no larger than what it was."""
    again = replay(shrunk.setup, shrunk.tape)
    assert again.violations[0].property == wanted
    assert again.violations[0].sentence == shrunk.violation.sentence
    assert again.steps == shrunk.after.steps
    assert shrunk.after <= shrunk.before
    assert shrunk.after.steps <= shrunk.before.steps


# --- Known minima ---------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["pct-3-60", "pct-2-0", "delay-bounded-0", "pct-5-60"])
def test_the_shortest_violation_of_model_c_is_reached_and_proved(strategy: str) -> None:
    """All of two users (17 messages each) before one of the third, after four starts: one delay."""
    shrunk = shrink(MODEL_C, violating(MODEL_C, strategy), LATE)
    assert_true_and_no_larger(shrunk, LATE)
    assert (shrunk.after.steps, shrunk.after.delays) == (4 + 2 * 17 + 1, 1)
    assert shrunk.minimal
    assert shrunk.reason == (
        "none of all 1 schedules with fewer than 1 delay violates it within 39 steps,"
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


def test_who_is_left_may_have_another_name() -> None:
    """The first of four users is the one who comes late; without the others he is the second."""
    source = Users(4, 1)
    tape = Tape("random", 1, ())
    for seed in range(500):
        result = simulate(source.setup, seed, "pct-3-20")
        if result.violations and "bind of user1" in result.violations[0].sentence:
            tape = result.tape
            break
    shrunk = shrink(source.setup, tape, LATE, aids=Aids(source))
    assert shrunk.source == Users(2, 1)
    assert shrunk.after.steps == 9


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


@settings(max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
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
    shrunk = shrink(setup, result.tape, wanted, ShrinkBudget(300))
    assert_true_and_no_larger(shrunk, wanted)
    assert shrunk.tries <= 300
    again = shrink(setup, result.tape, wanted, ShrinkBudget(300))
    assert (again.tape, again.after, again.tries, again.reason) == (
        shrunk.tape,
        shrunk.after,
        shrunk.tries,
        shrunk.reason,
    )
    further = shrink(setup, shrunk.tape, wanted, ShrinkBudget(300))
    assert_true_and_no_larger(further, wanted)
    if shrunk.minimal:
        assert further.after == shrunk.after


# --- How it ends ----------------------------------------------------------------------------------


@pytest.mark.parametrize("tries", [1, 2, 10, 60])
def test_a_budget_in_tries_is_kept_and_the_best_so_far_is_the_answer(tries: int) -> None:
    tape = violating(MODEL_C, "pct-3-60")
    shrunk = shrink(MODEL_C, tape, LATE, ShrinkBudget(tries))
    assert_true_and_no_larger(shrunk, LATE)
    assert (shrunk.tries, shrunk.minimal) == (tries, False)
    assert shrunk.reason == f"all tries are spent, after {tries} tries"


def test_time_only_stops_it() -> None:
    asked: list[int] = []

    def late() -> bool:
        asked.append(1)
        return len(asked) > 30

    tape = violating(MODEL_C, "pct-3-60")
    stopped = shrink(MODEL_C, tape, LATE, ShrinkBudget(late=late))
    assert stopped.reason == "the time is over, after 30 tries"
    assert stopped.tape == shrink(MODEL_C, tape, LATE, ShrinkBudget(30)).tape


def test_an_interrupt_gives_the_best_so_far() -> None:
    sizes: list[Size] = []

    def say(tries: int, size: Size) -> None:
        sizes.append(size)
        if tries == 40:
            raise KeyboardInterrupt

    tape = violating(MODEL_C, "pct-3-60")
    shrunk = shrink(MODEL_C, tape, LATE, aids=Aids(say=say))
    assert_true_and_no_larger(shrunk, LATE)
    assert shrunk.interrupted
    assert not shrunk.minimal
    assert shrunk.after == sizes[-1]
    assert sizes == sorted(sizes, reverse=True)


def test_a_proof_that_is_too_long_is_not_begun_and_says_what_is_missing() -> None:
    """Five delays are far more schedules than there are tries."""
    setup = replace(MODEL_C, properties=(Backwards,), cast=lambda: hasty(5, 1))
    shrunk = shrink(setup, violating(setup), Backwards.name, ShrinkBudget(300))
    assert not shrunk.minimal
    assert shrunk.reason.endswith(" tries were left")
    assert " schedules with fewer delays violate nothing that fast, " in shrunk.reason


def test_a_try_that_ends_in_a_bug_of_an_actor_ends_it_with_the_best_so_far() -> None:
    class Fragile(Leaky):
        def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
            assert self.lives or sender == "user2", "user2 is first"
            Leaky.on_alloc_pasid(self, alloc, sender, out)

    setup = Setup(NOTHING, cast=lambda: {**cast(2, 3), COUNTER: Fragile(1)})
    setup = replace(setup, properties=(NoThirdLife,))
    for seed in range(50):
        try:
            tape = simulate(setup, seed).tape
        except AssertionError:
            continue
        break
    shrunk = shrink(setup, tape, NoThirdLife.name)
    assert_true_and_no_larger(shrunk, NoThirdLife.name)
    assert shrunk.reason.startswith("a try ended in a bug of an actor: user2 is first")


def test_err_a_schedule_that_violates_nothing_or_something_else_is_a_divergence() -> None:
    tape = violating(MODEL_C, "pct-3-60")
    for wrong, wanted in ((tape, "something-else"), (simulate(MODEL_C, 1).tape, LATE)):
        with pytest.raises(DivergedError, match="this schedule does not violate"):
            shrink(MODEL_C, wrong, wanted)


def test_a_search_for_the_shortest_says_that_no_schedule_has_fewer_deliveries() -> None:
    """Here played by shrinking itself, which is known to find it."""
    tape = violating(MODEL_C, "pct-3-60")
    found = shrink(MODEL_C, tape, LATE).tape
    asked: list[Setup] = []

    def shortest(setup: Setup, wanted: str) -> Tape | None:
        asked.append(setup)
        return found if wanted == LATE else None

    shrunk = shrink(MODEL_C, tape, LATE, aids=Aids(shortest=shortest))
    assert shrunk.minimal
    assert shrunk.reason.startswith("a search found no violation with fewer deliveries; none of ")
    assert asked == [MODEL_C]
    unknown = shrink(MODEL_C, tape, LATE, aids=Aids(shortest=lambda _setup, _wanted: None))
    assert unknown.reason.startswith("none of ")


def test_what_a_search_finds_is_taken_if_it_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = violating(MODEL_C, "pct-3-60")
    found = shrink(MODEL_C, tape, LATE)
    monkeypatch.setattr("clusters.sim.shrink.PASSES", ())
    alone = shrink(MODEL_C, tape, LATE, ShrinkBudget(1))
    assert alone.after > found.after
    helped = shrink(MODEL_C, tape, LATE, aids=Aids(shortest=lambda _setup, _wanted: found.tape))
    assert helped.after == found.after
    assert helped.minimal


def test_a_tape_keeps_its_name_and_seed_so_that_its_faults_are_there_when_it_is_replayed() -> None:
    setup = Setup(NOTHING, cast=cast, properties=(NoFailure,))
    result = simulate(setup, 0, "fail-nth-7")
    shrunk = shrink(result.world.setup, result.tape, NoFailure.name)
    assert any(isinstance(choice, Fail) and choice.failed for choice in shrunk.tape.choices)
    assert shrunk.tape.strategy == "fail-nth-7"
    assert replay(setup, shrunk.tape).violations[0].property == NoFailure.name
