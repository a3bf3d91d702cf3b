"""What `shrink` does and says: make a schedule smaller, write it beside, tell its story."""

import time
from pathlib import Path
from typing import Final

from msgspec import Struct

from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.shrink import Aids, ShrinkBudget, Size
from clusters.sim.tape import Origin, Tape
from experiments.harness.concluding import encoded, violation_result
from experiments.harness.errors import UnwritableError
from experiments.harness.interruption import shielded
from experiments.harness.own import own_words
from experiments.harness.progress import progress
from experiments.harness.reading import shown
from experiments.harness.replaying import Schedule, compare, elsewhere
from experiments.harness.result import Exit, Result, Status
from experiments.harness.running import command
from experiments.harness.say import Voice, columns, complain, many
from experiments.harness.setup import digest_of, property_results, reasons_of
from experiments.harness.shrinking import (
    SMALL,
    Limits,
    Small,
    Tries,
    make_small,
    makes,
    say_wrapped,
    size_rows,
    small_example,
    small_words,
    write_small,
)
from experiments.harness.store import HISTORY, Run, git_state, written
from experiments.harness.story import story
from protocol.errors import ExperimentError
from protocol.history import Record

FIRST: Final = "ce-1"


class Ending(Struct, frozen=True):
    """What is said of it: where the schedule lies (None: nowhere), and how long it took."""

    small: Small
    file: Path | None
    folder: str
    seconds: float


def shrink_and_say(given: Schedule, limits: Limits, voice: Voice) -> int:
    """Make it smaller, store it, say what it is now; the exit code."""
    began = time.monotonic()
    if other := elsewhere(given.origin, always=False):
        voice.talk(f"{other}: it may come out differently")
    records: list[Record] = []
    first = _violating(given, records)
    small = _made_small(given, first.tape, limits, voice)
    seconds = time.monotonic() - began
    lost: UnwritableError | None = None
    with shielded():
        file, run = None, None
        try:
            if given.file is None:
                run = _run_of(given, first, records, limits.runs)
                file = write_small(small, FIRST + SMALL, run.write)
                run.finish(_result(given, Ending(small, file, str(run.final), seconds)))
            else:
                file = _written_beside(small, given.file)
        except UnwritableError as error:
            lost, file, run = error, None, None
        ending = Ending(small, file, str(run.final) if run else "", seconds)
        result = _result(given, ending)
        voice.object(result)
        _say(ending, result, voice)
    if lost is not None:
        complain(f"{lost}  (exit {result.exit_code})")
    return result.exit_code


def _violating(given: Schedule, records: list[Record]) -> RunResult:
    """The schedule as it is given, once more; it must violate what it did."""
    if given.tape.loop:
        raise ExperimentError(
            "this schedule goes round for ever, and what is cut from it ends: it is not shrunk;"
            f" it is the nearest of its kind: {command('replay', *given.words)}"
        )
    setup = makes(given.where, given.tape.strategy)(given.experiment)
    found = replay(setup, given.tape, records.append)
    compare(given.origin, found)
    if not found.violations:
        again = command("replay", *given.words)
        raise ExperimentError(
            f"this schedule violates nothing, there is nothing to shrink: {again}"
        )
    return found


def _made_small(given: Schedule, tape: Tape, limits: Limits, voice: Voice) -> Small:
    until = time.monotonic() + limits.seconds
    budget = ShrinkBudget(limits.tries, lambda: time.monotonic() > until)
    told = Tries(0, 0, 0)
    with progress(voice, "shrink", limits.tries) as say:

        def count(tries: int, smallest: Size) -> None:
            told.schedules, told.now = tries, smallest.steps
            told.before = told.before or smallest.steps
            say(told)

        make = makes(given.where, tape.strategy)
        return make_small(given.experiment, make, tape, budget, Aids(say=count))


# --- What is kept ---------------------------------------------------------------------------------


def _run_of(given: Schedule, first: RunResult, records: list[Record], runs: Path) -> Run:
    """A token has no folder: it gets one, with the schedule that it stands for."""
    run = Run(runs, Path(given.where).stem, given.tape.seed)
    digest = digest_of(run.write_experiment(given.experiment))
    violation, (git, _) = first.violations[0], git_state()
    origin = Origin(git, digest, violation.property, violation.record.stamp.step)
    run.write(f"{FIRST}.json", first.tape.to_json(origin))
    run.write(HISTORY, encoded(tuple(records)))
    return run


def _written_beside(small: Small, given: Path) -> Path:
    """What was small already is written over."""
    given = given.resolve()
    name = given.stem if given.stem.endswith(SMALL) else given.stem + SMALL
    return write_small(small, name, lambda file, text: written(given.with_name(file), text))


def _result(given: Schedule, ending: Ending) -> Result:
    small = ending.small
    shrunk, found = small.shrunk, small.result
    status, code = Status.VIOLATION, Exit.VIOLATION
    if shrunk.interrupted:
        status, code = Status.INTERRUPTED, Exit.INTERRUPTED
    words = given.words
    if ending.file:
        words = (shown(ending.file), *own_words(small.experiment.lineup))
    again = command("replay", *words)
    return Result(
        verb="shrink",
        experiment=shown(ending.file.with_suffix(".toml")) if ending.file else given.where,
        title=small.experiment.title,
        revision=small.experiment.lineup.title,
        world="sim",
        seed=given.tape.seed,
        verdict=status,
        exit_code=int(code),
        reasons=reasons_of(found.verdict),
        properties=property_results(found.verdict),
        violations=tuple(map(violation_result, found.violations)),
        counterexamples=(small_example(small, ending.file, again),),
        counts={
            "schedules": shrunk.tries,
            "steps": found.steps,
            "records": len(small.records),
        },
        proof=shrunk.reason if shrunk.minimal else "",
        seconds=round(ending.seconds, 3),
        folder=ending.folder,
        again=again,
    )


# --- What is said ---------------------------------------------------------------------------------


def _say(ending: Ending, result: Result, voice: Voice) -> None:
    small = ending.small
    shrunk = small.shrunk
    said = shrunk.violation
    voice.verdict("violation", f"{said.property}    {many(shrunk.after.steps, 'step')}")
    voice.answer(f"  {said.sentence}")
    voice.answer()
    for line in story(small.records, said):
        voice.row(line)
    voice.answer()
    for process in small.experiment.process:
        say_wrapped(process.name, "; ".join(process.steps), voice)
    voice.answer(f"{small_words(shrunk)}  ({ending.seconds:.1f} s)")
    for line in columns([("", "was", "is"), *size_rows(shrunk.before, shrunk.after)]):
        voice.answer(line)
    word = "minimal" if shrunk.minimal else "interrupted" if shrunk.interrupted else "smaller"
    say_wrapped(word, shrunk.reason, voice)
    if ending.file:
        voice.keyed("experiment", shown(ending.file.with_suffix(".toml")))
    voice.keyed("replay", result.again)
