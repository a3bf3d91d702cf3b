"""Exit codes and verdicts: which one wins, and what of them is stored."""

import msgspec
import pytest

from clusters.judge import Status as Judged
from clusters.judge import Verdict
from experiments.harness.result import (
    WORST_FIRST,
    Exit,
    PropertyResult,
    Result,
    Status,
    ViolationResult,
    worst,
)
from experiments.harness.say import COLOURS, columns, many, plain
from experiments.harness.setup import VERDICTS, property_results, reasons_of

RESULT = Result(
    verb="run",
    experiment="x.toml",
    title="x",
    revision="sound",
    world="sim",
    seed=7,
    verdict=Status.PASS,
    exit_code=0,
)


def test_exit_codes_are_stable() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "PASS": 0, "VIOLATION": 1, "USAGE": 2, "UNKNOWN": 3, "DIVERGED": 4, "CLUSTER": 5,
        "OUR_BUG": 70, "INTERRUPTED": 130,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("codes", "one"),
    [
        ([], Exit.PASS),
        ([Exit.PASS, Exit.UNKNOWN], Exit.UNKNOWN),
        ([Exit.UNKNOWN, Exit.CLUSTER, Exit.PASS], Exit.CLUSTER),
        ([Exit.CLUSTER, Exit.DIVERGED], Exit.DIVERGED),
        ([Exit.UNKNOWN, Exit.VIOLATION, Exit.DIVERGED], Exit.VIOLATION),
        ([Exit.VIOLATION, Exit.INTERRUPTED], Exit.VIOLATION),
        ([Exit.VIOLATION, Exit.OUR_BUG], Exit.OUR_BUG),
    ],
)
def test_a_violation_beats_all_but_our_own_bug(codes: list[Exit], one: Exit) -> None:
    assert worst(codes) is one
    assert worst(reversed(codes)) is one


def test_every_code_but_usage_has_its_place_in_the_order() -> None:
    assert set(WORST_FIRST) == set(Exit) - {Exit.USAGE}


def test_a_result_reads_back_as_itself() -> None:
    result = msgspec.structs.replace(
        RESULT,
        properties=(PropertyResult("a", "always", Status.HELD),),
        violations=(ViolationResult("a", "b", "core", 3, 4), ViolationResult("a", "b")),
    )
    assert msgspec.json.decode(msgspec.json.encode(result), type=Result) == result


def test_a_word_of_a_verdict_that_is_said_has_a_colour() -> None:
    assert {status.value for status in Status} - set(COLOURS) == {"could not run"}
    assert {status.value for status, _ in VERDICTS.values()} <= set(COLOURS)


def test_the_reasons_of_a_violation_are_what_was_violated() -> None:
    verdict = Verdict(
        "violation",
        properties=(
            Judged("a", "always", "violated", reason="it broke"),
            Judged("b", "eventually", "unjudged", reason="not a quiet end"),
        ),
    )
    assert reasons_of(verdict) == ("a: it broke",)


def test_reasons_that_are_the_same_are_said_together_and_gaps_come_first() -> None:
    verdict = Verdict(
        "unknown",
        properties=(
            Judged("a", "eventually", "unjudged", reason="not a quiet end"),
            Judged("b", "sometimes", "unseen", reason="it never happened"),
            Judged("c", "eventually", "unjudged", reason="not a quiet end"),
            Judged("d", "always", "held"),
        ),
        gaps=("line 5 is missing",),
    )
    assert reasons_of(verdict) == (
        "line 5 is missing", "a, c: not a quiet end", "b: it never happened",
    )  # fmt: skip
    assert [one.status for one in property_results(verdict)] == [
        Status.UNKNOWN, Status.UNKNOWN, Status.UNKNOWN, Status.HELD,
    ]  # fmt: skip


def test_numbers_are_said_with_their_things() -> None:
    assert [many(n, "schedule") for n in (0, 1, 2_000)] == [
        "0 schedules", "1 schedule", "2,000 schedules",
    ]  # fmt: skip
    assert [many(n, "property") for n in (1, 2)] == ["1 property", "2 properties"]


def test_columns_are_aligned_and_the_last_is_not_padded() -> None:
    assert columns([]) == []
    assert columns([("a", "b", "c"), ("aa", "bb", "")]) == ["  a   b   c", "  aa  bb  "]


def test_text_from_outside_is_made_visible() -> None:
    assert plain("a\x1b[2Jb\r\x9b\udcff\tc\n") == "a\\x1b[2Jb\\x0d\\x9b\\udcff\tc\n"
