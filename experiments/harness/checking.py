"""A stored history, read line by line and judged; what is missing makes it unknown, not a pass."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from clusters.judge import Judge
from experiments.harness.config import Experiment, load
from experiments.harness.say import Voice, columns
from experiments.harness.script import nearest
from experiments.harness.setup import VERDICTS, properties_of, property_results
from experiments.harness.store import find_run
from protocol.errors import ExperimentError, IncompleteError, UnreadableError
from protocol.facts import RunEnded, RunStarted
from protocol.history import HISTORY_FORMAT, Record, decode_record
from protocol.properties import PROPERTIES
from protocol.properties.property import Kind, Property

LINE_BYTES_MAX: Final = 1 << 20


def check(what: str, only: Sequence[str], runs: Path, voice: Voice) -> int:
    """Read the history that `what` names, judge it, say the verdict."""
    began = time.monotonic()
    path = _history_of(what, runs)
    lines = _lines(path)
    started = _first(lines, path)
    chosen = _chosen(only, path)
    judge = Judge(started.machine, chosen)
    count, ended, gaps = 1, None, []
    try:
        for record in lines:
            count += 1
            judge.observe(record)
            if isinstance(record.fact, RunEnded):
                ended = record.fact
    except IncompleteError as error:
        gaps.append(str(error))
    if ended is None and not gaps:
        gaps.append(f"{path}: the history does not end: no run.ended record")
    verdict = judge.finish(quiet=bool(ended and ended.quiet and not gaps), gaps=gaps)
    status, code = VERDICTS[verdict.word]
    voice.object(
        {
            "verdict": status.value,
            "exit_code": int(code),
            "records": count,
            "reasons": verdict.reasons,
            "properties": property_results(verdict),
            "violations": [
                {"property": v.property, "message": v.sentence, "at": v.record and v.record.stamp}
                for v in judge.violations
            ],
        }
    )  # fmt: skip
    judged = [kind for kind in chosen if kind.kind is not Kind.SOMETIMES]
    rate = count / max(time.monotonic() - began, 1e-9)
    voice.verdict(status.value, f"{len(judged)} properties over {count:,} records ({rate:,.0f}/s)")
    rows = [(v.property, v.sentence) for v in judge.violations[:20]]
    reasons = [] if rows else [f"  {reason}" for reason in verdict.reasons]
    for line in [*columns(rows), *reasons]:
        voice.answer(line)
    return int(code)


def _history_of(what: str, runs: Path) -> Path:
    direct = Path(what)
    if direct.is_file():
        return direct
    path = find_run(what, runs) / "history.jsonl"
    if not path.exists():
        raise ExperimentError(
            f"{path.parent}: this run kept no history (nothing was violated in it)"
        )
    return path


def _lines(path: Path) -> Iterator[Record]:
    """The records; a last line that is cut off is an incomplete history, a wrong one is refused."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES_MAX):
            number += 1
            where = f"{path} line {number}"
            if not line.endswith(b"\n"):
                if len(line) >= LINE_BYTES_MAX:
                    raise UnreadableError(f"{where}: longer than {LINE_BYTES_MAX} bytes")
                raise IncompleteError(
                    f"{where}: cut off after {len(line)} bytes; all before is judged"
                )
            yield decode_record(line, where)


def _first(lines: Iterator[Record], path: Path) -> RunStarted:
    first = next(lines, None)
    if first is None or not isinstance(first.fact, RunStarted):
        raise UnreadableError(f"{path} line 1: a history begins with run.started")
    if first.fact.format != HISTORY_FORMAT:
        raise UnreadableError(
            f"{path} line 1: history format {first.fact.format}, this reads {HISTORY_FORMAT}"
        )
    return first.fact


def _chosen(only: Sequence[str], path: Path) -> tuple[type[Property], ...]:
    """Those named; else what the experiment beside it expects; else all but the witnesses."""
    if only:
        there = {found.name: found for found in PROPERTIES}
        for name in only:
            if name not in there:
                raise ExperimentError(
                    f"--only {name}: no such property{nearest(name, there)}"
                    " (see: pasidlab list properties)"
                )
        return tuple(there[name] for name in only)
    beside = path.parent / "experiment.toml"
    experiment = load(beside) if beside.is_file() else Experiment(title="stored history")
    return properties_of(experiment, str(beside))
