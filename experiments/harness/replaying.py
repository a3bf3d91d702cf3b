"""A stored schedule, run again and compared with what it was."""

import time
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.tape import Deliver, Fire, Origin, Tape, read_tape, read_token
from experiments.harness.concluding import CAUSES, violation_result
from experiments.harness.config import Experiment, load
from experiments.harness.explaining import FULL, explained, marks, say_why
from experiments.harness.finding import find_file, find_run, summary_of
from experiments.harness.options import Asked
from experiments.harness.own import own_words
from experiments.harness.reading import read_file, refuse_odd, shown
from experiments.harness.result import Exit, ExplanationResult, Result, Status, WitnessResult, worst
from experiments.harness.running import command
from experiments.harness.say import Voice, many
from experiments.harness.setup import (
    VERDICTS,
    digest_of,
    loaded,
    property_results,
    reasons_of,
    setup_of,
)
from experiments.harness.store import EXPERIMENT, git_state, model_changes, resolved
from experiments.harness.story import as_step, story
from protocol.errors import DivergedError, ExperimentError, UnreadableError
from protocol.history import Record

TAPE_BYTES_MAX: Final = 64 << 20
OTHER: Final = "recorded with another experiment, or other options"
FOLLOW: Final = "chaos --follow"
"""The verb that, of a run, wants the schedule that was made small."""
NAMED_MAX: Final = 3
"""Changed files that are named."""


class Schedule(Struct, frozen=True):
    """What is replayed: the experiment, the tape, where it comes from, the command for it.

    `other`: the experiment is not the one that it was recorded with, as a token remembers it.
    `file` is the counterexample file; None: it was a token.
    """

    experiment: Experiment
    where: str
    tape: Tape
    origin: Origin | None
    words: tuple[str, ...]
    other: bool = False
    file: Path | None = None


def schedule(what: str, asked: Asked | None, runs: Path, verb: str = "replay") -> Schedule:
    """The schedule that `what` names: a counterexample file, a run folder, or a token.

    A token needs its experiment; a counterexample file has it beside it, under its own name if it
    was shrunk together with it.
    """
    path = _counterexample(what, runs, verb)
    if path is None:
        return _of_token(what, asked, verb)
    tape, origin = read_tape(read_file(path, TAPE_BYTES_MAX), str(path))
    if asked is not None:
        experiment, where = loaded(asked), str(asked.file)
        digest, words = digest_of(resolved(experiment)), asked.words()
    else:
        own = path.resolve().with_suffix(".toml")
        beside = own if own.is_file() else own.with_name(EXPERIMENT)
        if not beside.is_file():
            raise ExperimentError(
                f"{path}: its {EXPERIMENT} is not beside it; name it:"
                f" {command(*verb.split(), str(path), 'FILE')}"
            )
        experiment, where = load(beside), shown(beside)
        words = own_words(experiment.lineup)
        digest = digest_of(beside.read_bytes())
    if digest != origin.experiment:
        raise ExperimentError(f"{where}: is not the experiment that {path} was recorded with")
    return Schedule(experiment, where, tape, origin, (shown(path), *words), file=path)


def _counterexample(what: str, runs: Path, verb: str) -> Path | None:
    if file := find_file(what, runs):
        refuse_odd(file)
        if file.suffix == ".toml":
            raise ExperimentError(
                f"{file}: is an experiment; {verb} wants a counterexample file, or a token and"
                " then the experiment"
            )
        return file
    if not any(candidate.is_dir() for candidate in (Path(what), runs / what)):
        return None
    folder = find_run(what, runs)
    found = sorted(folder.glob("ce-*.json"))
    if not found:
        summary = summary_of(folder)
        verdict = f" (its verdict: {summary.verdict.value})" if summary else ""
        raise ExperimentError(f"{shown(folder)}: this run has no counterexample{verdict}")
    small = folder / f"{found[0].stem}.small.json"
    return small if verb == FOLLOW and small in found else found[0]


def _of_token(token: str, asked: Asked | None, verb: str) -> Schedule:
    try:
        tape = read_token(token, "token")
    except UnreadableError as error:
        if asked is None or "/" in token or "." in token:
            raise ExperimentError(f"{token}: no such counterexample file, run or token") from error
        raise ExperimentError(f"{error} (copy it whole, as run or explore said it)") from error
    if asked is None:
        raise ExperimentError(
            f"a token needs its experiment: {command(*verb.split(), token, 'FILE')}"
        )
    experiment = loaded(asked)
    origin = tape.known.origin if tape.known is not None else Origin()
    other = not digest_of(resolved(experiment)).startswith(origin.experiment)
    source = origin if origin.git else None
    return Schedule(experiment, str(asked.file), tape, source, (token, *asked.words()), other)


def replay_and_say(given: Schedule, voice: Voice, *, show: bool, why: bool = False) -> int:
    """Run it again, say what came out, and whether it is what was recorded; and why, if asked."""
    began = time.monotonic()
    for other in (elsewhere(given.origin, always=False), OTHER if given.other else ""):
        if other:
            voice.talk(f"{other}: it may come out differently")
    records: list[Record] = []
    found: RunResult | None = None
    setup = setup_of(given.experiment, given.where)
    try:
        found = replay(setup, given.tape, records.append)
        compare(given.origin, found)
        divergence = ""
    except DivergedError as error:
        divergence = str(error).removeprefix("diverged ")
    result = _result(given, found, divergence)
    if show:
        for record in records:
            if line := as_step(record):
                voice.answer(line)
    _say(given, result, voice)
    violated = found.violations[:1] if found is not None and not divergence else []
    reason: ExplanationResult | None = None
    if why and not violated:
        voice.talk("nothing is violated, so there is nothing to explain")
    if why and violated and given.tape.loop:
        voice.talk("a run that never ends has no guilty step: what it lacks is in no step of it")
    elif found is not None and why and violated:
        voice.talk("looking for the reason in the schedules around it ...")
        reason = explained(setup, found.tape, violated[0], records, FULL)
    result = structs.replace(
        result,
        counts={**result.counts, "records": len(records)},
        explanation=reason,
        seconds=round(time.monotonic() - began, 3),
    )
    voice.object(result)
    if violated and not show:
        voice.answer()
        for line in story(records, violated[0], marks(reason)):
            voice.row(line)
    if reason is not None:
        voice.answer()
        say_why(reason, voice)
    voice.answer()
    steps = () if show else ("--steps",)
    voice.keyed("steps" if steps else "again", command("replay", *given.words, *steps))
    return result.exit_code


def for_ever(tape: Tape) -> str:
    """What is said of a schedule whose last choices lead back to where they began."""
    around = tape.choices[len(tape.choices) - tape.loop :]
    steps = sum(isinstance(choice, Deliver | Fire) for choice in around)
    last = "the last step goes" if steps == 1 else f"the last {steps:,} steps go"
    return f"{last} round for ever, and everybody who can move does"


def compare(origin: Origin | None, found: RunResult) -> None:
    """What is violated must be what was violated."""
    now = found.violations[0].property if found.violations else ""
    if origin is not None and origin.property and origin.property != now:
        raise DivergedError(
            f"at the end: the recording violated {origin.property} at step {origin.step},"
            f" now {now or 'nothing'} is violated"
        )


def elsewhere(origin: Origin | None, *, always: bool) -> str:
    """The commit it was recorded with and this one; "" where they are the same, unless `always`."""
    if origin is None:
        return ""
    git, _ = git_state()
    same = git.startswith(origin.git) if origin.git else not git
    if same and not always:
        return ""
    changed = model_changes(origin.git)
    more = f" and {len(changed) - NAMED_MAX} more" if len(changed) > NAMED_MAX else ""
    files = f" ({', '.join(changed[:NAMED_MAX])}{more} changed)" if changed else ""
    return f"recorded with git {origin.git[:7] or '?'}, this is {git[:7] or '?'}{files}"


def _result(given: Schedule, found: RunResult | None, divergence: str) -> Result:
    experiment, tape = given.experiment, given.tape
    result = Result(
        verb="replay",
        experiment=given.where,
        title=experiment.title,
        revision=experiment.lineup.title,
        world="sim",
        seed=tape.seed,
        verdict=Status.DIVERGED,
        exit_code=int(Exit.DIVERGED),
        reasons=(divergence,),
        again=command("replay", *given.words),
    )
    if found is None:
        return result
    status, code = VERDICTS[found.verdict.word]
    reasons = reasons_of(found.verdict)
    if divergence:
        status, code = Status.DIVERGED, worst([Exit.DIVERGED])
        reasons = (divergence, *reasons)
    return structs.replace(
        result,
        verdict=status,
        exit_code=int(code),
        reasons=reasons,
        properties=property_results(found.verdict),
        witnesses=tuple(WitnessResult(name, int(bool(n))) for name, n in found.witnesses.items()),
        violations=tuple(map(violation_result, found.violations)),
        counts={"schedules": 1, "steps": found.steps},
    )


def _say(given: Schedule, result: Result, voice: Voice) -> None:
    steps = many(result.counts.get("steps", 0), "step")
    recorded = ", as recorded" if given.tape.choices else ""
    match result.verdict:
        case Status.VIOLATION:
            first = result.violations[0]
            voice.verdict("violation", f"{first.property}    {steps}{recorded}")
            voice.answer(f"  {first.message}")
            if given.tape.loop:
                voice.answer(f"  {for_ever(given.tape)}")
        case Status.DIVERGED:
            voice.verdict("diverged", result.reasons[0])
            for source in (elsewhere(given.origin, always=True), OTHER if given.other else ""):
                if source:
                    voice.answer(f"  {source}")
            voice.answer(f"  {CAUSES}")
        case Status.PASS:
            voice.verdict("pass", f"{steps}{recorded}")
        case _:
            voice.verdict("unknown", f"{steps}{recorded}; nothing was violated, but")
            for reason in result.reasons:
                voice.answer(f"  {reason}")
