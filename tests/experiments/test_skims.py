"""A line whose fact nobody observes is checked as closely as one that is read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from msgspec import DecodeError, structs

from clusters.judge import Judge, Verdict
from clusters.sim.world import simulate
from experiments.harness.benching import EXPERIMENTS
from experiments.harness.config import load
from experiments.harness.histories import History
from experiments.harness.setup import setup_of
from protocol.errors import UnreadableError
from protocol.facts import RunEnded, RunStarted
from protocol.history import TAG_AT, Record, Skims, Stamp, decode_record, encode_record
from protocol.properties import PROPERTIES, property_named
from tests.defects.planted import PLANTED

WRONG: tuple[object, ...] = (None, "x", "", 1, -1, 1.5, True, [], ["x"], [1], {}, {"x": "y"})


@cache
def lines() -> dict[str, bytes]:
    """One line of each type of fact that some experiment states, made without a default."""
    found: dict[str, bytes] = {}

    def keep(record: Record) -> None:
        stamp = structs.replace(record.stamp, epoch=1, cause="core", cause_n=1, clock={"core": 1})
        found.setdefault(type(record.fact).__name__, encode_record(Record(stamp, record.fact)))

    for path in sorted(EXPERIMENTS.glob("*.toml")):
        for seed in range(5):
            simulate(setup_of(load(path), path.stem), seed, history=keep)
    for one in PLANTED:
        simulate(one.stage.setup(), 1, history=keep)
    return found


def dumps(whole: dict[str, object]) -> bytes:
    return json.dumps(whole, separators=(",", ":")).encode()


def changed(line: bytes) -> Iterator[bytes]:
    """The line with something of it missing, added, or of another type."""
    whole: dict[str, object] = json.loads(line)
    yield line
    yield line[:-1]
    yield line + b" more"
    yield dumps({**whole, "unknown": [{}]})
    for key in whole:
        yield dumps({one: value for one, value in whole.items() if one != key})
        for value in WRONG:
            yield dumps({**whole, key: value})
    for value in WRONG:
        yield dumps({**whole, "clock": {"core": value}})
        if "detail" in whole:
            yield dumps({**whole, "detail": {"call": value}})


def judged(path: Path, number: int, *, skim: bool) -> tuple[Verdict, list[str], int]:
    """By two properties, one of which is the one of that number."""
    history = History(path)
    records = history.read()
    started = next(records).fact
    assert isinstance(started, RunStarted)
    judge = Judge(started.machine, (PROPERTIES[number], property_named("operations-end")))
    if skim:
        history.only(judge.observed)
    for record in records:
        judge.observe(record)
    if history.last is not None:
        judge.ends_at(history.last, history.inputs)
    said = [f"{one.sentence} {one.record.stamp}" for one in judge.violations]
    return judge.finish(quiet=True), said, history.count


def beginning(line: bytes) -> bytes:
    return line[: line.find(b'"', TAG_AT)]


def read(line: bytes) -> Stamp | None:
    try:
        return decode_record(line).stamp
    except UnreadableError:
        return None


@pytest.mark.long
def test_a_line_is_skimmed_exactly_if_it_could_be_read() -> None:
    skims = Skims(())
    refused = accepted = 0
    for name, line in lines().items():
        skim = skims[beginning(line)]
        if skim is None:
            assert name in ("RunStarted", "RunEnded")
            continue
        fact, stamped = skim
        assert fact.__name__ == name
        for one in changed(line):
            if skims[beginning(one)] is not skim:
                continue
            try:
                stamp = stamped(one)
            except DecodeError:
                assert read(one) is None, one
                refused += 1
                continue
            known = read(one)
            assert known is not None, one
            for each in Stamp.__struct_fields__:
                assert getattr(stamp, each) == getattr(known, each)
            accepted += 1
    assert len(lines()) > 60
    assert refused > accepted > 1000


def test_what_is_observed_and_what_is_no_fact_is_read() -> None:
    skims = Skims((RunStarted, RunEnded))
    for tag in (b"run.started", b"run.ended", b"no.fact"):
        assert skims[b'{"event":"' + tag] is None
    assert len(skims) == 2, "what a file names is not kept"
    assert skims[beginning(b'{"other":"message.sent","actor":"core"}')] is None


@pytest.mark.parametrize("number", range(len(PROPERTIES)))
def test_a_skimmed_history_is_judged_as_one_that_is_read(number: int, tmp_path: Path) -> None:
    """Planted defects, with steps and without (live)."""
    one = PLANTED[number % len(PLANTED)]
    path = tmp_path / "history.jsonl"
    for stepless in (False, True):
        with path.open("wb") as file:

            def keep(record: Record, stepless: bool = stepless) -> None:
                stamp = structs.replace(record.stamp, step=0) if stepless else record.stamp
                file.write(encode_record(Record(stamp, record.fact)) + b"\n")

            setup = replace(one.stage.setup(), classes=one.classes, stop_at_first=False)
            simulate(setup, number, history=keep)
        assert judged(path, number, skim=True) == judged(path, number, skim=False)
