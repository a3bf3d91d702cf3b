"""How shrinking ends: a budget, the time, an interrupt, a bug, a proof too long, a search."""

from dataclasses import replace
from typing import ClassVar

import pytest

from clusters.sim.replay import replay
from clusters.sim.shrink import (
    Aids,
    Shortest,
    ShrinkBudget,
    Size,
    shrink,
)
from clusters.sim.tape import Fail, Tape
from clusters.sim.world import Setup, simulate
from experiments.models.refcount import MODEL_C, hasty
from protocol.effects import Out
from protocol.errors import DivergedError
from protocol.facts import Event, ReferenceTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import AllocPasid
from protocol.names import Name
from protocol.properties.property import Kind, Owed
from tests.clusters.counterexamples import LATE, assert_true_and_no_larger, violating
from tests.clusters.test_shrink import Users
from tests.clusters.toys import (
    COUNTER,
    NOTHING,
    Counter,
    NoFailure,
    NoThirdLife,
    cast,
)


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

    def unmet(self) -> list[Owed]:
        return []


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
    shrunk = shrink(setup, violating(setup), Backwards.name, ShrinkBudget(200))
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
    assert shrunk.reason.startswith("a search found no violation with fewer deliveries; the plain ")
    assert asked == [MODEL_C]
    wrong = Tape("random", 1, ())
    for answer in (None, wrong):
        unknown = shrink(MODEL_C, tape, LATE, aids=Aids(shortest=answering(answer)))
        assert unknown.reason.startswith("the plain schedule does not ")


def answering(tape: Tape | None) -> Shortest:
    """A search that has this answer."""
    return lambda _setup, _wanted: tape


def test_what_a_search_finds_is_taken_if_it_is_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    tape = violating(MODEL_C, "pct-3-60")
    found = shrink(MODEL_C, tape, LATE)
    monkeypatch.setattr("clusters.sim.shrink.PASSES", ())
    alone = shrink(MODEL_C, tape, LATE, ShrinkBudget(1))
    assert alone.after > found.after
    helped = shrink(MODEL_C, tape, LATE, aids=Aids(shortest=answering(found.tape)))
    assert helped.after == found.after
    assert helped.minimal


def test_only_sentences_that_are_alike_count_if_that_is_asked() -> None:
    """Without that another user may come late in the end."""
    tape = violating(MODEL_C, "pct-3-60")
    said = simulated_sentence(MODEL_C, tape)
    source = Users(3, 4)
    free = shrink(source.setup, tape, LATE, aids=Aids(source))
    assert free.violation.sentence != said
    bound = shrink(
        source.setup, tape, LATE, aids=Aids(source, alike=lambda sentence: sentence == said)
    )
    assert bound.violation.sentence == said
    with pytest.raises(DivergedError):
        shrink(source.setup, tape, LATE, aids=Aids(alike=lambda _: False))


def simulated_sentence(setup: Setup, tape: Tape) -> str:
    return replay(setup, tape).violations[0].sentence


def test_a_tape_keeps_its_name_and_seed_so_that_its_faults_are_there_when_it_is_replayed() -> None:
    setup = Setup(NOTHING, cast=cast, properties=(NoFailure,))
    result = simulate(setup, 0, "fail-nth-7")
    shrunk = shrink(result.world.setup, result.tape, NoFailure.name)
    assert any(isinstance(choice, Fail) and choice.failed for choice in shrunk.tape.choices)
    assert shrunk.tape.strategy == "fail-nth-7"
    assert replay(setup, shrunk.tape).violations[0].property == NoFailure.name
