"""N1, N2, N14, N16, N17: what devices do, and what nobody may do to them."""

import pytest

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    DmaTranslated,
    EnqcmdIssued,
    Event,
    FreeRequested,
    LockReleased,
    LockTaken,
    LockWaited,
    NotificationAnswered,
    NotificationHandled,
    PageAnswered,
    SleepMay,
    SlotProgrammed,
    TranslationWritten,
    WqCleared,
    WqProgrammed,
)
from protocol.names import Incarnation
from tests.protocol.stories import PASID, Story, allocated, cleared, reclaimed

P = PASID


def dma(life: Incarnation, table: Incarnation, table_vm: str = "vm1") -> DmaTranslated:
    return DmaTranslated("dsa0", "vm1", P, life, 7, "device-tlb", table_vm, table)


# --- N1, N2 ---------------------------------------------------------------------------------------


def test_dma_within_its_life() -> None:
    story = Story("dma-in-its-own-life")
    for life in (1, 2):
        story.then("dsa0", dma(life, life))
        story.then("core", reclaimed(life))
    assert story.said == []
    assert story.owed() == []


def test_err_dma_through_the_next_owner_s_table() -> None:
    (sentence,) = Story("dma-in-its-own-life").then("dsa0", dma(1, 2, "vm2"))
    assert sentence == (
        "DMA of vm1 with PASID 5 (life 1) by dsa0 was translated by the tables of vm2, life 2 "
        "(device-tlb, at input 1 of dsa0)"
    )


def test_err_dma_through_another_life_of_the_same_vm() -> None:
    assert len(Story("dma-in-its-own-life").then("dsa0", dma(1, 2))) == 1


def test_err_dma_through_an_entry_that_was_zeroed_while_present() -> None:
    """Through tables of nobody (S46)."""
    (sentence,) = Story("dma-in-its-own-life").then("dsa0", dma(1, 1, ""))
    assert "the tables of nobody" in sentence


def test_a_ghost_that_is_not_known_proves_nothing() -> None:
    assert Story("dma-in-its-own-life").then("dsa0", dma(1, 0), dma(0, 1)) == []


def test_err_dma_after_the_reclaim() -> None:
    story = Story("dma-in-its-own-life")
    story.then("core", reclaimed(1))
    (sentence,) = story.then("dsa0", dma(1, 1))
    assert sentence.startswith("DMA of vm1 by dsa0 began for PASID 5 (life 1) after its reclaim")


def test_err_dma_that_the_reclaim_had_not_seen() -> None:
    story = Story("dma-in-its-own-life")
    story.then("dsa0", dma(1, 1))
    assert len(story.apart("core", reclaimed(1))) == 1


def test_dma_of_a_device_that_is_gone_is_past() -> None:
    story = Story("dma-in-its-own-life")
    story.then("dsa0", dma(1, 1))
    story.lose("dsa0")
    assert story.apart("core", reclaimed(1)) == []


def test_page_answers_of_the_same_life_or_of_nobody() -> None:
    story = Story("page-answers-in-the-same-life")
    story.then("iommu", PageAnswered("dsa0", P, 1, 3, 0, answerer=1))
    story.then("iommu", PageAnswered("dsa0", P, 1, 3, 1, answerer=0))
    assert story.said == []
    assert story.owed() == []


def test_err_a_page_answer_of_the_next_life() -> None:
    answered = PageAnswered("dsa0", P, 1, 3, 0, answerer=2)
    (sentence,) = Story("page-answers-in-the-same-life").then("iommu", answered)
    assert sentence == (
        "page group 3 of dsa0, raised by PASID 5 (life 1), was answered with code 0 by life 2 "
        "at input 1 of iommu"
    )


# --- N14 ------------------------------------------------------------------------------------------

HANDLED = NotificationHandled("FREE", P, 1, "notify:1")
RETURNED = NotificationAnswered("FREE", P, 1, "notify:1", "OK")
HELD = LockTaken("iommu_lock", "spinlock", "work:1")
LET_GO = LockReleased("iommu_lock", "spinlock", "work:1")


@pytest.mark.parametrize(
    "facts",
    [
        [HANDLED, RETURNED, SleepMay("notify:1", "drain")],
        [HANDLED, SleepMay("work:1", "drain")],
        [HANDLED, LockTaken("l", "spinlock", "notify:1"), LockWaited("l", "spinlock", "notify:1")],
        [HELD, LET_GO, SleepMay("work:1", "drain")],
        [HELD, LockTaken("m", "mutex", "work:2"), LockReleased("m", "mutex", "work:2")],
        [LET_GO, RETURNED],
    ],
)
def test_sleeping_elsewhere(facts: list[Event]) -> None:
    story = Story("atomic-code-never-sleeps")
    for fact in facts:
        story.then("iommu", fact)
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ([HANDLED, SleepMay("notify:1", "drain")], "iommu may sleep (drain) in task notify:1"),
        ([HANDLED, LockTaken("m", "mutex", "notify:1")], "iommu took mutex m in task notify:1"),
        ([HANDLED, LockWaited("m", "mutex", "notify:1")], "iommu waits for mutex m in task"),
        ([HELD, SleepMay("work:1", "drain")], "iommu may sleep (drain) in task work:1"),
    ],
)
def test_err_sleeping_where_one_may_not(facts: list[Event], words: str) -> None:
    story = Story("atomic-code-never-sleeps")
    for fact in facts:
        story.then("iommu", fact)
    (sentence,) = story.said
    assert sentence.startswith(words)


def test_err_all_reasons_are_given() -> None:
    story = Story("atomic-code-never-sleeps")
    story.then("iommu", HANDLED, LockTaken("l", "spinlock", "notify:1"))
    (sentence,) = story.then("iommu", SleepMay("notify:1", "rcu"))
    assert sentence.endswith("in its FREE handler and with spinlock l held")
    story.then("iommu", RETURNED)
    (sentence,) = story.then("iommu", SleepMay("notify:1", "rcu"))
    assert sentence.endswith(", with spinlock l held")


def test_another_actor_s_task_of_the_same_name_may_sleep() -> None:
    story = Story("atomic-code-never-sleeps")
    story.then("iommu", HANDLED)
    assert story.then("vm1.kvm", SleepMay("notify:1", "rcu")) == []


# --- N16 ------------------------------------------------------------------------------------------


def inside(life: Incarnation) -> list[tuple[Event, Event]]:
    return [
        (
            DescriptorAccepted("dsa0", "vm1", "vm1:7", P, life),
            DescriptorEnded("dsa0", "vm1", "vm1:7", P, life, "success"),
        ),
        (
            WqProgrammed("vm1", "dsa0", "wq", P, life),
            WqCleared("vm1", "dsa0", "wq", P, life),
        ),
        (
            CacheFilled("device-tlb", "dsa0", P, life),
            CacheFlushed("device-tlb", "dsa0", P, life),
        ),
    ]


def test_one_life_after_the_other() -> None:
    story = Story("lives-apart-in-a-device")
    for life in (1, 2):
        for enters, _ in inside(life):
            story.then("dsa0", enters)
        for _, leaves in inside(life):
            story.then("dsa0", leaves, leaves)
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize("old", [0, 1, 2])
@pytest.mark.parametrize("new", [0, 1, 2])
def test_err_two_lives_in_one_device(old: int, new: int) -> None:
    story = Story("lives-apart-in-a-device")
    story.then("dsa0", inside(1)[old][0])
    (sentence,) = story.then("dsa0", inside(2)[new][0])
    assert "of PASID 5 (life 2) came into dsa0 at input 2 of dsa0" in sentence
    assert "where life 1 still has" in sentence


def test_two_devices_are_two_devices() -> None:
    story = Story("lives-apart-in-a-device")
    story.then("dsa0", CacheFilled("device-tlb", "dsa0", P, 1))
    story.then("dsa1", CacheFilled("device-tlb", "dsa1", P, 2))
    story.then("dmar0", CacheFilled("iotlb", "dsa0", P, 2), CacheFlushed("iotlb", "dsa0", P, 2))
    assert story.said == []


# --- N17 ------------------------------------------------------------------------------------------

EFFECTS: list[tuple[Event, str]] = [
    (TranslationWritten("vm2", 101, P, 1), "vm2 got a translation to"),
    (SlotProgrammed("vm2", "dsa0", "wq", P, 1), "vm2 got a wq slot with"),
    (EnqcmdIssued("vm2", "dsa0", P, 1), "vm2 issued a command with"),
    (DescriptorAccepted("dsa0", "vm2", "vm2:7", P, 1), "vm2 got work into dsa0 with"),
    (cleared(by="vm2"), "vm2 cleared (unbind) the entry of"),
    (cleared(by="vm2", why="release"), "vm2 cleared (release) the entry of"),
    (cleared(by="vm2", why="rollback"), "vm2 cleared (rollback) the entry of"),
]


@pytest.mark.parametrize(("fact", "words"), EFFECTS)
def test_err_one_vm_acts_on_another_s_pasid(fact: Event, words: str) -> None:
    story = Story("damage-confined-to-the-vm")
    story.then("core", allocated(1, vm="vm1"))
    (sentence,) = story.then("anybody", fact)
    assert sentence.startswith(f"{words} PASID 5 (life 1), of vm1 in set 1, at")


@pytest.mark.parametrize(("fact", "words"), EFFECTS)
def test_a_vm_acts_on_its_own(fact: Event, words: str) -> None:
    story = Story("damage-confined-to-the-vm")
    assert words
    assert story.then("anybody", fact) == []
    story.then("core", allocated(1, vm="vm2"))
    assert story.then("anybody", fact) == []
    assert story.owed() == []


def test_after_free_the_driver_clears_for_itself() -> None:
    story = Story("damage-confined-to-the-vm")
    story.then("core", allocated(1, vm="vm1"))
    story.then("core", FreeRequested(5, 1, 1, "vfio", effective=True, state="ACTIVE"))
    assert story.then("dmar0", cleared(by="", why="free")) == []


def test_err_the_driver_clears_what_nobody_has_freed() -> None:
    story = Story("damage-confined-to-the-vm")
    story.then("core", allocated(1, vm="vm1"))
    story.then("core", FreeRequested(5, 1, 2, "vfio", effective=False, state="ACTIVE"))
    (sentence,) = story.then("dmar0", cleared(by="", why="free"))
    assert sentence.startswith(
        "the driver cleared, as if it had been freed, PASID 5 (life 1), of vm1 in set 1, at"
    )
