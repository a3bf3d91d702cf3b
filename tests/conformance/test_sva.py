"""Recorded calls of the SVA core: each run has an order, and what is no order is not found."""

from collections import Counter
from random import Random
from typing import Final

import msgspec
import pytest

from actors.revisions._sva_6_12 import Sva612
from actors.revisions.linux_6_12 import CLASSES
from actors.sva.state import Bind, Bond, Mm
from clusters.cluster import ActorClass
from clusters.conformance.linearize import Budget, Search
from clusters.conformance.operations import operations_of
from clusters.conformance.sva import SvaCalls
from clusters.conformance.vocabularies import parts_of
from clusters.conformance.window import Failure, window_of
from protocol.effects import Out
from protocol.errors import Errno, ExperimentError
from protocol.names import Name
from tests.conformance.sva_kernels import SvaKernel
from tests.conformance.sva_opinion import explains
from tests.conformance.sva_traces import (
    KINDS,
    MACHINE,
    RUNS,
    SVA,
    changed,
    judged,
    recorded,
)
from tests.conformance.traces import until, witness

pytestmark = pytest.mark.long

OFF: Final = "sva-x86-refused"
ON: Final = tuple(run for run in RUNS if run != OFF)
EVENTS: Final = 700
CORE: Final[ActorClass] = CLASSES["iommu_core"]  # type: ignore[assignment]
BUDGET: Final = Budget(seconds=20)


@pytest.mark.parametrize("run", ON)
def test_every_recorded_run_is_explained_and_the_second_opinion_agrees(run: str) -> None:
    calls, operations, found = judged(recorded(run))
    assert explains(calls, witness(operations, found))


@pytest.mark.parametrize("run", ON)
@pytest.mark.parametrize("seed", range(8))
def test_a_recording_may_end_in_the_middle_of_calls(run: str, seed: int) -> None:
    cut = until(recorded(run), Random(seed).randrange(1200))
    calls, operations, found = judged(cut)
    assert explains(calls, witness(operations, found))


def test_where_sva_is_off_every_bind_is_refused_alike() -> None:
    calls, operations, found = judged(recorded(OFF))
    assert len(witness(operations, found)) == len(calls) == 72
    assert {call.ret for call in calls} == {"-EOPNOTSUPP"}


@pytest.mark.parametrize("run", ON)
def test_what_sva_asks_of_the_iommu_core_is_explained_by_that(run: str) -> None:
    _, below = parts_of(recorded(run), MACHINE)
    assert below.role == "iommu_core"
    operations = operations_of(below.calls, below.vocabulary)
    actor = below.vocabulary.actor(CORE)
    found = Search(operations, actor, BUDGET, below.vocabulary).run()
    assert len(witness(operations, found)) == len(below.calls)


def verdicts(count: int, seed: int) -> Counter[tuple[str, str]]:
    """So many mutations, by kind and by what became of them."""
    random = Random(seed)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(count):
        run, kind = ON[number % len(ON)], KINDS[number // len(ON) % len(KINDS)]
        mutant = changed(until(recorded(run), EVENTS), kind, random)
        try:
            calls, operations, found = judged(mutant)
        except ExperimentError:
            seen[kind, "unreadable"] += 1
            continue
        assert not found.reason, (run, kind, number, found.reason)
        if found.order is None:
            seen[kind, "refused"] += 1
        else:
            assert explains(calls, witness(operations, found)), (run, kind, number)
            seen[kind, "explained"] += 1
    return seen


def test_a_changed_number_has_no_witness_and_a_changed_result_seldom() -> None:
    """An attach may be refused with something else, and calls may change places."""
    seen = verdicts(200, seed=1)
    assert sum(seen.values()) == 200
    assert seen["number", "refused"] == 40
    assert seen["name", "refused"] + seen["name", "unreadable"] > 38
    assert seen["return", "refused"] > 36
    assert seen["swap", "refused"] > 10
    assert seen["drop", "refused"] > 20


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_thousand_mutations_are_refused_or_have_a_witness() -> None:
    assert verdicts(1000, seed=2) == {
        ("return", "refused"): 200,
        ("swap", "refused"): 59,
        ("swap", "explained"): 141,
        ("drop", "refused"): 135,
        ("drop", "explained"): 65,
        ("number", "refused"): 200,
        ("name", "refused"): 114,
        ("name", "unreadable"): 83,
        ("name", "explained"): 3,
    }


# --- Another core is not held to be right ---------------------------------------------------------


class OldestFirst(Sva612):
    """New domains are tried last."""

    __slots__ = ()

    def link(self, mm: Name, domain: Name, out: Out) -> None:
        """At the end of the list."""
        Sva612.link(self, mm, domain, out)
        domains = self.mms[mm].domains
        domains.append(domains.pop(0))


class NothingShared(Sva612):
    """As up to 65d4418c5002: a second bind of a pair is refused."""

    __slots__ = ()

    def may_share(self, bond: Bond | None, bind: Bind) -> bool:
        """It never may."""
        return False


class NoLimit(Sva612):
    """The PASID of an mm fits every device."""

    __slots__ = ()

    def mm_refusal(self, mm: Mm, bind: Bind, out: Out) -> Errno | None:
        """It is not looked at."""
        return None


@pytest.mark.parametrize("kind", [OldestFirst, NothingShared, NoLimit])
def test_err_a_core_that_does_otherwise_is_not_what_was_recorded(kind: ActorClass) -> None:
    _, _, found = judged(recorded("sva-small"), kind)
    assert found.order is None
    assert found.stuck > 0


def test_a_wrong_result_has_a_window_with_its_call() -> None:
    calls = [
        msgspec.structs.replace(call, ret=7) if call.n == 36 else call
        for call in recorded("sva-small")
    ]
    vocabulary = SvaCalls(MACHINE, calls)
    operations = operations_of(vocabulary.own(calls), vocabulary)
    actor = vocabulary.actor(SVA)
    found = Search(operations, actor, BUDGET, vocabulary).run()
    window = window_of(Failure(operations, actor, found), vocabulary, BUDGET)
    assert window.last.call.n == 36
    states = [vocabulary.state(state, window.operations) for state in window.states]
    assert states == [
        [
            "mm.s0p0 has PASID 1, domains svadom0 (2)",
            "bond0 of g0 has 3 users",
            "bond2 of g2 has 2 users",
        ]
    ]


# --- Kernels of chance ----------------------------------------------------------------------------


@pytest.mark.parametrize("tasks", [1, 3, 8, 16])
def test_whatever_a_kernel_may_do_is_explained(tasks: int) -> None:
    """Also when the recording ends in the middle of calls."""
    for seed in range(15):
        calls = SvaKernel(Random(seed), tasks).run(120)
        for recording in (calls, until(calls, Random(seed).randrange(300))):
            own, operations, found = judged(recording)
            assert explains(own, witness(operations, found)), seed
