"""Every line of misuse.toml, played in a whole kernel: the answer, and what is judged on the way.

A row of the table that no line plays is refused here, unless it is said why (`[not_played]`).
"""

import re
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from clusters.lineup import SOUND, Lineup
from clusters.sim.run_result import RunResult
from clusters.sim.world import simulate
from tests.worlds import world_of

TABLE: Final = tomllib.loads(Path(__file__).with_name("misuse.toml").read_text("utf-8"))
LINES: Final[list[dict[str, Any]]] = TABLE["lines"]
NOT_PLAYED: Final = {int(row): why for row, why in TABLE["not_played"].items()}
ROWS: Final = 96
PARTLY: Final = "in part: "
WHOSE: Final = re.compile(r"((?:caller|proc)[0-9]): *(.*)")


def line_id(line: dict[str, Any]) -> str:
    """What it is about."""
    who = f" ({line['revision']})" if "revision" in line else ""
    return f"{line['row']} {line['call']}: {line['what']}{who}"


def experiment_of(line: dict[str, Any]) -> str:
    """The steps before succeed, unless they say what else they do; then comes the wrong one.

    Each goes to whom it names, `proc1: open dsa`, else to caller1; `with` adds keys to tables.
    """
    before = [one if "->" in one else f"{one} -> ok" for one in line.get("before", [])]
    steps: dict[str, list[str]] = {}
    for text in (*before, f"{line['wrong']} -> {line['errno']}"):
        named = WHOSE.fullmatch(text)
        whose, step = named.groups() if named else ("caller1", text)
        steps.setdefault(whose, []).append(step)
    machine = TABLE[line.get("on", "machine")]
    for name, key in line.get("with", {}).items():
        machine, count = re.subn(rf'(?m)^name *= "{name}"$', rf"\g<0>\n{key}", machine)
        assert count == 1, f"{name} is not one thing of the machine"
    text = f'title = "misuse"\nstack = "iommufd"\n{machine}\n'
    for kind, table in (("caller", "callers"), ("proc", "processes")):
        text += f"[{table}]\ncount = {sum(who.startswith(kind) for who in steps)}\n"
    for whose, its in steps.items():
        text += f'[[process]]\nname = "{whose}"\nsteps = {its}\n'
    if "fails" in line:
        nth = line.get("nth", 1)
        text += f'[[nemesis]]\nfault = "fail"\nsite = "{line["fails"]}"\nnth = {nth}\n'
    if "removed" in line:
        device, after = line["removed"]
        text += f'[[nemesis]]\nfault = "remove"\ntarget = "{device}"\ntimes = 1\n'
        text += f"every_steps = [{after}, {after}]\n"
    return text


@cache
def played(at: int) -> RunResult:
    """One schedule is enough: there is one caller."""
    line = LINES[at]
    classes = Lineup(line.get("revision", SOUND)).classes()
    return simulate(replace(world_of(experiment_of(line), classes), stop_at_first=False), seed=1)


@pytest.mark.long
@pytest.mark.parametrize("at", range(len(LINES)), ids=[line_id(line) for line in LINES])
def test_what_a_wrong_call_is_answered(at: int) -> None:
    result = played(at)
    found = {one.property: one.sentence for one in result.violations}
    assert sorted(found) == sorted(LINES[at].get("breaks", [])), found
    assert result.quiet


def test_every_row_is_played_or_it_is_said_why_not() -> None:
    rows = {line["row"] for line in LINES}
    assert rows | set(NOT_PLAYED) == set(range(1, ROWS + 1))
    partly = {row for row, why in NOT_PLAYED.items() if why.startswith(PARTLY)}
    assert rows & set(NOT_PLAYED) == partly
    assert partly <= rows


def test_a_line_says_what_it_is_once() -> None:
    ids = [line_id(line) for line in LINES]
    assert len(set(ids)) == len(ids)
    known = {*("row", "call", "what", "before", "wrong", "errno"), *("fails", "nth", "revision")}
    known |= {"breaks", "on", "with", "removed"}
    assert [one for line in LINES for one in line if one not in known] == []


def test_err_a_line_whose_answer_is_another() -> None:
    """The table can fail: the first line, with the wrong errno."""
    wrong = experiment_of({**LINES[0], "errno": "EPERM"})
    (violation,) = simulate(world_of(wrong), seed=1).violations
    assert violation.property == "outcomes-as-scripted"
