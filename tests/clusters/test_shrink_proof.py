"""What the shrinker builds on, against brute force: drafts, delays, and the proof of minimality."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from typing import ClassVar, Final

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.shrink import ShrinkBudget, shrink
from clusters.sim.shrink.draft import Draft, Lenient, Move, TooLongError, draft_of, renamed
from clusters.sim.shrink.proof import Delayed, given_by
from clusters.sim.strategies.enumeration import Enumeration, numbers_of
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Fire, Heal, Tape
from clusters.sim.world import Setup, World, simulate
from experiments.models.refcount import MODEL_B, sound
from protocol.facts import Event, PasidAllocated
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, NoThirdLife, Shortage, cast
from tests.clusters.turns import turns_of, with_delays

STEPS: Final = 1 << 30
SETUP: Final = Setup(
    NOTHING,
    cast=lambda: cast(rounds=5),
    properties=(NoThirdLife, Shortage),
    nemeses=(
        Nemesis("crash", COUNTER, every_steps=(5, 20)),
        Nemesis("pause", "one user1", every_steps=(5, 20)),
        Nemesis("delay", COUNTER, every_steps=(5, 20), lasts_steps=(5, 9), wait_steps=(0, 3)),
        Nemesis("lose", "user2", every_steps=(30, 30), times=1),
        Nemesis("fail", site=NO_MEMORY.name, probability=0.2),
    ),
    delay_steps=(0, 2),
)
STRATEGIES: Final = ("random", "pct-3-20", "pos")


class FirstComers:
    """The first tickets do not go to these users, in this order."""

    name: ClassVar[str] = "first-comers"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T5"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidAllocated,)
    target: ClassVar[tuple[Name, ...]] = ()

    def __init__(self, machine: Machine) -> None:
        self.came: tuple[Name, ...] = ()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if isinstance(fact, PasidAllocated):
            self.came = (*self.came, fact.token)
        return f"first came {', '.join(self.came)}" if self.came == self.target else None

    def unmet(self) -> list[Owed]:
        return []


def never(target: tuple[int, ...]) -> type[FirstComers]:
    """The property that forbids this order."""
    return type("Never", (FirstComers,), {"target": tuple(f"user{k}" for k in target)})


# --- Drafts ---------------------------------------------------------------------------------------


def followed(setup: Setup, tape: Tape, draft: Draft) -> tuple[Tape, Lenient]:
    lenient = Lenient(tape, draft, STEPS)
    result = World(setup, lenient).run()
    lenient.note(result.world)
    return result.tape, lenient


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_draft_of_a_tape_is_that_tape(strategy: str) -> None:
    kinds: dict[type[Choice], None] = {}
    for seed in range(20):
        tape = simulate(SETUP, seed, strategy).tape
        kinds |= dict.fromkeys(type(choice) for choice in tape.choices)
        again, lenient = followed(SETUP, tape, draft_of(tape))
        assert again == tape
        moves = draft_of(tape).moves
        assert len(lenient.passed) == len(lenient.instead) == len(moves)
        for move, moment in zip(moves, lenient.passed, strict=True):
            match move.act:
                case Deliver(destination=actor) | Fire(actor=actor):
                    assert moment is not None
                    assert moment.actor == actor
                case _:
                    assert moment is None
    assert set(kinds) == {Deliver, Fire, Begin, Heal, Draw, Fail}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_its_delays_and_what_it_is_given_are_that_tape_too(strategy: str) -> None:
    """The proof runs schedules in this form: it must be able to say all of them."""
    for seed in range(20):
        tape = simulate(SETUP, seed, strategy).tape
        _, lenient = followed(SETUP, tape, draft_of(tape))
        given = given_by(tape, tuple(lenient.faults))
        delayed = Delayed(tape, given, tuple(lenient.delays), STEPS)
        assert World(SETUP, delayed).run().tape == tape
        assert delayed.lesson().reached


def test_nothing_is_the_plain_schedule_and_what_cannot_happen_is_skipped() -> None:
    plain = simulate(MODEL_B, 1, "delay-bounded").tape
    nowhere = Move(Deliver("a", "b"), (Draw("a", 1),))
    nobody = Move(Begin("crash", "nobody"))
    for moves in ((), (nowhere,), (nobody, nowhere), (Move(None),)):
        tape, lenient = followed(MODEL_B, plain, Draft((), moves))
        assert tape.choices == plain.choices
        assert lenient.delays == []
        assert lenient.instead == [None] * len(plain.choices)


def test_a_number_that_is_too_large_is_the_largest_and_one_that_is_missing_is_0() -> None:
    setup = replace(SETUP, nemeses=(), delay_steps=(0, 0), cast=lambda: cast(2, 2, tickets=3))
    plain = simulate(setup, 1, "delay-bounded").tape
    moves = draft_of(plain).moves
    for value, drawn in ((99, 2), (1, 1)):
        high = (Move(moves[0].act, (Draw(COUNTER, value),)), *(Move(one.act) for one in moves[1:]))
        tape, _ = followed(setup, plain, Draft((), high))
        values = [choice.value for choice in tape.choices if isinstance(choice, Draw)]
        assert values == [drawn, *[0] * (len(values) - 1)]


def test_who_is_renamed_is_renamed_everywhere() -> None:
    draft = Draft(
        (Draw("a -> b", 1),),
        (
            Move(Deliver("a", "b"), (Fail("a", "a.site", failed=True), Draw("ab", 2))),
            Move(Fire("b", "a")),
            Move(Begin("delay", "c -> a")),
            Move(Heal("crash", "a")),
            Move(None),
        ),
    )
    assert renamed(draft, {"a": "x"}) == Draft(
        (Draw("x -> b", 1),),
        (
            Move(Deliver("x", "b"), (Fail("x", "a.site", failed=True), Draw("ab", 2))),
            Move(Fire("b", "a")),
            Move(Begin("delay", "c -> x")),
            Move(Heal("crash", "x")),
            Move(None),
        ),
    )
    assert renamed(draft, {}) is draft


def test_who_gives_his_name_to_another_is_gone() -> None:
    draft = Draft((), (Move(Deliver("a", "c")), Move(Deliver("b", "c")), Move(Fire("c", "b"))))
    assert renamed(draft, {"b": "a", "c": "b"}).moves == (
        Move(Deliver("", "b")),
        Move(Deliver("a", "b")),
        Move(Fire("b", "b")),
    )


def test_it_gives_up_at_the_number_of_deliveries_that_may_not_be_exceeded() -> None:
    tape = simulate(MODEL_B, 1, "delay-bounded").tape
    steps = 31
    assert World(MODEL_B, Lenient(tape, Draft(), steps)).run().steps == steps
    for strategy in (Lenient(tape, Draft(), 30), Delayed(tape, given_by(tape, ()), (), 30)):
        with pytest.raises(TooLongError):
            World(MODEL_B, strategy).run()


# --- The proof ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("users", "rounds", "bound"), [(2, 1, 2), (2, 1, 5), (3, 1, 2), (3, 0, 3)])
def test_all_schedules_with_so_many_delays_are_run_once(
    users: int, rounds: int, bound: int
) -> None:
    setup = replace(MODEL_B, cast=lambda: sound(users, rounds))
    tape = simulate(setup, 1).tape
    made = Enumeration("delays", 1, bound)
    found = []
    while orders := made.round():
        for order in orders:
            delayed = Delayed(tape, given_by(tape, ()), numbers_of(order, "delays"), STEPS)
            found.append(turns_of(World(setup, delayed).run().tape))
            made.learn(order, delayed.lesson())
    brute = [turns for turns, _ in with_delays([4 * rounds + 1] * users, bound)]
    assert sorted(found) == sorted(brute)


class Numbered:
    """A strategy: at each choice the slot with this number; at `steps_max` it gives up."""

    name = "numbered"
    seed = 0

    def __init__(self, numbers: list[int], steps_max: int) -> None:
        self.numbers = numbers
        self.bounds: list[int] = []
        self.steps_max = steps_max

    def choose(self, world: World) -> int:
        if world.step >= self.steps_max:
            raise TooLongError
        place = len(self.bounds)
        self.bounds.append(len(world.network.enabled))
        return world.network.enabled[self.numbers[place] if place < len(self.numbers) else 0]

    def fails(self, world: World, actor: Name, site: str) -> bool:
        return False

    def draw(self, world: World, actor: Name, bound: int) -> int:
        return 0


def every_violation(setup: Setup, steps_max: int) -> Iterator[tuple[int, int]]:
    """Steps and delays of each schedule that violates something within so many deliveries."""
    numbers: list[int] | None = []
    while numbers is not None:
        strategy = Numbered(numbers, steps_max)
        try:
            result = World(setup, strategy).run()
        except TooLongError:
            pass
        else:
            if result.violations:
                _, lenient = followed(setup, result.tape, draft_of(result.tape))
                yield result.steps, len(lenient.delays)
        numbers = following(numbers, strategy.bounds)


def following(numbers: list[int], bounds: list[int]) -> list[int] | None:
    """The next schedule in the order of its numbers; None: that was the last."""
    full = numbers + [0] * (len(bounds) - len(numbers))
    for place in range(len(bounds) - 1, -1, -1):
        if full[place] + 1 < bounds[place]:
            return [*full[:place], full[place] + 1]
    return None


TARGETS: Final = [
    (users, rounds, target)
    for users, rounds, most in ((2, 2, 4), (3, 1, 3), (3, 2, 3))
    for length in range(1, most + 1)
    for target in product(range(1, users + 1), repeat=length)
]


@pytest.mark.parametrize(
    ("users", "rounds"),
    [
        (2, 2),
        pytest.param(3, 1, marks=pytest.mark.long),
        pytest.param(3, 2, marks=pytest.mark.long),
    ],
)
def test_what_is_said_to_be_minimal_is_minimal_among_all_there_are(users: int, rounds: int) -> None:
    """Each order in which users could come first, as the thing that must not be."""
    proved = shortest = 0
    for target in [its for *world, its in TARGETS if world == [users, rounds]]:
        setup = Setup(NOTHING, cast=lambda: cast(users, rounds, users), properties=(never(target),))
        found = (simulate(setup, seed) for seed in range(300))
        tape = next((result.tape for result in found if result.violations), None)
        if tape is None:
            continue
        shrunk = shrink(setup, tape, FirstComers.name, ShrinkBudget(3_000))
        assert shrunk.after.drawn == 0
        assert shrunk.minimal
        brute = sorted(every_violation(setup, shrunk.after.steps))
        assert brute
        assert not [one for one in brute if one[1] < shrunk.after.delays]
        proved += 1
        shortest += brute[0] == (shrunk.after.steps, shrunk.after.delays)
    assert proved == shortest > 4
