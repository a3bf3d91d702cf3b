"""What is shown of a trace that has no order: the smallest part, drawn."""

from collections.abc import Sequence
from typing import Final

import msgspec
import pytest

from clusters.conformance.calls import Call, Value
from clusters.conformance.ioasid import IoasidCalls
from clusters.conformance.linearize import Budget, Search
from clusters.conformance.operations import operations_of
from clusters.conformance.window import Failure, Window, window_of
from experiments.harness.trace_drawing import draw
from tests.conformance.traces import CORE, MACHINE, judged, recorded

ALLOC: Final[dict[str, Value]] = {"set": "S0", "min": 1, "max": 4, "private": "p"}


def calls_of(*rows: tuple[str, int, int, str, dict[str, Value], Value]) -> list[Call]:
    """Calls of tasks: task, entry, return, name, arguments, result."""
    return [
        Call(
            n=n, task=task, pid=1, cpu_in=0, cpu_out=0, seq_invoke=begin, seq_return=end,
            kind="api", parent=None, call=f"ioasid_{name}", args=args, ret=ret,
        )
        for n, (task, begin, end, name, args, ret) in enumerate(rows)
    ]  # fmt: skip


def window(calls: Sequence[Call]) -> tuple[Window, IoasidCalls]:
    vocabulary = IoasidCalls(MACHINE, calls)
    operations = operations_of(calls, vocabulary)
    found = Search(operations, vocabulary.actor(CORE), Budget(), vocabulary).run()
    assert found.order is None
    failure = Failure(operations, vocabulary.actor(CORE), found)
    return window_of(failure, vocabulary, Budget(seconds=20)), vocabulary


def find(number: int) -> dict[str, Value]:
    return {"set": None, "ioasid": number, "getter": None}


RACE: Final = calls_of(
    ("kt0", 0, 1, "alloc", ALLOC, 1),
    ("kt1", 2, 3, "alloc", ALLOC, 2),
    ("kt0", 4, 20, "set_data", {"ioasid": 1, "private": "a"}, 0),
    ("kt1", 5, 21, "set_data", {"ioasid": 1, "private": "b"}, 0),
    ("kt2", 6, 7, "find", find(1), "a"),
    ("kt3", 8, 9, "free", {"ioasid": 2}, None),
    ("kt2", 10, 11, "find", find(1), "b"),
    ("kt2", 12, 13, "find", find(2), "-ENOENT"),
    ("kt2", 14, 15, "find", find(1), "a"),
)
"""What `a` and `b` were each written once; a reader saw a, b, a."""


DRAWN: Final = """\
event   kt0                     kt1                     kt2
        ------------            ------------            ------------
4       set_data(1, a)
5       |                       set_data(1, b)
6       |                       |                       find(1)
7       |                       |                       = a
10      |                       |                       find(1)
11      |                       |                       = b
14      |                       |                       find(1)
15      |                       |                       = a <--
        (= 0 later)             |
                                (= 0 later)
"""


def test_only_the_calls_that_are_needed_are_left() -> None:
    found, vocabulary = window(RACE)
    assert [one.call.n for one in found.operations] == [4, 6, 8]
    assert [one.call.n for one in found.also] == [2, 3]
    assert (found.last.call.n, found.until, found.cut, found.others) == (8, 15, "", 0)
    (state,) = found.states
    assert vocabulary.state(state, found.operations) == ["out 1 (S0 p)"]


def test_it_is_drawn_with_a_column_for_each_task() -> None:
    found, _ = window(RACE)
    drawn = sorted((*found.operations, *found.also), key=lambda one: one.call.seq_invoke)
    assert draw(drawn, found.last, found.until) == DRAWN.splitlines()


@pytest.mark.parametrize("tasks", [1, 2, 3, 4, 5, 8, 9, 30])
def test_a_drawing_is_at_most_80_wide(tasks: int) -> None:
    """With many tasks numbers stand in the columns, or there are no columns any more."""
    args: dict[str, Value] = {**ALLOC, "private": "a-rather-long-name-of-private-data"}
    calls = calls_of(
        *[(f"task-number-{n}", 2 * n, 100 + 2 * n, "alloc", args, n + 1) for n in range(tasks)]
    )
    operations, _ = judged(calls)
    lines = draw(operations, operations[-1], 101)
    assert max(map(len, lines)) <= 80
    for n in range(tasks):
        assert any(f"#{n}" in line or f"task-number-{n}" in line for line in lines)


def test_callbacks_and_calls_without_a_return_are_drawn() -> None:
    calls = recorded("io-t8-small")
    at = next(n for n, call in enumerate(calls) if call.call == "getter")
    parent = next(call for call in calls if call.n == calls[at].parent)
    cut = [parent, calls[at], msgspec.structs.replace(calls[at + 1], seq_return=None)]
    operations, _ = judged(cut)
    text = "\n".join(draw(operations, operations[0], 10**9))
    assert "> getter(priv" in text
    assert "(did not return)" in text


def test_numbers_that_were_out_before_are_said_with_what_matters() -> None:
    calls = [*recorded("io-t2")[:900]]
    last = calls[-1].seq_return or 0
    wrong = calls_of(("kt9", 10_000, 10_001, "alloc", {**ALLOC, "min": 1, "max": 20}, "INVALID"))
    found, vocabulary = window([*calls, msgspec.structs.replace(wrong[0], n=5000)])
    assert last < found.until == 10_001
    assert [one.call.n for one in found.operations] == [5000]
    lines = vocabulary.state(found.states[0], found.operations)
    assert [line.split()[0] for line in lines] in (["out", "free"], ["free"])


def test_a_window_with_no_time_left_says_so() -> None:
    operations, found = judged(RACE)
    vocabulary = IoasidCalls(MACHINE, RACE)
    failure = Failure(operations, vocabulary.actor(CORE), found)
    cut = window_of(failure, vocabulary, Budget(seconds=0))
    assert cut.cut == "time was up before all had been tried without"
    assert cut.last.call.n == 8


def test_what_is_left_of_a_window_has_no_order_alone() -> None:
    """The window is a proof of its own: from each state, the calls that are shown and no others."""
    found, vocabulary = window(RACE)
    for state in found.states:
        again = Search(found.operations, state, Budget(), vocabulary, found.until).run()
        assert again.order is None
        assert not again.reason
