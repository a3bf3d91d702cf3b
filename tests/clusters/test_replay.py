import re
from dataclasses import replace
from typing import Final

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.nemesis import Nemesis
from clusters.sim.replay import replay
from clusters.sim.tape import (
    Begin,
    Choice,
    Deliver,
    Draw,
    Fail,
    Fire,
    Heal,
    Origin,
    Tape,
    known_of,
    read_tape,
    read_token,
)
from clusters.sim.world import Setup, simulate
from protocol.effects import Out
from protocol.errors import DivergedError
from protocol.history import Record, encode_record
from protocol.messages import AllocPasid
from protocol.names import Name
from tests.clusters.toys import (
    COUNTER,
    NO_MEMORY,
    NOTHING,
    AllComeBack,
    Counter,
    NoThirdLife,
    Shortage,
    cast,
)

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
    properties=(AllComeBack, NoThirdLife, Shortage),
    nemeses=NEMESES,
    stop_at_first=False,
)
TAPE: Final = simulate(SETUP, 1).tape


def lines(setup: Setup, tape: Tape) -> list[bytes]:
    records: list[Record] = []
    replay(setup, tape, records.append)
    return [encode_record(record) for record in records]


@pytest.mark.parametrize("seed", range(20))
def test_a_replay_is_the_run_once_more(seed: int) -> None:
    records: list[Record] = []
    tape = simulate(SETUP, seed, history=records.append).tape
    assert lines(SETUP, tape) == [encode_record(record) for record in records]
    assert replay(SETUP, tape).tape == tape


def test_all_kinds_of_choices_are_replayed() -> None:
    kinds = {type(choice) for seed in range(5) for choice in simulate(SETUP, seed).tape.choices}
    assert kinds == {Deliver, Fire, Begin, Heal, Draw, Fail}


def test_a_tape_replays_from_its_file_and_from_its_token() -> None:
    from_file, _ = read_tape(TAPE.to_json(Origin()))
    assert lines(SETUP, from_file) == lines(SETUP, TAPE)
    for token in (TAPE.token(), msgspec.structs.replace(TAPE, end="").token()):
        assert lines(SETUP, read_token(token)) == lines(SETUP, TAPE)


def test_err_a_token_that_comes_out_differently_says_where() -> None:
    """It has no choices: a byte for each part of them tells in which the first other one is."""
    recorded = replace(SETUP, cast=lambda: cast(users=3, rounds=5, tickets=3))
    token = read_token(simulate(recorded, 1).tape.token())
    with pytest.raises(DivergedError) as diverged:
        replay(SETUP, token)
    found = re.match(
        r"diverged at one of the choices (\d+) to (\d+) of (\d+) \(steps \d+ to \d+\): another one"
        r" was recorded there; now no-third-life is violated in \d+ steps",
        str(diverged.value),
    )
    assert found, diverged.value
    first, last, count = (int(group) for group in found.groups())
    recorded_choices = simulate(recorded, 1).tape.choices
    made = simulate(SETUP, 1).tape.choices
    pairs = enumerate(zip(recorded_choices, made, strict=False), start=1)
    assert first <= next(k for k, (one, its) in pairs if one != its) <= last
    assert count == len(recorded_choices)


def test_err_a_token_whose_run_goes_on_says_so() -> None:
    short = replace(SETUP, max_steps=30, quiet_steps=0, nemeses=())
    token = read_token(simulate(short, 1).tape.token())
    with pytest.raises(DivergedError, match=r"\d+ choices were recorded, all of them were made"):
        replay(replace(short, max_steps=40), token)
    tape = simulate(short, 1).tape
    longer = known_of(tape.choices * 2, 2 * len(tape.choices))
    with pytest.raises(DivergedError, match="now it has ended before"):
        replay(short, Tape("random", 1, (), "00", longer))


def test_a_run_that_a_violation_ended_replays_to_its_end() -> None:
    setup = replace(SETUP, stop_at_first=True)
    result = simulate(setup, 1)
    assert result.verdict.word == "violation"
    assert replay(setup, result.tape).violations[0].sentence == result.violations[0].sentence


def at(place: int, choice: Choice) -> Tape:
    choices = (*TAPE.choices[:place], choice, *TAPE.choices[place + 1 :])
    return msgspec.structs.replace(TAPE, choices=choices)


def first(kind: type[Choice]) -> int:
    return next(k for k, choice in enumerate(TAPE.choices) if isinstance(choice, kind))


@pytest.mark.parametrize(
    ("tape", "sentence"),
    [
        (at(0, Deliver("user9", COUNTER)), "recorded: user9 -> counter; possible now: user"),
        (at(0, Fire("user1", "again")), "recorded: timer 'again' of user1; possible now: user"),
        (at(0, Begin("crash", "nobody")), "recorded: crash nobody; possible now: user"),
        (at(0, Begin("reset", COUNTER)), "recorded: reset counter; possible now: user"),
        (at(0, Heal("crash", COUNTER)), "recorded: heal crash counter; possible now: user"),
        (at(0, Draw(COUNTER, 0)), "recorded: draw 0 for counter; possible now: user"),
        (
            at(first(Draw), Draw(COUNTER, 7)),
            "recorded: draw 7 for counter; possible now: draw less than",
        ),
        (
            at(first(Fail), Deliver("user1", COUNTER)),
            "possible now: pass counter.alloc.memory of counter; fail counter.alloc.memory of",
        ),
        (msgspec.structs.replace(TAPE, choices=TAPE.choices[:9]), "the recording ends here"),
        (
            msgspec.structs.replace(TAPE, choices=(*TAPE.choices, Draw("x", 1))),
            "recorded: draw 1 for x; possible now: nothing, the run has ended",
        ),
    ],
)
def test_err_the_first_choice_that_differs_is_named(tape: Tape, sentence: str) -> None:
    with pytest.raises(DivergedError, match=r"diverged at step \d+, choice \d+ of \d+: ") as stop:
        replay(SETUP, tape)
    assert sentence in str(stop.value)


def test_err_a_divergence_names_step_and_choice() -> None:
    with pytest.raises(DivergedError, match=r"diverged at step 5, choice 1 of \d+: recorded: x"):
        replay(SETUP, at(0, Deliver("x", "y")))


def test_err_only_some_of_the_many_possible_choices_are_named() -> None:
    crowd = replace(SETUP, cast=lambda: cast(users=12), nemeses=())
    tape = Tape("random", 1, (Deliver("x", "y"),))
    with pytest.raises(DivergedError, match="user8 -> counter; and 4 more"):
        replay(crowd, tape)


def test_err_the_same_choices_with_another_end_are_a_divergence() -> None:
    class Other(Counter):
        def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
            Counter.on_alloc_pasid(self, alloc, sender, out)
            self.count += sender == "user3"

    other = replace(SETUP, cast=lambda: {**cast(tickets=9), COUNTER: Other(9)}, nemeses=())
    usual = replace(other, cast=lambda: cast(tickets=9))
    tape = simulate(replace(usual, max_steps=10, quiet_steps=0), 1).tape
    with pytest.raises(DivergedError, match="not as they were at the end; the code has changed"):
        replay(replace(other, max_steps=10, quiet_steps=0), tape)


FAULTS: Final = st.sampled_from(["crash", "pause", "delay", "lose", "fail", "reset", ""])
TARGETS: Final = st.sampled_from(
    [COUNTER, "user1", "user2", "user1 -> counter", "a -> b", "user1 -> user2 -> user3", "", " -> "]
)


@given(st.builds(Begin, FAULTS, TARGETS) | st.builds(Heal, FAULTS, TARGETS), st.integers(0, 60))
def test_err_a_fault_that_somebody_wrote_into_a_tape_happens_or_diverges(
    choice: Choice, place: int
) -> None:
    choices = (*TAPE.choices[:place], choice, *TAPE.choices[place:])
    with pytest.raises(DivergedError):
        replay(SETUP, Tape("random", 1, choices[: place + 1]))


CHANGES: Final = st.lists(
    st.tuples(st.integers(0, len(TAPE.choices) - 1), st.integers(0, len(TAPE.choices) - 1)),
    min_size=1,
    max_size=4,
)


@given(CHANGES)
def test_err_a_shuffled_tape_replays_or_diverges(changes: list[tuple[int, int]]) -> None:
    choices = list(TAPE.choices)
    for one, other in changes:
        choices[one], choices[other] = choices[other], choices[one]
    tape = msgspec.structs.replace(TAPE, choices=tuple(choices), end="")
    try:
        result = replay(SETUP, tape)
    except DivergedError:
        return
    assert result.tape.choices == tape.choices
