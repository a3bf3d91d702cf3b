"""Recorded calls of the SVA library of 6.1, and of the IOASID core below it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final

import msgspec
import pytest

from actors.sva.sva_lib import SvaLibrary
from clusters.cluster import ActorClass
from clusters.conformance.calls import Call, Value
from clusters.conformance.linearize import Budget, Found, Search
from clusters.conformance.operations import Operation, operations_of
from clusters.conformance.sva_library import IoasidBelowSva, SvaLibraryCalls
from clusters.conformance.vocabularies import Part, parts_of
from clusters.conformance.window import Failure, window_of
from protocol.errors import ExperimentError
from protocol.messages.sva import SvaAllocPasid
from protocol.names import Pasid
from tests.conformance.traces import CORE, MACHINE, mutated, recorded, until, witness

RUN: Final = "io-sva"
EVENTS: Final = 900
BUDGET: Final = Budget(seconds=20)


def parts(calls: Sequence[Call]) -> tuple[Part, Part]:
    """The library's and the core's."""
    library, below = parts_of(calls, MACHINE)
    assert isinstance(library.vocabulary, SvaLibraryCalls)
    assert isinstance(below.vocabulary, IoasidBelowSva)
    return library, below


def judged(part: Part, kind: ActorClass = SvaLibrary) -> tuple[list[Operation], Found]:
    operations = operations_of(part.calls, part.vocabulary)
    search = Search(operations, part.vocabulary.actor(kind), BUDGET, part.vocabulary)
    return operations, search.run()


def explains(calls: Sequence[Call], order: Iterable[tuple[int, int]]) -> bool:
    """A second opinion: the mms with their numbers, one lock, and whoever has not died."""
    inside: dict[int, list[Call]] = {call.n: [] for call in calls if call.parent is None}
    for call in calls:
        if call.parent is not None:
            inside[call.parent].append(call)
    by_n = {call.n: call for call in calls}
    pasids: dict[Value, Any] = {}
    at: Counter[int] = Counter()
    now, holder = -(1 << 60), None
    for n, step in order:
        call, backs = by_n[n], inside[n]
        args: Any = call.args
        begin = call.seq_invoke if step == 0 else backs[step - 1].seq_return
        end = call.seq_return if step == len(backs) else backs[step].seq_invoke
        now = max(now, 1 << 60 if begin is None else begin)
        if at[n] != step or now >= (1 << 60 if end is None else end):
            return False
        at[n] += 1
        back: Any = backs[0] if backs else None
        last = step == len(backs)
        finished = call.seq_return is not None
        if call.call == "mm_pasid_drop":
            if step == 0 and pasids.pop(args["mm"], None) != back.args["ioasid"]:
                return False
        elif call.call == "iommu_sva_find":
            asked = {"set": "iommu_sva_pasid", "ioasid": args["pasid"], "getter": "mmget_not_zero"}
            if back is None or back.args != asked or (last and finished and call.ret != back.ret):
                return not finished and back is None
        elif not 0 < args["min"] <= args["max"]:
            if backs or (finished and call.ret != "-EINVAL"):
                return False
        elif holder not in (None, n):
            return False
        elif back is None and args["mm"] in pasids:
            fits = args["min"] <= pasids[args["mm"]] < args["max"]
            if finished and call.ret != (0 if fits else "-EOVERFLOW"):
                return False
        else:
            wanted = {
                "set": "iommu_sva_pasid", "min": args["min"], "max": args["max"],
                "private": args["mm"],
            }  # fmt: skip
            if back is None or args["mm"] in pasids or back.args != wanted:
                return False
            holder = None if last else n
            if last and back.ret != "INVALID":
                pasids[args["mm"]] = back.ret
            if last and finished and call.ret != ("-ENOMEM" if back.ret == "INVALID" else 0):
                return False
    return all(at[n] == len(backs) + 1 for n, backs in inside.items() if by_n[n].seq_return)


def test_the_run_is_explained_by_the_library_and_by_the_core_below() -> None:
    library, below = parts(recorded(RUN))
    operations, found = judged(library)
    assert explains(library.calls, witness(operations, found))
    assert len(operations) == 1452
    assert judged(below, CORE)[1].order is not None
    assert len(below.calls) == 867 + 12 - 69


@pytest.mark.parametrize("seed", range(10))
def test_a_recording_may_end_in_the_middle_of_calls(seed: int) -> None:
    library, below = parts(until(recorded(RUN), Random(seed).randrange(100, 1500)))
    operations, found = judged(library)
    assert explains(library.calls, witness(operations, found))
    assert judged(below, CORE)[1].order is not None


@pytest.mark.long
def test_mutations_are_refused_or_have_a_witness() -> None:
    """A changed result never has one.  Most calls are look-ups, and nobody misses one of them."""
    random = Random(1)
    seen: Counter[tuple[str, str]] = Counter()
    for number in range(300):
        kind = ("return", "swap", "drop")[number % 3]
        library, below = parts(mutated(until(recorded(RUN), EVENTS), kind, random))
        try:
            operations, found = judged(library)
            lower, lower_found = judged(below, CORE)
        except ExperimentError:
            seen[kind, "unreadable"] += 1
            continue
        if found.order is None or lower_found.order is None:
            seen[kind, "refused"] += 1
        else:
            assert explains(library.calls, witness(operations, found)), number
            seen[kind, "explained"] += 1
            assert lower
    assert seen == {
        ("return", "refused"): 100,
        ("swap", "explained"): 100,
        ("drop", "refused"): 2,
        ("drop", "explained"): 98,
    }


def test_the_core_below_has_a_say() -> None:
    """A look-up that says ENOENT of a number that is out: the library only passes it on."""
    calls = list(recorded(RUN))
    at = next(k for k, call in enumerate(calls) if str(call.ret).startswith("mm."))
    below_it = calls[at] if calls[at].call == "ioasid_find" else calls[at + 1]
    both = (below_it.n, below_it.parent)
    wrong = [
        msgspec.structs.replace(call, ret="-ENOENT") if call.n in both else call for call in calls
    ]
    library, below = parts(wrong)
    assert judged(library)[1].order is not None
    assert judged(below, CORE)[1].order is None


def test_err_a_number_that_nobody_got_is_freed() -> None:
    calls = [call for call in recorded(RUN) if call.call != "ioasid_alloc"]
    library, _ = parts(calls)
    drops = [call for call in library.calls if call.call == "mm_pasid_drop"]
    assert {call.args["mm"] for call in drops} == {"nobody"}
    assert judged(library)[1].order is None


def test_err_a_core_without_library_does_not_have_its_calls() -> None:
    library, _ = parts(recorded(RUN))
    missing = library.vocabulary.missing(CORE, library.calls)
    assert missing == {"iommu_sva_find": 854, "iommu_sva_alloc_pasid": 586, "mm_pasid_drop": 12}


class RangeWithItsEnd(SvaLibrary):
    """Both checks take `max` for the last number."""

    __slots__ = ()

    def fits(self, pasid: Pasid, alloc: SvaAllocPasid) -> bool:
        """As the core has it."""
        return alloc.min <= pasid <= alloc.max


def test_err_a_library_that_takes_the_range_with_its_end_is_not_what_was_recorded() -> None:
    library, _ = parts(recorded(RUN))
    operations, found = judged(library, RangeWithItsEnd)
    assert found.order is None
    actor = library.vocabulary.actor(RangeWithItsEnd)
    window = window_of(Failure(operations, actor, found), library.vocabulary, BUDGET)
    assert window.last.call.ret == "-EOVERFLOW"
    (state,) = [library.vocabulary.state(one, window.operations) for one in window.states]
    assert state[-1].startswith("mm.s")
    assert not window.cut


def test_the_death_of_an_mm_has_the_number_of_its_free() -> None:
    library, _ = parts(recorded(RUN))
    drops = [call for call in library.calls if call.call == "mm_pasid_drop"]
    frees = [call.n for call in recorded(RUN) if call.call == "ioasid_free"]
    assert [drop.n for drop in drops] == frees
    assert len({msgspec.json.encode(drop.args) for drop in drops}) == 12
