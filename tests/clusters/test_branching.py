"""Schedules that leave a tape: exact up to there, and then another way."""

from dataclasses import replace
from typing import Final

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.branching import Branch, Crossing, Detour, Surveyed, crossed
from clusters.sim.run_result import RunResult
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Deliver, Draw, Fail, Fire, Heal, Tape
from clusters.sim.world import Setup, World, simulate
from tests.clusters.toys import COUNTER, NO_MEMORY, NOTHING, AllComeBack, NoThirdLife, cast

NEMESES: Final = (
    Nemesis("crash", COUNTER, every_steps=(5, 20)),
    Nemesis("pause", "one user1", every_steps=(5, 20)),
    Nemesis("delay", COUNTER, every_steps=(5, 20), lasts_steps=(5, 9), wait_steps=(0, 3)),
    Nemesis("lose", "user2", every_steps=(30, 30), times=1),
    Nemesis("fail", site=NO_MEMORY.name, probability=0.2),
)
SETUP: Final = Setup(
    NOTHING,
    cast=lambda: cast(rounds=5),
    properties=(AllComeBack, NoThirdLife),
    nemeses=NEMESES,
    stop_at_first=False,
)
QUIET: Final = replace(SETUP, nemeses=())
TAPE: Final = simulate(SETUP, 1).tape


def branched(setup: Setup, tape: Tape, length: int, seed: int) -> RunResult:
    return World(setup, Branch(tape, length, RandomWalk(seed, setup.nemeses))).run()


@pytest.mark.parametrize("length", range(0, len(TAPE.choices) + 1, 7))
def test_a_branch_is_the_tape_up_to_its_length_and_the_same_each_time(length: int) -> None:
    made = branched(SETUP, TAPE, length, 5).tape.choices
    assert made[:length] == TAPE.choices[:length]
    assert made == branched(SETUP, TAPE, length, 5).tape.choices
    others = [branched(SETUP, TAPE, length, seed).tape.choices for seed in range(6, 12)]
    if length < len(TAPE.choices) - 20:
        assert len({made, *others}) > 1


def test_a_branch_of_a_whole_tape_is_its_replay() -> None:
    result = branched(SETUP, TAPE, len(TAPE.choices), 3)
    assert (result.tape.choices, result.end) == (TAPE.choices, TAPE.end)


@pytest.mark.parametrize("seed", range(5))
def test_a_branch_of_nothing_is_the_random_walk(seed: int) -> None:
    assert branched(SETUP, TAPE, 0, seed).tape.choices == simulate(SETUP, seed).tape.choices


# --- Faults after a branch ------------------------------------------------------------------------


def only(nemesis: Nemesis) -> Setup:
    return replace(SETUP, nemeses=(nemesis,))


def steps_of(setup: Setup, tape: Tape, kind: type[Begin] | type[Heal]) -> list[int]:
    """The steps before which a fault begins or is healed."""
    survey = Surveyed(tape)
    World(setup, survey).run()
    return [one.step for one in survey.crossings if isinstance(one.choice, kind)]


def test_a_fault_that_happened_is_not_planned_again() -> None:
    setup = only(Nemesis("crash", COUNTER, every_steps=(5, 20), times=1))
    tape = simulate(setup, 2).tape
    [begun] = [k for k, choice in enumerate(tape.choices) if isinstance(choice, Begin)]
    for length in range(0, len(tape.choices), 3):
        for seed in range(4):
            made = branched(setup, tape, length, seed).tape
            assert [type(choice) for choice in made.choices].count(Begin) == 1
            if length > begun:
                assert made.choices[begun] == tape.choices[begun]


def test_a_fault_that_has_yet_to_come_comes_in_what_is_left_of_its_time() -> None:
    setup = only(Nemesis("crash", COUNTER, every_steps=(20, 30), times=1))
    late = only(Nemesis("crash", COUNTER, every_steps=(900, 900), times=1))
    tape = simulate(late, 2).tape
    assert Begin("crash", COUNTER) not in tape.choices
    survey = Surveyed(tape)
    World(late, survey).run()
    for length in (0, 5, 15, 20, 25):
        now = survey.crossings[length - 1].step if length else 0
        possible = range(max(20, now), 31)
        begun: list[int] = []
        for seed in range(60):
            begun += steps_of(setup, branched(setup, tape, length, seed).tape, Begin)
        assert len(begun) == 60
        assert (min(begun), max(begun)) == (possible[0], possible[-1])


def test_a_fault_that_lasts_is_healed_in_its_time() -> None:
    setup = only(Nemesis("crash", COUNTER, every_steps=(5, 5), lasts_steps=(10, 12), times=1))
    tape = simulate(setup, 1).tape
    begun = tape.choices.index(Begin("crash", COUNTER))
    survey = Surveyed(tape)
    World(setup, survey).run()
    since = survey.crossings[begun].step
    for seed in range(20):
        made = branched(setup, tape, begun + 1, seed).tape
        healed = steps_of(setup, made, Heal)
        assert len(healed) <= 1
        if healed:
            assert since + 10 <= healed[0] <= since + 12


@pytest.mark.parametrize("length", range(40))
def test_the_passage_that_shall_fail_is_counted_from_the_beginning(length: int) -> None:
    setup = only(Nemesis("fail", site=NO_MEMORY.name, nth=4))
    tape = simulate(setup, 1).tape
    for seed in range(3):
        made = branched(setup, tape, length, seed).tape.choices
        asked = [choice.failed for choice in made if isinstance(choice, Fail)]
        assert asked[3]
        assert sum(asked) == 1


# --- What else there was --------------------------------------------------------------------------


def test_a_survey_names_what_could_have_been_chosen() -> None:
    survey = Surveyed(TAPE)
    World(SETUP, survey).run()
    assert tuple(one.choice for one in survey.crossings) == TAPE.choices
    for one in survey.crossings:
        assert len(one.enabled) == len(one.messages)
        match one.choice:
            case Deliver() | Fire():
                assert one.choice in one.enabled
            case Draw(_, value):
                assert value < one.bound
    steps = [one.step for one in survey.crossings]
    assert steps == sorted(steps)
    assert steps[-1] == simulate(SETUP, 1).steps


def test_a_choice_is_said_with_its_message() -> None:
    one = Crossing(
        7, Deliver("a", "b"), (Deliver("a", "b"), Fire("c", "t")), ("Done", "TimerFired")
    )
    assert crossed(one) == "a -> b Done"
    assert crossed(one, Fire("c", "t")) == "timer 't' of c"
    assert crossed(one, Deliver("x", "y")) == "x -> y"


# --- Another way ----------------------------------------------------------------------------------


@pytest.mark.parametrize("plain", [False, True])
def test_a_detour_is_the_tape_and_then_what_is_said(plain: bool) -> None:
    tape = simulate(QUIET, 3).tape
    survey = Surveyed(tape)
    World(QUIET, survey).run()
    taken = 0
    for place, one in enumerate(survey.crossings):
        for other in one.enabled:
            if other == one.choice:
                continue
            made = World(QUIET, Detour(tape, place, other, plain=plain)).run()
            assert made.tape.choices[:place] == tape.choices[:place]
            assert made.tape.choices[place] == other
            assert made.quiet
            taken += 1
    assert taken > 50


def test_a_detour_that_changes_nothing_goes_on_as_recorded() -> None:
    for place in range(len(TAPE.choices)):
        choice = TAPE.choices[place]
        if isinstance(choice, Deliver | Fire):
            made = World(SETUP, Detour(TAPE, place, choice, plain=False)).run()
            assert made.tape.choices == TAPE.choices


def test_a_detour_leaves_out_a_fault_draws_another_number_and_lets_a_step_pass() -> None:
    for place, choice in enumerate(TAPE.choices):
        other: Draw | Fail | None
        match choice:
            case Begin():
                other = None
            case Draw(actor, value):
                other = Draw(actor, 0 if value else 1)
            case Fail(actor, site, True):
                other = Fail(actor, site, failed=False)
            case _:
                continue
        made = World(SETUP, Detour(TAPE, place, other, plain=False)).run().tape.choices
        assert made[:place] == TAPE.choices[:place]
        assert made[place] == other if other else made[place] != choice
