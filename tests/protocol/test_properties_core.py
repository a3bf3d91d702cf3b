"""N3 to N6, N8 to N10, N13: what the core must never do, or let others do."""

import pytest
from msgspec.structs import replace

from protocol.facts import (
    CapacityChanged,
    DataAttached,
    EntryWritten,
    Event,
    FreeRequested,
    PasidAllocated,
    PasidLinked,
    PasidUnlinked,
    SetAllocated,
    SetFreed,
    SpidAttached,
    SpidDetached,
)
from protocol.names import INVALID_PASID, Incarnation
from tests.protocol.stories import PASID, Story, allocated, dropped, reclaimed, sent, taken

P = PASID


# --- N3 -------------------------------------------------------------------------------------------


def test_references_and_spids_before_free_are_fine() -> None:
    story = Story("no-reference-while-pending")
    story.then("core", taken(), SpidAttached(P, 1, 1, 101, "ACTIVE"))
    assert story.said == []
    assert story.owed() == []


def test_err_a_reference_on_what_was_freed() -> None:
    (sentence,) = Story("no-reference-while-pending").then("core", taken(state="FREE_PENDING"))
    assert sentence == (
        "iommu:svm got a reference on PASID 5 (life 1) at input 1 of core, "
        "while it was FREE_PENDING"
    )


def test_err_an_spid_for_what_was_freed() -> None:
    attached = SpidAttached(P, 1, 1, 101, "FREE_PENDING")
    (sentence,) = Story("no-reference-while-pending").then("core", attached)
    assert sentence.startswith("SPID 101 was attached to PASID 5 (life 1)")


# --- N4, N5 ---------------------------------------------------------------------------------------


def test_one_notification_for_each_transition() -> None:
    story = Story("one-notification-per-transition")
    for life in (1, 2, 3):
        for what in ("ALLOC", "BIND", "UNBIND", "BIND", "FREE", "UNBIND"):
            story.then("core", sent(what, life))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (["FREE", "FREE"], "FREE of PASID 5 (life 1) was notified again"),
        (["ALLOC", "ALLOC"], "ALLOC of PASID 5 (life 1) was notified again"),
        (["BIND", "BIND"], "BIND of PASID 5 (life 1) was notified again"),
        (["BIND", "UNBIND", "UNBIND"], "UNBIND of PASID 5 (life 1) was notified without a BIND"),
        (["UNBIND"], "UNBIND of PASID 5 (life 1) was notified without a BIND before it"),
    ],
)
def test_err_a_transition_notified_otherwise(story: list[str], words: str) -> None:
    told = Story("one-notification-per-transition")
    for what in story:
        told.then("core", sent(what))
    (sentence,) = told.said
    assert sentence.startswith(words)


def test_err_a_second_free_of_the_life_before() -> None:
    """It may come when the number lives again."""
    story = Story("one-notification-per-transition")
    story.then("core", sent("FREE", 1))
    story.then("core", sent("ALLOC", 2))
    assert len(story.then("core", sent("FREE", 1))) == 1
    assert story.then("core", sent("FREE", 2)) == []


def test_unbind_carries_what_bind_carried() -> None:
    story = Story("unbind-names-the-bound-spid")
    for life, spid in ((1, 101), (1, 102), (2, 101)):
        story.then("core", sent("BIND", life, spid))
        story.then("core", sent("UNBIND", life, spid))
    assert story.said == []
    assert story.owed() == []


def test_err_unbind_with_another_spid() -> None:
    story = Story("unbind-names-the-bound-spid")
    story.then("core", sent("BIND", spid=101))
    (sentence,) = story.then("core", sent("UNBIND", spid=102))
    assert sentence == (
        "UNBIND of PASID 5 (life 1) carried SPID 102 at input 2 of core, its BIND had carried 101"
    )


def test_err_unbind_after_the_spid_was_cleared() -> None:
    """As v3 did it (S18)."""
    story = Story("unbind-names-the-bound-spid")
    story.then("core", sent("BIND"))
    (sentence,) = story.then("core", sent("UNBIND", spid=INVALID_PASID))
    assert sentence.startswith("UNBIND of PASID 5 (life 1) carried the invalid SPID")


def test_err_bind_without_an_spid() -> None:
    story = Story("unbind-names-the-bound-spid")
    assert len(story.then("core", sent("BIND", spid=INVALID_PASID))) == 1


# --- N6 -------------------------------------------------------------------------------------------


def test_references_that_add_up() -> None:
    story = Story("references-add-up")
    for life in (1, 2):
        story.then("core", taken(life, "vfio:owner", 1))
        story.then("core", taken(life, "iommu:svm", 2))
        story.then("core", taken(life, "iommu:svm", 3))
        story.then("core", dropped(life, "vfio:owner", 2))
        story.then("core", dropped(life, "iommu:svm", 1))
        story.then("core", dropped(life, "iommu:svm", 0), reclaimed(life))
    assert story.said == []
    assert story.owed() == []


def test_err_a_count_that_is_not_the_sum() -> None:
    story = Story("references-add-up")
    (sentence,) = story.then("core", taken(refs=2))
    assert sentence == (
        "the core counts 2 references on PASID 5 (life 1) at input 1 of core, its holders have 1"
    )


def test_err_a_put_without_a_get() -> None:
    """A shared WQ's work puts what the WQ never took (S25c)."""
    story = Story("references-add-up")
    story.then("core", taken())
    (sentence,) = story.then("core", dropped(holder="vdcm.dsa0:vm1:swq"))
    assert sentence.startswith("vdcm.dsa0:vm1:swq put a reference on PASID 5 (life 1) that it did")


def test_err_a_put_after_the_reclaim() -> None:
    story = Story("references-add-up")
    assert len(story.then("core", dropped(refs=-1))) == 1


def test_err_reclaimed_over_the_head_of_a_holder() -> None:
    story = Story("references-add-up")
    story.then("core", taken())
    (sentence,) = story.then("core", reclaimed(1))
    assert sentence.endswith("with a count of 0, but iommu:svm had not put")


def test_a_reclaim_that_counts_its_holders_adds_up() -> None:
    """That it may not be is another rule (R1)."""
    story = Story("references-add-up")
    story.then("core", taken())
    assert story.then("core", replace(reclaimed(1), refs=1)) == []


# --- N8, N9 ---------------------------------------------------------------------------------------


def test_numbers_go_out_one_at_a_time() -> None:
    story = Story("numbers-in-use-are-unique")
    for life in (1, 2):
        story.then("core", allocated(life))
        story.then("core", SpidAttached(P, life, 1, 101, "ACTIVE"))
        story.then("core", SpidDetached(P, life, 1, 101))
        story.then("core", SpidAttached(P, life, 1, 101, "ACTIVE"))
        story.then("core", reclaimed(life))
    story.then("core", SpidDetached(P, 2, 1, 101))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize("pasid", [0, 9, INVALID_PASID])
def test_err_a_number_out_of_range(pasid: int) -> None:
    (sentence,) = Story("numbers-in-use-are-unique").then("core", allocated(1, pasid))
    assert sentence == (
        f"PASID {pasid} (life 1) was allocated at input 1 of core, outside of 1 to 8"
    )


def test_err_a_number_that_is_in_use() -> None:
    story = Story("numbers-in-use-are-unique")
    story.then("core", allocated(1))
    (sentence,) = story.then("core", allocated(2, vm="vm2"))
    assert sentence.endswith("while life 1 of the number was in use in set 1")


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (SpidAttached(P, 1, 1, INVALID_PASID, "ACTIVE"), "the invalid SPID was attached"),
        (SpidAttached(P, 1, 1, 102, "ACTIVE"), "SPID 102 of set 1 was attached to PASID 5"),
        (SpidAttached(P, 1, 2, 101, "ACTIVE"), "SPID 101 of set 2 was attached to PASID 5"),
        (SpidAttached(7, 1, 1, 101, "ACTIVE"), "SPID 101 of set 1 was attached to PASID 7"),
    ],
)
def test_err_an_spid_that_names_nothing_or_two(fact: SpidAttached, words: str) -> None:
    story = Story("numbers-in-use-are-unique")
    story.then("core", allocated(1))
    story.then("core", allocated(2, 6))
    story.then("core", SpidAttached(6, 2, 1, 102, "ACTIVE"))
    (sentence,) = story.then("core", fact)
    assert sentence.startswith(words)


SET = SetAllocated(1, "vm1", quota=2, capacity=8, available=5, reserved=1)


def test_quotas_that_add_up() -> None:
    story = Story("quotas-add-up")
    story.then("core", CapacityChanged(8, 7, 1), SET)
    story.then("core", allocated(1))
    story.then("core", reclaimed(1))
    story.then("core", SetFreed(1, "vm1", 2, 8, 7, 1))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([replace(SET, available=6)], "quotas of 2, 1 reserved and 6 available do not make"),
        ([CapacityChanged(8, 8, 1)], "quotas of 0, 1 reserved and 8 available do not make"),
        ([SetFreed(1, "vm1", 2, 8, 8, 1)], "quotas of 0, 1 reserved and 8 available"),
        ([SET, allocated(1), SetFreed(1, "vm1", 2, 8, 7, 1)], "set 1 was freed at"),
        ([SET, PasidAllocated(P, 1, 1, "vm1", 2)], "the core counts 2 PASIDs in set 1"),
        ([replace(SET, quota=0, available=7), allocated(1)], "set 1 has 1 PASIDs at"),
        ([allocated(1)], "PASID 5 came or went at input 1 of core in set 1, which does not"),
    ],
)
def test_err_quotas_that_do_not(facts: list[Event], words: str) -> None:
    (sentence,) = Story("quotas-add-up").then("core", *facts)
    assert sentence.startswith(words)


# --- N10, N13 -------------------------------------------------------------------------------------


def entry(vm: str, life: Incarnation = 1) -> EntryWritten:
    return EntryWritten("dmar0", "dsa0", P, life, vm, 1, was_present=False)


def test_the_owner_may() -> None:
    story = Story("only-the-owner-acts")
    for life in (1, 2, 3):
        story.then("core", allocated(life))
        story.then("core", replace(taken(life), token="vm1"))
        story.then("vfio", PasidLinked(P, life, "vm1"), PasidUnlinked(P, life, "vm1"))
        story.then("core", taken(life, "iommu:svm", 2))
        story.then("dmar0", entry("vm1", life))
        story.then("core", FreeRequested(P, life, 1, "vfio", effective=True, state="ACTIVE"))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (replace(taken(), token="vm2"), "iommu:svm got a reference for vm2 at"),
        (entry("vm2"), "dsa0 got an entry for vm2 at"),
        (entry("vm2", life=0), "dsa0 got an entry for vm2 at"),
        (FreeRequested(P, 1, 2, "vfio", effective=True, state="IDLE"), "vfio freed for set 2 at"),
        (PasidLinked(P, 1, "vm2"), "it was linked for vm2 at"),
        (PasidUnlinked(P, 1, "vm2"), "it was unlinked for vm2 at"),
    ],
)
def test_err_another_may_not(fact: Event, words: str) -> None:
    story = Story("only-the-owner-acts")
    story.then("core", allocated(1))
    (sentence,) = story.then("anybody", fact)
    assert sentence.startswith(words)
    assert "of vm1 in set 1" in sentence


def test_err_a_pasid_without_an_mm_is_no_vm_s() -> None:
    story = Story("only-the-owner-acts")
    story.then("core", PasidAllocated(P, 1, 1, "", 1))
    (sentence,) = story.then("dmar0", entry("vm1"))
    assert sentence.endswith("PASID 5 (life 1), of no mm in set 1")


def test_the_life_before_is_remembered_and_no_more() -> None:
    story = Story("only-the-owner-acts")
    story.then("core", allocated(1))
    story.then("core", allocated(2, vm="vm2"))
    assert story.then("dmar0", entry("vm1", 1)) == []
    assert len(story.then("dmar0", entry("vm2", 1))) == 1
    story.then("core", allocated(3, vm="vm2"))
    assert story.then("dmar0", entry("vm2", 1)) == []


def test_what_was_never_allocated_is_nobody_s() -> None:
    free = FreeRequested(P, 1, 2, "vfio", effective=True, state="IDLE")
    assert Story("only-the-owner-acts").then("core", entry("vm2"), free) == []


def test_a_free_without_effect_may_name_any_set() -> None:
    story = Story("only-the-owner-acts")
    story.then("core", allocated(1))
    assert story.then("core", FreeRequested(P, 1, 2, "x", effective=False, state="IDLE")) == []


def test_private_data_where_none_was() -> None:
    assert Story("private-data-kept").then("core", DataAttached(P, 1, 4, 0)) == []


def test_err_private_data_replaced() -> None:
    (sentence,) = Story("private-data-kept").then("core", DataAttached(P, 1, 4, 3))
    assert sentence == (
        "private data 4 was attached to PASID 5 (life 1) at input 1 of core in place of 3"
    )
