"""Recorded iommufd calls: explained as they are, refused when something is changed."""

from collections import Counter
from random import Random
from typing import Final

import pytest

from actors.iommufd import Iommufd
from actors.revisions.linux_6_12 import CLASSES
from clusters.conformance.iommufd import CONTEXT
from clusters.conformance.linearize import Budget
from clusters.conformance.operations import NEVER, Step
from clusters.conformance.state import copy_of, digest
from protocol.effects import Out
from tests.conformance.iommufd_traces import OVERLAPPING, RUNS, judged, mutated, recorded
from tests.conformance.traces import until

pytestmark = pytest.mark.long

KINDS: Final = ("return", "question", "lost", "id", "drop")


@pytest.mark.parametrize("run", [*RUNS, OVERLAPPING])
def test_a_run_of_7_3_is_explained(run: str) -> None:
    operations, found, vocabulary = judged(recorded(run))
    assert not vocabulary.gaps(recorded(run))
    assert found.order is not None
    assert len(found.order) == sum(len(one.steps) for one in operations)


@pytest.mark.parametrize("kind", [CLASSES["iommufd"], Iommufd])
def test_a_run_of_6_12_is_explained_although_domains_were_not_recorded(kind: type) -> None:
    _, found, _ = judged(recorded("fd612-t1"), kind)  # type: ignore[arg-type]
    assert found.order is not None


@pytest.mark.parametrize("event", [100, 333, 1000, 1717, 2500])
def test_a_recording_may_end_in_the_middle_of_calls(event: int) -> None:
    _, found, _ = judged(until(recorded("fd-t4-small"), event))
    assert found.order is not None


def verdicts(count: int, seed: int) -> Counter[tuple[str, str]]:
    """So many mutations, by kind and by what became of them."""
    random = Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        run, kind = RUNS[number % len(RUNS)], KINDS[number // len(RUNS) % len(KINDS)]
        _, found, _ = judged(mutated(recorded(run), kind, random), budget=Budget(seconds=60))
        assert not found.reason, (run, kind, number, found.reason)
        seen[kind, "refused" if found.order is None else "explained"] += 1
    return seen


@pytest.mark.long
def test_a_changed_result_is_refused_and_so_is_a_question_that_is_not_there() -> None:
    seen = verdicts(15, seed=1)
    assert seen["return", "refused"] == 3
    assert seen["lost", "refused"] == 3


@pytest.mark.long
def test_mutations_are_refused_or_have_an_order() -> None:
    """A hundred and five were tried once: 89 refused, 16 explained; a third of them is a test."""
    assert verdicts(35, seed=2) == {
        ("return", "refused"): 9,
        ("question", "refused"): 8,
        ("lost", "refused"): 6,
        ("id", "refused"): 4,
        ("id", "explained"): 2,
        ("drop", "refused"): 2,
        ("drop", "explained"): 4,
    }


def stepped(actor: Iommufd, step: Step) -> tuple[object, ...]:
    """What the actor does."""
    out = Out(CONTEXT)
    actor.handle(step.message, step.sender, out)  # type: ignore[arg-type]
    return tuple(out.effects)


def test_calls_that_touch_nothing_in_common_may_change_places() -> None:
    """What the footprints say, held against the actor: over a whole run of four tasks."""
    operations, found, vocabulary = judged(recorded("fd-t4-small"))
    assert found.order is not None
    actor: Iommufd = vocabulary.actor(Iommufd)  # type: ignore[assignment]
    swapped = 0
    for (at, number), (other, later) in zip(found.order, found.order[1:], strict=False):
        one, two = operations[at].steps[number], operations[other].steps[later]
        if at != other and not one.footprint.disturbs(two.footprint):
            there, here = copy_of(actor), copy_of(actor)
            first, second = stepped(there, one), stepped(there, two)
            assert (stepped(here, two), stepped(here, one)) == (second, first)
            assert digest(here) == digest(there)
            swapped += 1
        stepped(actor, one)
    assert swapped > 100
    assert max(step.before for step in operations[-1].steps) < NEVER
