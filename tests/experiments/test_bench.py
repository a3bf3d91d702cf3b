"""`bench` measures everything and says it in one form.  How fast anything is, no test asks."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from clusters.live.redis_server import why_none
from experiments.harness import benching
from experiments.harness.bench_bugs import Hunt
from experiments.harness.measuring import (
    QUICK,
    WHOLE,
    Amounts,
    Effort,
    Measurement,
    Yardstick,
)
from tests.experiments.command import Command

FIGURES: Final = {
    "free_before_unbind, no properties": "deliveries/s",
    "free_before_unbind, all properties": "deliveries/s",
    "free_before_unbind, and its history": "deliveries/s",
    "normal_life, no properties": "deliveries/s",
    "normal_life, all properties": "deliveries/s",
    "normal_life, and its history": "deliveries/s",
    "model B (27 messages)": "schedules/s",
    "model C by random: schedules": "schedules",
    "model C by random: time": "s",
    "model C by pct: schedules": "schedules",
    "model C by pct: time": "s",
    "model C by pos: schedules": "schedules",
    "model C by pos: time": "s",
    "model C by delay-bounded: schedules": "schedules",
    "model C by delay-bounded: time": "s",
    "model C by portfolio: schedules": "schedules",
    "model C by portfolio: time": "s",
    "two-phase commit, N=3": "states/s",
    "two-phase commit, N=5, symmetric": "states/s",
    "own actors, one guest lost": "states/s",
    "shrink model C in 5 tries": "s",
    "check, all properties": "records/s",
    "check, one property": "records/s",
    "journal, process": "appends/s",
    "journal, power": "appends/s",
    **({} if why_none() else {"journal, Redis": "appends/s"}),
    "recovery, 300 inputs": "s",
    "recovery, from a snapshot": "s",
    "run, cold start to verdict": "s",
    "1,000 allocations": "/s",
    "1,000 live PASIDs": "MB",
}
NOTED: Final = [name for name, unit in FIGURES.items() if unit in ("schedules", "states/s")]
ROOT: Final = Path(__file__).resolve().parents[2]


@pytest.mark.long
def test_every_figure_has_a_reference_and_their_ratio(pasidlab: Command) -> None:
    ran = pasidlab("bench", "--quick", "--json")
    said = ran.object
    assert (ran.code, said["verb"], said["quick"], ran.err) == (0, "bench", True, "")
    assert (said["interrupted"], said["against"]) == (False, None)
    assert {one["name"]: one["unit"] for one in said["figures"]} == FIGURES
    for one in said["figures"]:
        assert one["figure"] > 0
        assert one["reference"] > 0
        assert one["ratio"] == pytest.approx(one["figure"] / one["reference"])
        assert 0 <= one["noise"] < 1
    assert [one["name"] for one in said["figures"] if one["note"]] == NOTED


@pytest.mark.long
def test_people_get_a_table_of_80_columns(pasidlab: Command) -> None:
    head, *lines = pasidlab("bench", "--quick").out.splitlines()
    assert head.split() == ["figure", "reference", "ratio"]
    rows = [line for line in lines if not line.startswith("  ")]
    for row, (name, unit) in zip(rows, FIGURES.items(), strict=True):
        assert row.startswith(name)
        assert unit in row.split()
    assert len(lines) - len(rows) == len(NOTED)
    assert max(len(line) for line in lines) <= 80


# --- Which figures --------------------------------------------------------------------------------


def test_the_list_says_what_each_figure_is_beside(pasidlab: Command) -> None:
    lines = pasidlab("bench", "--list", "--quick").out.splitlines()
    for line, name in zip(lines, FIGURES, strict=True):
        assert line.startswith(name)
        assert len(line) <= 80
    [one] = pasidlab("bench", "--list", "--json", "cold start").object["figures"]
    assert one["beside"] == "a Python that does nothing"


def test_a_part_of_a_name_chooses_and_nothing_else_is_measured(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_effort: Effort) -> Measurement:
        def measure() -> Iterator[Amounts]:
            raise AssertionError("nobody wants it")

        return Measurement((Yardstick("run, cold start to verdict", "s", ""),), measure)

    monkeypatch.setattr(benching, "cold_start", never)
    ran = pasidlab("bench", "--quick", "--json", "MODEL C BY PCT", "allocations", "model c by pct")
    assert [one["name"] for one in ran.object["figures"]] == [
        "model C by pct: schedules",
        "model C by pct: time",
        "1,000 allocations",
    ]


def test_a_whole_name_is_only_itself() -> None:
    assert benching.chosen(["check, one property"], QUICK) == ["check, one property"]
    assert benching.chosen([], QUICK) == [*FIGURES]


def test_the_whole_effort_has_the_same_figures_but_for_sizes() -> None:
    whole = benching.chosen([], WHOLE)
    assert [name for name in whole if name not in FIGURES] == [
        "two-phase commit, N=7",
        "two-phase commit, N=8",
        "two-phase commit, N=12, symmetric",
        "shrink model C in 300 tries",
        "recovery, 100,000 inputs",
        "1,048,575 allocations",
        "1,048,575 live PASIDs",
    ]
    assert max(map(len, whole)) <= 35


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("alocations", "; did you mean '1,000 allocations'?"),
        ("potrfolio", "; did you mean 'portfolio'?"),
        ("chekc, one property", "; did you mean 'check, one property'?"),
        ("zzz", ""),
        ("", ""),
        (" ", ""),
    ],
)
def test_err_a_name_of_no_figure_is_told_the_nearest(
    pasidlab: Command, word: str, hint: str
) -> None:
    ran = pasidlab("bench", "--quick", word)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"'{word}' is no figure{hint} (see: pasidlab bench --list)  (exit 2)\n"


# --- How soon the bug is found --------------------------------------------------------------------


def test_a_hunt_ends_at_the_bug_or_when_its_schedules_are_spent() -> None:
    hunt = Hunt("delay-bounded", 1)
    hunt.run(100)
    assert (hunt.found, hunt.schedules) == (True, 2)
    hunt = Hunt("random", 1)
    hunt.run(7)
    assert (hunt.found, hunt.schedules) == (False, 7)


def test_what_was_not_found_counts_as_all_that_was_allowed(pasidlab: Command) -> None:
    ran = pasidlab("bench", "--quick", "--json", "random: schedules", "portfolio: schedules")
    random, portfolio = ran.object["figures"]
    assert (random["figure"], random["reference"], random["ratio"]) == (20, 20, 1)
    assert random["note"] == "found under 0 of 2 seeds"
    assert portfolio["figure"] < 20
    assert portfolio["note"].startswith("found under 2 of 2 seeds, within ")
    again = pasidlab("bench", "--quick", "--json", "random: schedules", "portfolio: schedules")
    assert again.object["figures"] == ran.object["figures"]


# --- Interrupted ----------------------------------------------------------------------------------


def test_an_interrupt_keeps_what_was_measured(
    pasidlab: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_effort: Effort) -> Measurement:
        def measure() -> Iterator[Amounts]:
            raise KeyboardInterrupt

        return Measurement((Yardstick("run, cold start to verdict", "s", ""),), measure)

    monkeypatch.setattr(benching, "cold_start", interrupted)
    words = ("bench", "--quick", "check, one property", "cold start", "allocations")
    ran = pasidlab(*words, "--json")
    assert (ran.code, ran.object["interrupted"]) == (130, True)
    assert [one["name"] for one in ran.object["figures"]] == ["check, one property"]
    assert ran.err == "interrupted after 1 of 3 figures  (exit 130)\n"
    ran = pasidlab(*words)
    assert (ran.code, ran.out.count("\n")) == (130, 2)


def test_ctrl_c_in_the_middle_is_130() -> None:
    words = ("model C by pct", "model C by pos")
    command = [sys.executable, "-m", "experiments.harness.cli", "bench", *words]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as bench:
        assert bench.stdout is not None
        assert bench.stderr is not None
        lines = [bench.stdout.readline() for _ in range(4)]
        bench.send_signal(signal.SIGINT)
        err = bench.stderr.read()
        assert bench.wait() == 130
    assert lines[0].split() == ["figure", "reference", "ratio"]
    assert lines[3].startswith("model C by pct: time")
    assert err == "interrupted after 2 of 4 figures  (exit 130)\n"


def test_how_much_memory_a_pool_takes_has_nothing_to_do_with_who_asks() -> None:
    ballast = bytearray(b"x" * (300 << 20))
    assert benching.filled("dict", 100_000)["megabytes"] > 4
    assert len(ballast) == 300 << 20
