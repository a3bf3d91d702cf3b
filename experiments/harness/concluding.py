"""The end of `run` and `explore`: write the run's files, say the verdict, give the exit code."""

import shlex
from typing import TYPE_CHECKING, Final

from msgspec import structs

from clusters.judge import Violation
from clusters.sim.search import SEARCHES
from clusters.sim.strategies import campaign_title, title
from clusters.sim.tape import Origin
from experiments.harness.errors import UnwritableError
from experiments.harness.interruption import shielded
from experiments.harness.own import own_words
from experiments.harness.result import (
    Counterexample,
    Exit,
    Result,
    Status,
    ViolationResult,
    WitnessResult,
    worst,
)
from experiments.harness.running import Case, Failing, Outcome, command
from experiments.harness.say import Voice, columns, complain, many
from experiments.harness.search_saying import resume_words, say_bounds, say_search, size_of
from experiments.harness.setup import VERDICTS, property_results, reasons_of
from experiments.harness.store import CHECKPOINT, HISTORY, git_state
from experiments.harness.story import story
from protocol.facts import RunEnded
from protocol.history import Record, encode_record
from protocol.properties.property import Kind

if TYPE_CHECKING:
    from experiments.harness.aftermath import Aftermath
    from experiments.harness.shrinking import Small

CAUSES: Final = (
    "usual causes: the code changed, a set decided an order,"
    " a clock or chance was read below clusters"
)
ALSO_MAX: Final = 4
"""Further violations of one schedule that are said; how many more there are is said, too."""
SHARE_MIN: Final = 0.01
"""A witness that was seen less often than that is not said in per cent."""
SMALL_NAME: Final = "ce-1.small"
"""The first counterexample, made small."""


def conclude(case: Case, outcome: Outcome, voice: Voice, after: "Aftermath | None" = None) -> int:
    """Write, say, and give the exit code: what was found, also if it cannot be written."""
    lost: UnwritableError | None = None
    with shielded():
        examples = tuple(_example(case, k, one) for k, one in enumerate(outcome.failings, start=1))
        if after is not None and after.small is not None:
            examples = (*examples, _small_example(case, after.small))
        why = after.why if after is not None else None
        result = structs.replace(_result(case, outcome, examples), explanation=why)
        try:
            _write(case, outcome, result, after)
        except UnwritableError as error:
            lost = error
            result = _unwritten(case, result, error)
        voice.object(result)
        _say(case, outcome, result, voice, after)
    if lost is not None:
        complain(f"{lost}  (exit {result.exit_code})")
    return result.exit_code


def _unwritten(case: Case, result: Result, error: UnwritableError) -> Result:
    """The same without its files: a token is enough to see a violation again."""
    return structs.replace(
        result,
        exit_code=result.exit_code or int(Exit.USAGE),
        reasons=(*result.reasons, str(error)),
        counterexamples=tuple(
            structs.replace(one, file="", replay=command("replay", one.token, *case.asked.words()))
            for one in result.counterexamples
            if one.token
        ),
        folder="",
    )


def _word(outcome: Outcome) -> tuple[Status, Exit]:
    """A violation stays one whatever broke afterwards; an interrupted run is no verdict."""
    status, code = VERDICTS[outcome.verdict.word]
    if status is Status.PASS and outcome.searched is not None:
        status = Status.PROVED
    if outcome.broken:
        code = worst([code, Exit.CLUSTER])
        return (status if status is Status.VIOLATION else Status.CLUSTER), code
    if outcome.divergence:
        code = worst([code, Exit.DIVERGED])
        return (status if status is Status.VIOLATION else Status.DIVERGED), code
    if outcome.interrupted and status is not Status.VIOLATION:
        return Status.INTERRUPTED, Exit.INTERRUPTED
    return status, code


def _result(case: Case, outcome: Outcome, examples: tuple[Counterexample, ...]) -> Result:
    status, code = _word(outcome)
    broken = tuple(filter(None, (outcome.broken, outcome.divergence)))
    count = outcome.count
    found = outcome.failings[0].result.violations if outcome.failings else ()
    again = outcome.again
    if outcome.searched is not None:
        words = resume_words(outcome.searched, str(case.run.final))
        again = shlex.join((*shlex.split(again), *words))
    return Result(
        verb=outcome.verb,
        experiment=str(case.asked.file),
        title=case.experiment.title,
        revision=case.experiment.lineup.title,
        world="sim",
        seed=case.seed,
        verdict=status,
        exit_code=int(code),
        reasons=(*broken, *outcome.reasons, *reasons_of(outcome.verdict)),
        properties=property_results(outcome.verdict),
        witnesses=tuple(WitnessResult(name, n) for name, n in count.witnesses.items()),
        violations=tuple(map(violation_result, found)),
        counterexamples=examples,
        counts={**_counts(outcome), "records": len(outcome.history)},
        strategies=count.strategies,
        proof=outcome.proof,
        seconds=round(outcome.seconds, 3),
        folder=str(case.run.final),
        again=_smallest(examples).replay if examples else again,
    )


def _smallest(examples: tuple[Counterexample, ...]) -> Counterexample:
    """The one that was made small, else the first."""
    return next((one for one in examples if one.tries), examples[0])


def _counts(outcome: Outcome) -> dict[str, int]:
    searched, count = outcome.searched, outcome.count
    if searched is None:
        return {
            "schedules": count.schedules,
            "steps": count.steps,
            "violating": count.violating,
        }
    return {
        "states": searched.states,
        "moves": searched.moves,
        "depth": searched.depth,
        "ends": searched.ends,
    }


def violation_result(violation: Violation) -> ViolationResult:
    """What a property said, and where."""
    stamp = violation.record.stamp
    return ViolationResult(
        violation.property, violation.sentence, actor=stamp.actor, n=stamp.n, step=stamp.step
    )


def _example(case: Case, k: int, failing: Failing) -> Counterexample:
    tape, violation = failing.result.tape, failing.result.violations[0]
    path = case.run.final / f"ce-{k}.json"
    token = ""
    if tape.strategy not in SEARCHES:  # A search has no seed that makes its path again.
        token = tape.token(Origin(git_state()[0], case.digest))
    return Counterexample(
        property=violation.property,
        message=violation.sentence,
        schedule=failing.index + 1,
        seed=tape.seed,
        steps=failing.result.steps,
        file=str(path),
        replay=command("replay", str(path), *own_words(case.experiment.lineup)),
        token=token,
        strategy=title(tape.strategy),
    )


def _small_example(case: Case, small: "Small") -> Counterexample:
    from experiments.harness.shrinking import small_example

    path = case.run.final / f"{SMALL_NAME}.json"
    return small_example(
        small, path, command("replay", str(path), *own_words(case.experiment.lineup))
    )


def _write(case: Case, outcome: Outcome, result: Result, after: "Aftermath | None") -> None:
    git, _ = git_state()
    if after is not None and after.small is not None:
        from experiments.harness.shrinking import write_small

        write_small(after.small, SMALL_NAME, case.run.write)
    if outcome.searched is not None and outcome.searched.checkpoint:
        case.run.write(CHECKPOINT, outcome.searched.checkpoint)
    for k, failing in enumerate(outcome.failings, start=1):
        violation = failing.result.violations[0]
        step = violation.record.stamp.step
        origin = Origin(git, case.digest, violation.property, step)
        case.run.write(f"ce-{k}.json", failing.result.tape.to_json(origin))
    if outcome.history:
        case.run.write(HISTORY, encoded(outcome.history))
    case.run.finish(result)


def encoded(records: tuple[Record, ...]) -> bytes:
    """A history as its file holds it: its last record says how many there are."""
    return b"".join(encode_record(_counted(record, len(records))) + b"\n" for record in records)


def _counted(record: Record, count: int) -> Record:
    fact = record.fact
    if isinstance(fact, RunEnded):
        return Record(record.stamp, structs.replace(fact, records=count))
    return record


# --- What is said ---------------------------------------------------------------------------------


def _say(
    case: Case, outcome: Outcome, result: Result, voice: Voice, after: "Aftermath | None"
) -> None:
    revision, strategy = case.experiment.lineup.title, _strategy(case, outcome)
    voice.answer(f"{case.name}  revision {revision}  strategy {strategy}  seed {case.seed:#x}  sim")
    count = outcome.count
    size = (
        f"{many(count.schedules, 'schedule')}"
        f" ({many(count.steps, 'step')}, {outcome.seconds:.1f} s)"
    )
    searched = outcome.searched
    match result.verdict:
        case Status.VIOLATION:
            _say_violation(outcome, result, voice, after)
        case _ if searched is not None and not outcome.divergence:
            say_search(outcome, searched, result, voice)
        case Status.PASS:
            judged = [p for p in result.properties if p.kind != Kind.SOMETIMES.value]
            twice = f"; determinism checked on {outcome.deterministic}"
            checked = twice if outcome.deterministic else ""
            held = many(len(judged), "property")
            voice.verdict("pass", f"{held} held in {size}{checked}")
        case Status.INTERRUPTED:
            of = f" of {outcome.asked:,}" if outcome.asked else ""
            done = f"{size}{of}" if outcome.verb == "explore" else many(count.steps, "step")
            voice.verdict("interrupted", f"after {done}; nothing was violated")
        case Status.DIVERGED:
            voice.verdict("diverged", f"after {size}; nothing was violated, but")
            voice.answer(f"  {outcome.divergence}")
            voice.answer(f"  {CAUSES}")
        case Status.CLUSTER:
            voice.verdict("cluster failed", f"after {size}; nothing was violated, but")
            voice.answer(f"  {outcome.broken}")
        case _:
            voice.verdict("unknown", f"nothing was violated in {size}, but")
            for reason in result.reasons:
                voice.answer(f"  {reason}")
    if outcome.divergence and result.verdict is not Status.DIVERGED:
        voice.answer(f"diverged, too: {outcome.divergence}")
        voice.answer()
    for one in outcome.verdict.properties:
        for owed in one.owed if one.word == "met" else ():
            voice.keyed("excused", f"{one.name}: {owed}")
    if outcome.broken and result.verdict is not Status.CLUSTER:
        voice.answer(f"the search ended early: {outcome.broken}")
        voice.answer()
    _say_witnesses(result, 1 if searched is not None else count.schedules, voice)
    if len(result.strategies) > 1:
        shares = [f"{name} {number:,}" for name, number in result.strategies.items()]
        voice.keyed("tried", ", ".join(shares))
    if result.proof and searched is None:
        voice.keyed("complete", result.proof)
    if result.folder:
        voice.keyed("result", f"{result.folder}/result.json")
    _say_again(case, result, voice)


def _strategy(case: Case, outcome: Outcome) -> str:
    """What made the schedules."""
    explore = case.experiment.explore
    if outcome.verb == "explore":
        return campaign_title(explore.strategy, explore.depth)
    return title(case.order.strategy)


def _say_violation(
    outcome: Outcome, result: Result, voice: Voice, after: "Aftermath | None"
) -> None:
    failing = outcome.failings[0]
    found = [one for one in result.counterexamples if not one.tries]
    example = found[0]
    where = f"at step {example.steps:,}"
    if outcome.searched is not None:
        where += f"    {size_of(outcome.searched, outcome.seconds)}"
    elif outcome.verb == "explore":
        of = f" of {outcome.asked:,}" if outcome.asked else ""
        where = f"schedule {example.schedule:,}{of}    {outcome.seconds:.1f} s"
        where += f"    by {example.strategy}"
    voice.verdict("violation", f"{example.property}    {where}")
    voice.answer(f"  {example.message}")
    if failing.result.tape.loop:
        from experiments.harness.replaying import for_ever

        voice.answer(f"  {for_ever(failing.result.tape)}")
    more = failing.result.violations[1:]
    for one in more[:ALSO_MAX]:
        voice.answer(f"  also {one.property}: {one.sentence}")
    if len(more) > ALSO_MAX:
        voice.answer(f"  and {len(more) - ALSO_MAX:,} more")
    voice.answer()
    if after is not None:
        from experiments.harness.aftermath import say_aftermath

        say_aftermath(after, failing, voice)
    else:
        for line in story(failing.records, failing.result.violations[0]):
            voice.row(line)
        voice.answer()
    if outcome.searched is not None:
        say_bounds(outcome.searched, voice)
    for other in found[1:]:
        voice.answer(f"also {other.property}    schedule {other.schedule:,}")
        voice.answer(f"  {other.message}")
    violating = outcome.count.violating
    if outcome.verb == "explore" and outcome.searched is None and outcome.count.schedules > 1:
        voice.answer(f"{violating:,} of {many(outcome.count.schedules, 'schedule')} violated")


def _say_witnesses(result: Result, schedules: int, voice: Voice) -> None:
    if not result.witnesses:
        return
    voice.answer("witnesses")
    rows = [(one.name, _share(one.schedules, schedules)) for one in result.witnesses]
    for line in columns(rows):
        voice.answer(line)


def _share(seen: int, schedules: int) -> str:
    if not seen:
        return "never"
    if schedules <= 1:  # Of one run, or of a search: it has no schedules.
        return "seen"
    share = seen / schedules
    return f"{100 * share:.0f}%" if share >= SHARE_MIN else f"{seen:,} times"


def _say_again(case: Case, result: Result, voice: Voice) -> None:
    """The last line is a command that shows it again."""
    small = [one for one in result.counterexamples if one.tries]
    found = [one for one in result.counterexamples if not one.tries]
    for example in found[1:]:
        voice.keyed("replay", example.replay)
    for example in found[:1]:
        if result.folder and example.token:
            voice.keyed("token", command("replay", example.token, *case.asked.words()))
        voice.keyed("as found" if small else "replay", example.replay)
    for example in small:
        voice.keyed("replay", example.replay)
    if result.counterexamples:
        return
    unseen = any(not one.schedules for one in result.witnesses)
    if unseen and result.verdict is Status.UNKNOWN and result.verb == "run":
        voice.keyed("try", command("explore", *case.asked.words()))
    voice.keyed("again", result.again)
