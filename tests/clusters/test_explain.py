"""An explanation against brute force on worlds that are small enough for it."""

from collections import deque
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from typing import ClassVar, Final

import msgspec
import pytest

from clusters.nemesis import Nemesis
from clusters.sim.branching import Crossing
from clusters.sim.explain import Budget, Explanation, explain
from clusters.sim.explain.chances import Trials
from clusters.sim.explain.nearest import others
from clusters.sim.replay import replay
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Tape
from clusters.sim.world import Setup, World, simulate
from experiments.models.refcount import MODEL_C, hasty
from protocol.errors import ExperimentError
from protocol.facts import Event, SiteFailed
from protocol.facts.world import HostGone
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, NoThirdLife, cast

pytestmark = pytest.mark.long

STARVED: Final = replace(MODEL_C, cast=lambda: hasty(3, 1))
"""The third user binds after the other two have said good-bye."""
DRAWN: Final = Setup(
    NOTHING, cast=lambda: cast(users=2, rounds=2, tickets=2), properties=(NoThirdLife,)
)
"""A ticket is drawn three times."""
WALKS: Final = 300
SIGMAS: Final = 5
FEW: Final = Budget(walks=40)
LIKELY: Final = 0.2


class Stopped(Exception):
    """A prefix has ended."""


class Peek:
    """The choices of a prefix, and then what can come next; `key` stands for the state."""

    name = "peek"
    seed = 0

    def __init__(self, prefix: tuple[Choice, ...]) -> None:
        self.prefix = deque(prefix)
        self.next: list[Choice] = []
        self.key: object = None

    def choose(self, world: World) -> int:
        network = world.network
        if not self.prefix:
            self.next = [network.names[slot] for slot in network.enabled]
            self.stop(world)
        choice = self.prefix.popleft()
        assert isinstance(choice, Deliver)
        return network.find(choice)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        if not self.prefix:
            self.next = [Draw(actor, value) for value in range(bound)]
            self.stop(world)
        choice = self.prefix.popleft()
        assert isinstance(choice, Draw)
        return choice.value

    def fails(self, world: World, actor: Name, site: str) -> bool:
        raise AssertionError("nothing fails here")

    def stop(self, world: World) -> None:
        network = world.network
        states = tuple(host.snapshot() for host in world.hosts.values())
        queues = {
            str(name): tuple(msgspec.json.encode(item[0]) for item in queue)
            for name, queue in zip(network.names, network.queues, strict=True)
            if queue
        }
        self.key = (states, tuple(sorted(queues.items())), str(self.next))
        raise Stopped


class Brute:
    """The exact probability that a random walk fails behind a prefix."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.known: dict[object, Fraction] = {}

    def chance(self, prefix: tuple[Choice, ...]) -> Fraction:
        peek = Peek(prefix)
        try:
            return Fraction(bool(World(self.setup, peek).run().violations))
        except Stopped:
            pass
        # A draw is made in the middle of a step: what its actor is then is in the prefix.
        key = (prefix, peek.key) if isinstance(peek.next[0], Draw) else peek.key
        if key not in self.known:
            parts = [self.chance((*prefix, choice)) for choice in peek.next]
            self.known[key] = sum(parts, Fraction(0)) / len(parts)
        return self.known[key]


def failing(setup: Setup, count: int) -> list[Tape]:
    """The first tapes that violate the property."""
    found: list[Tape] = []
    for seed in range(3_000):
        result = simulate(setup, seed)
        if result.violations:
            found.append(result.tape)
        if len(found) == count:
            return found
    raise AssertionError("it does not fail often enough")


@pytest.fixture(scope="module")
def starved() -> Brute:
    return Brute(STARVED)


@pytest.fixture(scope="module")
def drawn() -> Brute:
    return Brute(DRAWN)


def exact(brute: Brute, tape: Tape) -> list[Fraction]:
    return [brute.chance(tape.choices[:k]) for k in range(len(tape.choices) + 1)]


def assert_near(measured: int, chance: Fraction, walks: int) -> None:
    """As near as so many walks come to it."""
    if chance in (0, 1):
        assert measured == chance * walks
        return
    spread = float(walks * chance * (1 - chance)) ** 0.5
    assert abs(measured - float(chance * walks)) <= SIGMAS * spread


@pytest.mark.parametrize("setup", [STARVED, DRAWN])
def test_the_probability_behind_a_prefix_is_what_all_schedules_say(setup: Setup) -> None:
    brute = Brute(setup)
    [tape] = failing(setup, 1)
    trials = Trials(setup, tape, (), WALKS, 10**9)
    for length, chance in enumerate(exact(brute, tape)):
        assert_near(trials.failed(length), chance, WALKS)


@pytest.mark.parametrize("place", range(4))
def test_the_guilty_choice_is_the_one_that_raises_it_most(
    starved: Brute, drawn: Brute, place: int
) -> None:
    for brute in (starved, drawn):
        tape = failing(brute.setup, 8)[place]
        chances = exact(brute, tape)
        found = explain(brute.setup, tape, name_of(brute.setup)).chances
        assert found.guilty
        rises = [float(b - a) for a, b in pairwise(chances)]
        assert rises[found.guilty - 1] >= max(rises) - 0.15
        assert found.stretch is not None
        before, after = found.stretch
        assert (before.choices, after.choices) == (found.guilty - 1, found.guilty)
        assert after.share - before.share == pytest.approx(rises[found.guilty - 1], abs=0.15)
        for one in found.curve:
            assert_near(one.failed, chances[one.choices], one.walks)


@pytest.mark.parametrize("place", range(12))
def test_the_nearest_schedule_that_holds_leaves_as_late_as_any(
    starved: Brute, drawn: Brute, place: int
) -> None:
    """Later than all that hold with some probability; and never where none can."""
    for brute in (starved, drawn):
        tape = failing(brute.setup, 25)[place]
        found = explain(brute.setup, tape, name_of(brute.setup), FEW)
        holds = [
            max(1 - brute.chance((*tape.choices[:k], other)) for other in alternatives(crossing))
            for k, crossing in enumerate(found.crossings)
            if alternatives(crossing)
        ]
        places = [k for k, one in enumerate(found.crossings, start=1) if alternatives(one)]
        can = [place for place, chance in zip(places, holds, strict=True) if chance > 0]
        likely = [place for place, chance in zip(places, holds, strict=True) if chance > LIKELY]
        assert max(likely) <= found.nearest.choice <= max(can)
        assert_holds(brute.setup, found)


def name_of(setup: Setup) -> str:
    return setup.properties[0].name


def alternatives(crossing: Crossing) -> list[Choice]:
    return [other for other in others(crossing) if other is not None]


def assert_holds(setup: Setup, found: Explanation) -> None:
    """The one fails and the other holds, and they differ first where it is said."""
    held, place = found.nearest.tape, found.nearest.choice - 1
    assert held is not None
    assert held.choices[:place] == found.tape.choices[:place]
    assert held.choices[place] != found.tape.choices[place]
    again = replay(setup, held)
    assert again.quiet
    assert not again.violations
    assert replay(setup, found.tape).violations[0].property == found.property


def test_a_step_that_decides_is_named_with_its_numbers() -> None:
    """The last good-bye comes before the third user's bind."""
    found = explain(STARVED, failing(STARVED, 1)[0], "no-bind-after-retire")
    assert found.chances.clear
    assert found.chances.stretch is not None
    assert found.chances.stretch[1].share == 1.0
    guilty = found.crossings[found.chances.guilty - 1]
    assert isinstance(guilty.choice, Deliver)
    assert guilty.messages[guilty.enabled.index(guilty.choice)] == "FreePasid"
    assert found.nearest.choice == found.chances.guilty
    assert "GetPasid come before user" in found.nearest.instead


# --- Limits, and what it is not asked for ---------------------------------------------------------


def test_it_is_the_same_each_time_it_is_asked() -> None:
    tape = failing(STARVED, 3)[2]
    [one, again] = [explain(STARVED, tape, "no-bind-after-retire", FEW) for _ in range(2)]
    assert one == again


def test_a_tape_without_choices_is_explained_like_the_one_with_them() -> None:
    tape = failing(STARVED, 1)[0]
    bare = Tape(tape.strategy, tape.seed)
    [one, other] = [explain(STARVED, each, "no-bind-after-retire", FEW) for each in (bare, tape)]
    assert one == other


@pytest.mark.parametrize(
    "budget", [Budget(deliveries=300, tries=3), Budget(prefixes=2, tries=1), Budget(deliveries=0)]
)
def test_err_where_the_budget_ends_it_is_said(budget: Budget) -> None:
    found = explain(DRAWN, failing(DRAWN, 1)[0], "no-third-life", budget)
    assert found.chances.cut
    assert found.chances.guilty == 0
    assert found.nearest.tries <= budget.tries


def test_where_the_budget_ends_the_stretch_is_known_that_it_is_in() -> None:
    found = explain(STARVED, failing(STARVED, 1)[0], "no-bind-after-retire", Budget(prefixes=3))
    assert found.chances.cut
    assert found.chances.stretch is not None
    before, after = found.chances.stretch
    whole = explain(STARVED, failing(STARVED, 1)[0], "no-bind-after-retire")
    assert before.choices < whole.chances.guilty <= after.choices


def test_of_a_long_schedule_there_are_fewer_random_ones() -> None:
    budget = Budget()
    assert [budget.walks_for(steps) for steps in (0, 100, 1_500, 10_000)] == [200, 200, 111, 20]


def test_what_fails_whatever_comes_first_has_no_guilty_step() -> None:
    many = replace(DRAWN, cast=lambda: cast(users=3, rounds=6, tickets=1))
    found = explain(many, failing(many, 1)[0], "no-third-life", Budget(tries=20))
    assert found.chances.guilty == 0
    assert not found.chances.cut
    assert found.chances.curve[0].share > 0.95
    assert found.nearest.tape is None
    assert "no schedule was found" in found.nearest.sentence


def test_err_another_experiments_property_is_refused() -> None:
    with pytest.raises(ExperimentError, match="'x' is not a property of this experiment"):
        explain(STARVED, failing(STARVED, 1)[0], "x")


class NothingFails:
    """No allocation is ever refused."""

    name: ClassVar[str] = "nothing-fails"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T4"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (SiteFailed,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        return f"{record.stamp.actor} failed"

    def unmet(self) -> list[Owed]:
        return []


class NobodyLost(NothingFails):
    """Nobody is lost."""

    name: ClassVar[str] = "nobody-lost"
    observes: ClassVar[tuple[type[Event], ...]] = (HostGone,)


def test_a_failure_that_the_plan_makes_is_guilty_itself() -> None:
    fail = Nemesis("fail", site=NO_MEMORY.name, probability=0.1)
    setup = replace(DRAWN, properties=(NothingFails,), nemeses=(fail,))
    found = explain(setup, failing(setup, 1)[0], "nothing-fails", FEW)
    last = found.crossings[-1].choice
    assert last == Fail(COUNTER, NO_MEMORY.name, failed=True)
    assert found.chances.guilty == found.nearest.choice == len(found.crossings)
    assert found.nearest.sentence == (
        "had counter.alloc.memory of counter not failed, and the rest been as it was, it would have"
        " held"
    )


def test_a_loss_that_the_plan_makes_is_left_out_in_the_nearest_that_holds() -> None:
    """What a lost user holds comes back only when the counter is told: never, here."""
    lose = Nemesis("lose", "user1", every_steps=(4, 12), times=1)
    setup = replace(DRAWN, properties=(NobodyLost,), nemeses=(lose,))
    found = explain(setup, failing(setup, 1)[0], "nobody-lost", FEW)
    assert found.nearest.choice == len(found.crossings)
    assert found.nearest.instead == "there been no lose user1"
    assert found.nearest.tape is not None
    assert Begin("lose", "user1") not in found.nearest.tape.choices
