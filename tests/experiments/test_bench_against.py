"""`bench --against` compares ratios, and reads only what `bench --json` printed."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from experiments.harness.bench_against import Bench, Comparison, compare, read_bench
from experiments.harness.measuring import Figure
from tests.experiments.command import Command

NAME = "check, one property"


def figure(name: str, unit: str, ratio: float, noise: float = 0.15) -> Figure:
    return Figure(name, unit, ratio * 1_000, 1_000, ratio, noise)


def bench(*figures: Figure, quick: bool = False) -> Bench:
    return Bench(verb="bench", python="3.11.9", cores=2, quick=quick, figures=figures)


def compared(then: Bench, now: Bench, *asked: str) -> Comparison:
    return compare(Path("old.json"), then, now, asked)


@pytest.mark.parametrize(
    ("unit", "noise", "then", "now", "word"),
    [
        ("states/s", 0.15, 0.5, 0.5, ""),
        ("states/s", 0.15, 0.5, 0.43, ""),
        ("states/s", 0.15, 0.5, 0.42, "worse"),
        ("states/s", 0.15, 0.5, 0.57, ""),
        ("states/s", 0.15, 0.5, 0.6, "better"),
        ("s", 0.15, 0.5, 0.57, ""),
        ("s", 0.15, 0.5, 0.6, "worse"),
        ("s", 0.15, 0.5, 0.42, "better"),
        ("MB", 0.05, 0.5, 0.53, "worse"),
        ("schedules", 0.0, 1.0, 1.0, ""),
        ("schedules", 0.0, 1.0, 1.001, "worse"),
        ("schedules", 0.0, 1.0, 0.999, "better"),
    ],
)
def test_worse_is_by_more_than_the_noise(
    unit: str, noise: float, then: float, now: float, word: str
) -> None:
    said = compared(bench(figure("a", unit, then, noise)), bench(figure("a", unit, now, noise)))
    [pair] = said.pairs
    assert (pair.then, pair.now, pair.word) == (then, now, word)
    assert pair.change == pytest.approx(now / then)
    assert said.worse == (word == "worse")


def test_the_larger_noise_of_the_two_counts() -> None:
    quiet, loud = figure("a", "/s", 1.0, 0.05), figure("a", "/s", 0.8, 0.3)
    assert compared(bench(quiet), bench(loud)).pairs[0].word == ""
    assert compared(bench(loud), bench(quiet)).pairs[0].word == ""


def test_what_is_only_in_one_is_told() -> None:
    then = bench(figure("a", "/s", 1.0), figure("old", "/s", 1.0), figure("c", "/s", 1.0))
    now = bench(figure("new", "/s", 1.0), figure("a", "/s", 1.0), figure("c", "s", 1.0))
    said = compared(then, now)
    assert [pair.name for pair in said.pairs] == ["a"]
    assert (said.gone, said.new) == (("old", "c"), ("new", "c"))


def test_what_was_not_asked_for_is_not_missed() -> None:
    then = bench(figure("one a", "/s", 1.0), figure("one b", "/s", 1.0), figure("two", "/s", 1.0))
    assert compared(then, bench(figure("one a", "/s", 1.0)), "ONE").gone == ("one b",)


def test_quick_beside_whole_is_said_and_not_judged() -> None:
    slow, fast = bench(figure("a", "/s", 1.0), quick=True), bench(figure("a", "/s", 9.0))
    said = compared(slow, fast)
    assert said.remarks == ("only the file is of --quick: what is better or worse cannot be told",)
    assert said.pairs[0].word == ""
    assert compared(fast, slow).remarks == (
        "only this is of --quick: what is better or worse cannot be told",
    )
    assert compared(slow, slow).remarks == ("both are of --quick: the figures say little",)
    assert compared(fast, fast).remarks == ()


def test_another_python_and_other_cores_are_said() -> None:
    said = compared(replace(bench(), python="3.12.1", cores=8, interrupted=True), bench())
    assert said.remarks == (
        "the file is of Python 3.12.1, this is 3.11.9",
        "the file is of 8 cores, here are 2",
        "the file is of a bench that was interrupted",
    )


# --- The command ----------------------------------------------------------------------------------


def test_its_own_output_is_read_again(pasidlab: Command, here: Path) -> None:
    printed = pasidlab("bench", "--quick", "--json", "check").out
    (here / "old.json").write_text(printed)
    ran = pasidlab("bench", "--quick", "check", "--against", "old.json")
    lines = ran.out.splitlines()
    assert (ran.code, ran.err) == (0, "")
    start = lines.index("ratios against old.json")
    assert lines[start + 1].split() == ["then", "now", "now/then"]
    assert [line[:35].rstrip() for line in lines[start + 2 : start + 4]] == [
        "check, all properties",
        NAME,
    ]
    assert lines[start + 4] == "  both are of --quick: the figures say little"
    assert lines[start + 5].endswith(" of 2 figures got worse by more than their noise")
    assert max(map(len, lines)) <= 80
    again = pasidlab("bench", "--quick", "check", "--against", "old.json", "--json").object
    assert [pair["name"] for pair in again["against"]["pairs"]] == ["check, all properties", NAME]
    (here / "new.json").write_text(json.dumps(again))
    assert read_bench(here / "new.json").against is None


def test_what_got_worse_is_marked_in_the_table(pasidlab: Command, here: Path) -> None:
    table = pasidlab("bench", "--quick", "--json", NAME).object
    table["figures"][0]["ratio"] *= 1_000
    table["figures"].append({**table["figures"][0], "name": "gone"})
    (here / "old.json").write_text(json.dumps(table))
    out = pasidlab("bench", "--quick", NAME, "1,000 allocations", "--against", "old.json").out
    assert "worse (>15%)" in next(line for line in out.splitlines()[4:] if line.startswith(NAME))
    assert f"{'1,000 allocations':<35} only here\n" in out
    assert "  1 of 1 figure got worse by more than their noise\n" in out
    (here / "old.json").write_text(json.dumps({**table, "figures": table["figures"][1:]}))
    out = pasidlab("bench", "--quick", NAME, "--against", "old.json").out
    assert f"{NAME:<35} only here\n" in out
    assert "0 of 0 figures" in out


def test_an_output_of_before_there_was_noise_is_read(here: Path) -> None:
    old = {"verb": "bench", "python": "3.11.9", "cores": 2, "quick": False, "figures": [
        {"name": NAME, "unit": "records/s", "figure": 5, "reference": 10.0, "ratio": 0.5},
    ]}  # fmt: skip
    (here / "old.json").write_text(json.dumps(old))
    assert read_bench(here / "old.json").figures == (Figure(NAME, "records/s", 5, 10.0, 0.5),)


GOOD = {"verb": "bench", "python": "3", "cores": 2, "quick": False}
ONE = {"name": "a", "unit": "s", "figure": 1, "reference": 1, "ratio": 1}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "not JSON: "),
        ("\xff", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("[]", "$.verb: wants 'bench'; "),
        ('{"verb": "explore"}', "$.verb: wants 'bench'; "),
        ('{"verb": "bench", "format": 2}', "$.format: this version reads 1; "),
        ('{"verb": "bench"}', "$: the key 'python' is missing; "),
        (json.dumps({**GOOD, "figures": 7}), "$.figures: wants a list, not 7; "),
        (json.dumps({**GOOD, "figures": [{}]}), "$.figures[0]: the key 'name' is missing; "),
        (
            json.dumps({**GOOD, "figures": [ONE, {**ONE, "name": "b", "ratio": "x"}]}),
            "$.figures[1].ratio: wants a number, not 'x'; ",
        ),
        (
            json.dumps({**GOOD, "figures": [{**ONE, "ratio": 0}]}),
            "$.figures[0].ratio: wants a number >= 1e-12, not 0; ",
        ),
        (
            json.dumps({**GOOD, "figures": [{**ONE, "ratio": 1e300}]}),
            "$.figures[0].ratio: wants a number <= 1000000000000.0, not 1e+300; ",
        ),
        (json.dumps({**GOOD, "figures": [ONE, ONE]}), "$.figures[1].name: 'a' is there twice; "),
        (
            json.dumps({**GOOD, "figures": [{**ONE, "noise": 1}]}),
            "$.figures[0].noise: wants a number < 1.0, not 1; ",
        ),
    ],
)
def test_err_what_is_no_bench_is_refused_before_anything_is_measured(
    pasidlab: Command, here: Path, text: str, rule: str
) -> None:
    (here / "old.json").write_bytes(text.encode("latin-1"))
    ran = pasidlab("bench", "--against", "old.json")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"old.json: {rule}")
    assert ran.err.endswith("; this is not what 'pasidlab bench --json' prints  (exit 2)\n")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(("name", "what"), [("nope.json", "no such file"), (".", "is a folder")])
def test_err_a_file_that_is_none_is_refused(pasidlab: Command, name: str, what: str) -> None:
    ran = pasidlab("bench", "--against", name)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"{name}: {what}")


def test_err_a_file_that_is_too_large_is_not_read(pasidlab: Command, here: Path) -> None:
    (here / "old.json").write_bytes(b" " * ((1 << 20) + 1))
    assert "larger than 1048576 bytes" in pasidlab("bench", "--against", "old.json").err
