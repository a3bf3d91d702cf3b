"""A stored history, read and judged; what is missing makes it unknown, not a pass."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import structs

from clusters.judge import Judge, Verdict
from experiments.harness.concluding import violation_result
from experiments.harness.config import Experiment, load
from experiments.harness.finding import find_history
from experiments.harness.histories import DoubtfulError, History
from experiments.harness.reading import refuse_odd, shown
from experiments.harness.result import Result, Status, WitnessResult
from experiments.harness.running import command
from experiments.harness.say import Voice, columns, many
from experiments.harness.setup import BROKEN, VERDICTS, properties_of, property_results, reasons_of
from experiments.harness.store import EXPERIMENT
from protocol.errors import ExperimentError, IncompleteError, nearest
from protocol.facts import RunStarted
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties import PROPERTIES
from protocol.properties.property import Kind, Property

SAID_MAX: Final = 20
"""Violations that are said; --json has more."""


def check(what: str, only: Sequence[str], runs: Path, voice: Voice) -> int:
    """Read the history that `what` names, judge it, say the verdict."""
    began = time.monotonic()
    chosen = _named(only)
    path = find_history(what, runs)
    refuse_odd(path)
    history = History(path)
    records = history.read()
    started = _first(records)
    if not chosen:
        chosen = _expected(path, started.machine, voice)
    judge = Judge(started.machine, chosen)
    history.only(judge.observed)
    gaps, doubtful = [], False
    try:
        for record in records:
            judge.observe(record)
    except IncompleteError as error:
        gaps.append(str(error))
        doubtful = isinstance(error, DoubtfulError)
    if history.last is not None:
        judge.ends_at(history.last, history.inputs)
    ended = history.ended
    verdict = judge.finish(quiet=bool(ended and ended.quiet and not gaps), gaps=gaps)
    if doubtful:
        verdict = _doubted(verdict)
    status, code = VERDICTS[verdict.word]
    seconds = time.monotonic() - began
    result = Result(
        verb="check",
        experiment=shown(path),
        title=started.experiment,
        revision=started.revision,
        world=started.world,
        seed=started.seed,
        verdict=status,
        exit_code=int(code),
        reasons=reasons_of(verdict),
        properties=property_results(verdict),
        witnesses=tuple(WitnessResult(name, int(bool(n))) for name, n in judge.witnesses.items()),
        violations=tuple(map(violation_result, judge.violations)),
        counts={"records": history.count},
        seconds=round(seconds, 3),
        again=_again(path),
    )
    voice.object(result)
    _say(result, voice)
    return int(code)


def _doubted(verdict: Verdict) -> Verdict:
    """What was found may come from what is missing: so it is not known."""
    statuses = tuple(
        structs.replace(one, word="unjudged", reason=f"perhaps only because of that: {one.reason}")
        if one.word in BROKEN
        else one
        for one in verdict.properties
    )
    return structs.replace(verdict, word="unknown", properties=statuses)


def _say(result: Result, voice: Voice) -> None:
    judged = [one for one in result.properties if one.kind != Kind.SOMETIMES.value]
    count = result.counts["records"]
    rate = count / max(result.seconds, 1e-3)
    voice.verdict(
        result.verdict.value,
        f"{many(len(judged), 'property')} over {many(count, 'record')} ({rate:,.0f}/s)",
    )
    if result.verdict is not Status.VIOLATION:
        for reason in result.reasons:
            voice.answer(f"  {reason}")
        return
    rows = [(one.property, one.message) for one in result.violations[:SAID_MAX]]
    for line in columns(rows):
        voice.answer(line)
    if len(result.violations) > SAID_MAX:
        voice.answer(f"  and {len(result.violations) - SAID_MAX:,} more (see --json)")
    replays = " replay " in result.again
    voice.keyed("replay" if replays else "again", result.again)


def _again(path: Path) -> str:
    """A replay shows more than another check, where there is a counterexample."""
    found = sorted(path.parent.glob("ce-*.json"))
    return command("replay", shown(found[0])) if found else command("check", shown(path))


def _first(records: Iterator[Record]) -> RunStarted:
    first = next(records).fact
    assert isinstance(first, RunStarted)  # `History` has seen to it.
    return first


def _named(only: Sequence[str]) -> tuple[type[Property], ...]:
    """Those that --only names, once each."""
    there = {found.name: found for found in PROPERTIES}
    for name in only:
        if name not in there:
            raise ExperimentError(
                f"--only {name}: no such property{nearest(name, there)}"
                " (see: pasidlab list properties)"
            )
    return tuple(there[name] for name in dict.fromkeys(only))


def _expected(path: Path, machine: Machine, voice: Voice) -> tuple[type[Property], ...]:
    """What the experiment beside it expects; else all but the witnesses."""
    beside = path.parent / EXPERIMENT
    if beside.is_file():
        return properties_of(load(beside), shown(beside))
    voice.talk(f"no {EXPERIMENT} beside it: judged by every *always* and *eventually*")
    return properties_of(Experiment(title="stored history"), str(beside), machine)
