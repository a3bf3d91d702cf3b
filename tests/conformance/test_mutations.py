"""Changed traces: each is refused, or explained by an order that a second opinion finds right."""

from collections import Counter
from random import Random
from typing import Final

import pytest

from clusters.conformance.linearize import Budget
from tests.conformance.sequential import explains
from tests.conformance.traces import judged, mutated, recorded, until, witness

pytestmark = pytest.mark.long

KINDS: Final = ("return", "swap", "drop", "number")
EVENTS: Final = {
    "io-t2": 500,
    "io-t4-small": 500,
    "io-t8-small": 400,
    "io-t4-alloc": 900,
    "io-t4-alloc-misuse": 600,
}
"""How much of each run: the recording is taken to have ended there, in the middle of calls."""


def verdicts(count: int, seed: int) -> Counter[tuple[str, str]]:
    """So many mutations, by kind and by what became of them."""
    random = Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        run, kind = list(EVENTS)[number % len(EVENTS)], KINDS[number // len(EVENTS) % len(KINDS)]
        calls = mutated(until(recorded(run), EVENTS[run]), kind, random)
        operations, found = judged(calls, Budget(seconds=20))
        assert not found.reason, (run, kind, number, found.reason)
        if found.order is None:
            seen[kind, "refused"] += 1
        else:
            assert explains(calls, witness(operations, found)), (run, kind, number)
            seen[kind, "explained"] += 1
    return seen


@pytest.mark.parametrize("run", EVENTS)
def test_what_is_not_changed_is_explained_and_the_second_opinion_agrees(run: str) -> None:
    calls = until(recorded(run), EVENTS[run])
    operations, found = judged(calls)
    assert explains(calls, witness(operations, found))


def test_some_mutations_are_refused_and_the_others_have_a_witness() -> None:
    seen = verdicts(80, seed=1)
    assert sum(seen.values()) == 80
    assert {kind for kind, _ in seen} == set(KINDS)
    assert {what for _, what in seen} == {"refused", "explained"}


@pytest.mark.long
@pytest.mark.timeout(600)
def test_two_thousand_mutations_are_refused_or_have_a_witness() -> None:
    assert verdicts(2000, seed=2) == {
        ("return", "refused"): 493,
        ("return", "explained"): 7,
        ("swap", "refused"): 147,
        ("swap", "explained"): 353,
        ("drop", "refused"): 221,
        ("drop", "explained"): 279,
        ("number", "refused"): 323,
        ("number", "explained"): 177,
    }
