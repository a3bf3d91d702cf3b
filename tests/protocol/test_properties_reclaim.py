"""R1 to R11: what must be over, and known to be over, at a reclaim."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    EnqcmdIssued,
    EnqcmdRetired,
    EntryCleared,
    EntryWritten,
    Event,
    FreeRequested,
    MsrCleared,
    MsrLoaded,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    RequestRinged,
    RequestTaken,
    TranslationCleared,
    TranslationWritten,
    WorkBegun,
    WorkEnded,
    WorkQueued,
    WqCleared,
    WqProgrammed,
)
from protocol.names import Incarnation
from tests.protocol.stories import PASID, Story, reclaimed

P = PASID


class Case(NamedTuple):
    """A thing of a PASID: which property watches it, who states it, how it begins and ends."""

    name: str
    actor: str
    begins: Callable[[Incarnation], Event]
    ends: Callable[[Incarnation], Event]
    words: str


CASES = [
    Case(
        "entries-cleared-before-reclaim",
        "dmar0",
        lambda life: EntryWritten("dmar0", "dsa0", P, life, "vm1", 1, was_present=False),
        lambda life: EntryCleared("dmar0", "dsa0", P, life, "vm1", "vm1", "unbind"),
        "the PASID-table entry of dsa0 in dmar0",
    ),
    Case(
        "iommu-caches-flushed-before-reclaim",
        "dmar0",
        lambda life: CacheFilled("pasid-cache", "dsa0", P, life),
        lambda life: CacheFlushed("pasid-cache", "dsa0", P, life),
        "a line of dsa0 in the pasid-cache",
    ),
    Case(
        "iommu-caches-flushed-before-reclaim",
        "dmar0",
        lambda life: CacheFilled("iotlb", "dsa0", P, life),
        lambda _life: CacheFlushed("iotlb", "dsa0", P, 99),  # A flush goes by number.
        "a line of dsa0 in the iotlb",
    ),
    Case(
        "device-tlb-flushed-before-reclaim",
        "dsa0",
        lambda life: CacheFilled("device-tlb", "dsa0", P, life),
        lambda life: CacheFlushed("device-tlb", "dsa0", P, life),
        "a line in the device TLB of dsa0",
    ),
    Case(
        "page-requests-settled-before-reclaim",
        "dsa0",
        lambda life: PageRequested("dsa0", P, life, 3),
        lambda life: PageSettled("dsa0", P, life, 3, 0),
        "page group 3 owed to dsa0",
    ),
    Case(
        "page-requests-settled-before-reclaim",
        "dmar0",
        lambda life: RequestRinged("dmar0", "dsa0", P, life, 3),
        lambda life: RequestTaken("dmar0", "dsa0", P, life, 3),
        "page group 3 of dsa0 in the ring of dmar0",
    ),
    Case(
        "page-requests-settled-before-reclaim",
        "iommu",
        lambda life: PageReported("dsa0", P, life, 3),
        lambda life: PageAnswered("dsa0", P, life, 3, 1, answerer=0),
        "page group 3 of dsa0 reported and not answered",
    ),
    Case(
        "translations-cleared-before-reclaim",
        "vm1.kvm",
        lambda life: TranslationWritten("vm1", 101, P, life),
        lambda life: TranslationCleared("vm1", 101, P, life),
        "guest PASID 101 in KVM's table of vm1",
    ),
    Case(
        "translations-cleared-before-reclaim",
        "vm1.kvm",
        lambda life: EnqcmdIssued("vm1", "dsa0", P, life),
        lambda life: EnqcmdRetired("vm1", "dsa0", P, life),
        "a command of vm1 on its way to dsa0",
    ),
    Case(
        "slots-cleared-before-reclaim",
        "dsa0",
        lambda life: WqProgrammed("vm1", "dsa0", "wq", P, life),
        lambda life: WqCleared("vm1", "dsa0", "wq", P, life),
        "the wq slot of vm1 on dsa0",
    ),
    Case(
        "descriptors-ended-before-reclaim",
        "dsa0",
        lambda life: DescriptorAccepted("dsa0", "vm1", "vm1:7", P, life),
        lambda life: DescriptorEnded("dsa0", "vm1", "vm1:7", P, life, "success"),
        "descriptor vm1:7 in dsa0",
    ),
    Case(
        "driver-done-before-reclaim",
        "iommu",
        lambda life: WorkBegun("teardown:5", P, life),
        lambda life: WorkEnded("teardown:5", P, life),
        "running work teardown:5 of iommu",
    ),
    Case(
        "msr-cleared-before-reclaim",
        "cpu0",
        lambda life: MsrLoaded("cpu0", P, life),
        lambda life: MsrCleared("cpu0", P, life),
        "IA32_PASID of cpu0",
    ),
]

each = pytest.mark.parametrize("case", CASES, ids=lambda case: case.words.replace(" ", "-"))
of_a_device = pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.actor == "dsa0"],
    ids=lambda case: case.words.replace(" ", "-"),
)


@each
def test_what_is_over_and_seen_to_be_over_allows_the_reclaim(case: Case) -> None:
    story = Story(case.name)
    for life in (1, 2, 3):
        story.then(case.actor, case.begins(life))
        story.then(case.actor, case.ends(life))
        story.then("core", reclaimed(life))
    assert story.said == []
    assert story.owed() == []


@each
def test_err_reclaimed_while_it_is_there(case: Case) -> None:
    story = Story(case.name)
    story.then(case.actor, case.begins(1))
    (sentence,) = story.then("core", reclaimed(1))
    assert sentence == (
        f"PASID 5 (life 1) was reclaimed at input 1 of core with {case.words} still there"
    )


@each
def test_err_reclaimed_without_having_seen_its_end(case: Case) -> None:
    """An end that is merely concurrent may as well come later."""
    story = Story(case.name)
    story.then(case.actor, case.begins(1))
    story.then(case.actor, case.ends(1))
    (sentence,) = story.apart("core", reclaimed(1), step=9)
    assert sentence == (
        f"PASID 5 (life 1) was reclaimed at step 9 before the core could know that "
        f"{case.words} was over (input 2 of {case.actor})"
    )


@each
def test_err_begun_after_the_reclaim(case: Case) -> None:
    """Two lives on, too: whatever comes now is the old life's."""
    story = Story(case.name)
    story.then("core", reclaimed(1))
    story.then("core", reclaimed(2))
    (sentence,) = story.apart(case.actor, case.begins(1))
    assert sentence.startswith(f"{case.words} began for PASID 5 (life 1) after its reclaim")


@each
def test_a_reclaim_of_another_number_does_not_matter(case: Case) -> None:
    story = Story(case.name)
    story.then(case.actor, case.begins(1))
    story.then("core", reclaimed(1, pasid=6))
    assert story.said == []


@each
def test_an_end_without_a_beginning_leaves_nothing(case: Case) -> None:
    story = Story(case.name)
    story.then(case.actor, case.ends(1))
    story.apart("core", reclaimed(1))
    assert story.said == []


@of_a_device
def test_what_was_in_a_device_that_is_gone_is_over(case: Case) -> None:
    """It does no DMA any more (S48)."""
    story = Story(case.name)
    story.then(case.actor, case.begins(1))
    story.lose(case.actor)
    story.then("core", reclaimed(1))
    assert story.said == []


@of_a_device
def test_a_device_that_is_gone_need_not_have_been_heard(case: Case) -> None:
    story = Story(case.name)
    story.then(case.actor, case.begins(1))
    story.then(case.actor, case.ends(1))
    story.lose(case.actor)
    story.apart("core", reclaimed(1))
    assert story.said == []


def test_err_several_things_are_counted() -> None:
    story = Story("entries-cleared-before-reclaim")
    story.then("dmar0", EntryWritten("dmar0", "dsa0", P, 1, "vm1", 1, was_present=False))
    story.then("dmar1", EntryWritten("dmar1", "dsa1", P, 1, "vm1", 1, was_present=False))
    (sentence,) = story.then("core", reclaimed(1))
    assert "with the PASID-table entry of dsa0 in dmar0 and 1 more still there" in sentence


def test_err_one_end_of_many_unseen_is_enough() -> None:
    story = Story("descriptors-ended-before-reclaim")
    for device in ("dsa0", "dsa1"):
        story.then(device, DescriptorAccepted(device, "vm1", "vm1:7", P, 1))
        story.then(device, DescriptorEnded(device, "vm1", "vm1:7", P, 1, "abort"))
    assert len(story.apart("core", reclaimed(1))) == 1


def test_err_a_request_in_the_ring_is_taken_out_once() -> None:
    """Two requests of a group, one of them taken."""
    ringed, taken = RequestRinged("dmar0", "dsa0", P, 1, 3), RequestTaken("dmar0", "dsa0", P, 1, 3)
    story = Story("page-requests-settled-before-reclaim")
    story.then("dmar0", ringed, ringed, taken)
    assert len(story.then("core", reclaimed(1))) == 1

    story = Story("page-requests-settled-before-reclaim")
    story.then("dmar0", ringed, ringed, taken, taken)
    assert story.then("core", reclaimed(1)) == []


def test_err_a_life_whose_ghost_is_not_known_counts_too() -> None:
    """A script may name a number that its process was never told."""
    story = Story("entries-cleared-before-reclaim")
    story.then("core", reclaimed(1))
    story.then("dmar0", EntryWritten("dmar0", "dsa0", P, 0, "vm1", 1, was_present=False))
    assert len(story.then("core", reclaimed(2))) == 1


def test_the_other_cache_is_the_other_property() -> None:
    story = Story("iommu-caches-flushed-before-reclaim")
    story.then("dsa0", CacheFilled("device-tlb", "dsa0", P, 1))
    story.then("core", reclaimed(1))
    assert story.said == []

    story = Story("device-tlb-flushed-before-reclaim")
    story.then("dmar0", CacheFilled("iotlb", "dsa0", P, 1), CacheFlushed("iotlb", "dsa0", P, 1))
    story.then("core", reclaimed(1))
    assert story.said == []


# --- R9: work and what is attached ----------------------------------------------------------------


def test_work_may_be_queued_again_while_it_runs() -> None:
    queued, begun = WorkQueued("drain", P, 1), WorkBegun("drain", P, 1)
    story = Story("driver-done-before-reclaim")
    for _ in range(2):
        story.then("vdcm.dsa0", queued)
        story.then("vdcm.dsa0", begun)
        story.then("vdcm.dsa0", WorkEnded("drain", P, 1))
    story.then("core", reclaimed(1))
    assert story.said == []


def test_err_work_that_was_queued_again_is_still_to_come() -> None:
    story = Story("driver-done-before-reclaim")
    story.then("vdcm.dsa0", WorkQueued("drain", P, 1), WorkBegun("drain", P, 1))
    story.then("vdcm.dsa0", WorkQueued("drain", P, 1), WorkEnded("drain", P, 1))
    (sentence,) = story.then("core", reclaimed(1))
    assert "queued work drain of vdcm.dsa0 still there" in sentence


def test_work_that_somebody_else_has_done_is_over_before_its_turn() -> None:
    story = Story("driver-done-before-reclaim")
    story.then("vdcm.dsa0", WorkQueued("drain", P, 1), WorkEnded("drain", P, 1))
    assert story.then("core", reclaimed(1)) == []


def test_err_work_begins_in_the_next_life() -> None:
    """The variant of S10 in which old work meets the number's new owner."""
    story = Story("driver-done-before-reclaim")
    story.then("iommu", WorkQueued("teardown:5", P, 1))
    assert len(story.then("core", reclaimed(1))) == 1
    assert len(story.then("iommu", WorkBegun("teardown:5", P, 1))) == 1


def test_err_reclaimed_with_private_data() -> None:
    (sentence,) = Story("driver-done-before-reclaim").then("core", replace(reclaimed(1), data=4))
    assert sentence == (
        "PASID 5 (life 1) was reclaimed at input 1 of core with private data 4 attached"
    )


def test_err_reclaimed_with_an_spid() -> None:
    (sentence,) = Story("driver-done-before-reclaim").then("core", replace(reclaimed(1), spid=101))
    assert sentence.endswith("with SPID 101 attached")


# --- R1 and R11: the core's own -------------------------------------------------------------------


def test_a_reclaim_without_references_is_right() -> None:
    assert Story("unreferenced-at-reclaim").then("core", reclaimed(1)) == []


def test_err_reclaimed_with_a_holder() -> None:
    held = replace(reclaimed(1), refs=1, holders=("vm1.kvm:translation",))
    (sentence,) = Story("unreferenced-at-reclaim").then("core", held)
    assert sentence == (
        "PASID 5 (life 1) was reclaimed at input 1 of core "
        "with 1 references, held by vm1.kvm:translation"
    )


def test_err_reclaimed_with_a_count_that_nobody_holds() -> None:
    (sentence,) = Story("unreferenced-at-reclaim").then("core", replace(reclaimed(1), refs=-1))
    assert sentence.endswith("with -1 references, held by nobody")


def free(life: Incarnation, *, effective: bool = True) -> FreeRequested:
    return FreeRequested(P, life, 1, "vfio", effective, "ACTIVE")


def test_a_freed_pasid_may_be_reclaimed() -> None:
    story = Story("freed-before-reclaim")
    for life in (1, 2):
        story.then("core", free(life))
        story.then("core", reclaimed(life))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize("first", [[], [free(1, effective=False)], [free(1), reclaimed(1)]])
def test_err_reclaimed_without_free(first: list[Event]) -> None:
    """A free that had no effect, or was for the life before, is none."""
    story = Story("freed-before-reclaim")
    for fact in first:
        story.then("core", fact)
    (sentence,) = story.then("core", reclaimed(2))
    assert sentence.startswith("PASID 5 (life 2) was reclaimed at input ")
    assert sentence.endswith("of core, but nobody had freed it")
