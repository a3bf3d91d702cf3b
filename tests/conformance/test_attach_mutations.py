"""Changed traces of the IOMMU core: each is refused, or a second opinion finds its order right."""

from collections import Counter
from random import Random
from typing import Final

import pytest

from clusters.conformance.attach import AttachCalls
from clusters.conformance.linearize import Budget
from clusters.conformance.operations import unknown_calls
from tests.conformance.attach_traces import (
    MACHINE,
    RUNS,
    judged,
    kernel_of,
    mutated,
    recorded,
)
from tests.conformance.sequential_attach import explains
from tests.conformance.traces import until, witness

pytestmark = pytest.mark.long

KINDS: Final = ("return", "swap", "drop", "number", "name")
EVENTS: Final = 500
"""How much of each run: the recording is taken to have ended there, in the middle of calls."""


@pytest.mark.parametrize("run", RUNS)
def test_every_recorded_run_is_explained_and_the_second_opinion_agrees(run: str) -> None:
    calls, kernel = recorded(run), kernel_of(run)
    operations, found = judged(calls, kernel)
    assert not unknown_calls(calls, AttachCalls(MACHINE[kernel], calls))
    assert explains(calls, witness(operations, found), kernel)


def verdicts(count: int, seed: int) -> Counter[tuple[str, str]]:
    """So many mutations, by kind and by what became of them."""
    random = Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        run, kind = RUNS[number % len(RUNS)], KINDS[number // len(RUNS) % len(KINDS)]
        begin = recorded(run)
        calls = mutated(until(begin, min(EVENTS, 2 * len(begin) - 1)), kind, random)
        operations, found = judged(calls, kernel_of(run), Budget(seconds=20))
        assert not found.reason, (run, kind, number, found.reason)
        if found.order is None:
            seen[kind, "refused"] += 1
        else:
            order = witness(operations, found)
            assert explains(calls, order, kernel_of(run)), (run, kind, number)
            seen[kind, "explained"] += 1
    return seen


def test_several_hundred_mutations_are_refused_or_have_a_witness() -> None:
    seen = verdicts(500, seed=1)
    assert sum(seen.values()) == 500
    assert {kind for kind, _ in seen} == set(KINDS)
    assert {what for _, what in seen} == {"refused", "explained"}


@pytest.mark.parametrize("run", RUNS)
def test_the_kernel_of_the_other_revision_does_not_explain_it(run: str) -> None:
    other = {"6.12": "7.3", "7.3": "6.12"}[kernel_of(run)]
    assert judged(recorded(run), other)[1].order is None
