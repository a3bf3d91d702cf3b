"""A counterexample made smaller together with its experiment: for `shrink`, and for `explore`.

What comes of it is a schedule and an experiment that lie beside each other, `ce-1.small.json` and
`ce-1.small.toml`, and replay like any other.
"""

import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Final

from msgspec import Struct

from clusters.judge import Violation
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.shrink import (
    Aids,
    Alike,
    Say,
    Shortest,
    ShrinkBudget,
    Shrunk,
    Size,
    any_sentence,
    shrink,
)
from clusters.sim.strategies import prepared, title
from clusters.sim.tape import Origin, Tape
from clusters.sim.world import Setup
from experiments.harness.config import Experiment
from experiments.harness.reading import shown
from experiments.harness.result import Counterexample
from experiments.harness.running import Case, Failing
from experiments.harness.say import KEY_WIDTH, Voice, many
from experiments.harness.setup import digest_of, setup_of
from experiments.harness.smaller import Make, SmallerExperiment
from experiments.harness.store import git_state, resolved
from protocol.history import Record
from protocol.properties.outcomes_as_scripted import OutcomesAsScripted

SMALL: Final = ".small"
WIDTH: Final = 78
TRIES: Final = 10_000
SECONDS: Final = 60.0
_NUMBER: Final = re.compile(r"[0-9]+")


class Limits(Struct, frozen=True):
    """When to stop: after so many tries, or so many seconds; and where new runs go."""

    tries: int
    seconds: float
    runs: Path


@dataclass(frozen=True)
class Small:
    """What became of a counterexample: its experiment, its one run, and the history of that."""

    experiment: Experiment
    shrunk: Shrunk
    result: RunResult
    records: list[Record]


class Tries(Struct):
    """How far it has come."""

    unit: ClassVar[str] = "tries"

    schedules: int
    before: int
    now: int

    def found(self) -> str:
        """From how many steps to how many."""
        return f"{self.before:,} -> {many(self.now, 'step')}"


def makes(where: str, strategy: str) -> Make:
    """What is run for an experiment when a schedule of this strategy is replayed."""

    def make(experiment: Experiment) -> Setup:
        return prepared(setup_of(experiment, where), strategy)

    return make


def make_small(
    experiment: Experiment, make: Make, tape: Tape, budget: ShrinkBudget, aids: Aids
) -> Small:
    """The schedule as small as the budget allows.  It has its choices, and violates something.

    The result is replayed, exactly, before anybody hears of it.
    """
    setup = make(experiment)
    first = replay(setup, tape).violations[0]
    source = SmallerExperiment(experiment, make, setup)
    helped = replace(aids, source=source, alike=_alike(first))
    shrunk = shrink(setup, tape, first.property, budget, helped)
    assert isinstance(shrunk.source, SmallerExperiment)
    smallest = shrunk.source.experiment
    records: list[Record] = []
    result = replay(make(smallest), shrunk.tape, records.append)
    assert result.violations[0].sentence == shrunk.violation.sentence
    return Small(smallest, shrunk, result, records)


def _alike(violation: Violation) -> Alike:
    """Of a script's outcome the same must be said, but for numbers: each is about another step."""
    if violation.property != OutcomesAsScripted.name:
        return any_sentence
    said = _NUMBER.sub("0", violation.sentence)
    return lambda sentence: _NUMBER.sub("0", sentence) == said


def shrink_failing(
    case: Case,
    failing: Failing,
    budget: ShrinkBudget,
    say: Say | None = None,
    shortest: Shortest | None = None,
) -> Small:
    """What `explore` found, made smaller."""
    tape = failing.result.tape
    make = makes(str(case.asked.file), tape.strategy)
    return make_small(case.experiment, make, tape, budget, Aids(None, shortest, say))


def write_small(small: Small, name: str, write: Callable[[str, bytes], Path]) -> Path:
    """The schedule and its experiment as two files `name`; where the schedule is."""
    text = resolved(small.experiment)
    violation = small.shrunk.violation
    git, _ = git_state()
    origin = Origin(git, digest_of(text), violation.property, violation.record.stamp.step)
    write(f"{name}.toml", text)
    return write(f"{name}.json", small.shrunk.tape.to_json(origin))


def small_example(small: Small, file: Path | None, again: str) -> Counterexample:
    """How `result.json` tells of it; `again` is the command for it."""
    shrunk = small.shrunk
    return Counterexample(
        property=shrunk.violation.property,
        message=shrunk.violation.sentence,
        schedule=1,
        seed=shrunk.tape.seed,
        steps=shrunk.after.steps,
        file=shown(file) if file else "",
        replay=again,
        strategy=title(shrunk.tape.strategy),
        shrunk_from=shrunk.before.steps,
        tries=shrunk.tries,
        minimal=shrunk.minimal,
        reason=shrunk.reason,
    )


def small_words(shrunk: Shrunk) -> str:
    """`shrunk from 63 steps to 6 in 214 tries`."""
    was, now, tries = shrunk.before, shrunk.after, many(shrunk.tries, "try")
    if was == now:
        return f"nothing smaller was found in {tries}"
    if was.steps == now.steps:
        return f"shrunk in {tries}, with {many(now.steps, 'step')} as before"
    return f"shrunk from {many(was.steps, 'step')} to {now.steps:,} in {tries}"


def size_rows(was: Size, now: Size) -> list[tuple[str, str, str]]:
    """What of a counterexample's size is told, before and after; what never was is not."""
    named = {
        "steps": "steps",
        "actors": "actors",
        "work": "operations",
        "faults": "faults",
        "failures": "failing steps",
        "delays": "delays",
        "drawn": "sum of draws",
    }
    rows = [(named[key], getattr(was, key), getattr(now, key)) for key in named]
    return [(name, f"{old:,}", f"{new:,}") for name, old, new in rows if old or new]


def say_wrapped(key: str, text: str, voice: Voice) -> None:
    """A line that begins with what it is, and goes on below if it is long."""
    key = key if len(key) < KEY_WIDTH else f"{key} "
    first = f"{key:<{KEY_WIDTH}}"
    for line in textwrap.wrap(text, WIDTH, initial_indent=first, subsequent_indent=" " * KEY_WIDTH):
        voice.answer(line)
