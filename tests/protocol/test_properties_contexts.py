"""N7, N15, N18: contexts and their references, notifications out of turn, free."""

import pytest
from msgspec.structs import replace

from protocol.facts import (
    Event,
    FreeAnswered,
    FreeRequested,
    NotificationHandled,
    PasidLinked,
    PasidUnlinked,
    SlotCleared,
    SlotProgrammed,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    TranslationWritten,
)
from protocol.properties.no_chained_notification import INPUTS_MAX
from tests.protocol.stories import PASID, Story, dropped, reclaimed, sent, taken

P = PASID


# --- N7 -------------------------------------------------------------------------------------------

CONTEXTS: list[tuple[str, str, Event, Event]] = [
    (
        "vm1.kvm",
        "vm1.kvm:translation",
        TranslationWritten("vm1", 101, P, 1),
        TranslationCleared("vm1", 101, P, 1),
    ),
    (
        "vdcm.dsa0",
        "vdcm.dsa0:vm1:wq",
        SlotProgrammed("vm1", "dsa0", "wq", P, 1),
        SlotCleared("vm1", "dsa0", "wq", P, 1),
    ),
    ("iommu", "iommu:svm", SvmCreated(P, 1, "vm1", 1), SvmFreed(P, 1, 1)),
    ("vfio", "vfio:owner", PasidLinked(P, 1, "vm1"), PasidUnlinked(P, 1, "vm1")),
]

contexts = pytest.mark.parametrize(("actor", "holder", "opened", "closed"), CONTEXTS)


@contexts
def test_a_context_within_its_reference(
    actor: str, holder: str, opened: Event, closed: Event
) -> None:
    story = Story("contexts-hold-references")
    for _ in range(2):
        story.then("core", taken(holder=holder))
        story.then(actor, opened)
        story.then(actor, closed)
        story.then("core", dropped(holder=holder))
        story.then("core", reclaimed(1))
    assert story.said == []
    assert story.owed() == []


@contexts
def test_err_a_context_without_a_reference(
    actor: str, holder: str, opened: Event, closed: Event
) -> None:
    """A get that failed, or a reference that is somebody else's, does not count (S21)."""
    story = Story("contexts-hold-references")
    story.then("core", taken(holder="somebody:else"))
    (sentence,) = story.then(actor, opened)
    assert sentence.startswith(f"a context of {holder} on PASID 5 (life 1) was opened")
    assert story.then(actor, closed) == []


@contexts
def test_err_a_reference_dropped_while_the_context_is_open(
    actor: str, holder: str, opened: Event, closed: Event
) -> None:
    story = Story("contexts-hold-references")
    story.then("core", taken(holder=holder))
    story.then(actor, opened)
    (sentence,) = story.then("core", dropped(holder=holder))
    assert sentence.startswith(f"the reference of {holder} on PASID 5 (life 1) was dropped")
    assert sentence.endswith("while its context was open")
    assert story.then(actor, closed) == []


@contexts
def test_err_a_reference_dropped_that_never_saw_the_context_closed(
    actor: str, holder: str, opened: Event, closed: Event
) -> None:
    story = Story("contexts-hold-references")
    story.then("core", taken(holder=holder))
    story.then(actor, opened)
    story.then(actor, closed)
    (sentence,) = story.apart("core", dropped(holder=holder))
    assert sentence.endswith(f"not known to be after its context was closed (input 2 of {actor})")


@contexts
def test_err_a_context_that_never_saw_its_reference_granted(
    actor: str, holder: str, opened: Event, closed: Event
) -> None:
    """Whoever does not wait for the answer is lucky at best (S21)."""
    story = Story("contexts-hold-references")
    story.then("core", taken(holder=holder))
    (sentence,) = story.apart(actor, opened)
    assert sentence.endswith("not known to be after its reference was granted (input 1 of core)")
    assert story.then(actor, closed) == []


def test_err_one_reference_is_not_enough_for_two_contexts() -> None:
    story = Story("contexts-hold-references")
    story.then("core", taken(holder="vm1.kvm:translation"))
    story.then("vm1.kvm", TranslationWritten("vm1", 101, P, 1))
    assert len(story.then("vm1.kvm", TranslationWritten("vm1", 102, P, 1))) == 1


def test_two_references_are() -> None:
    story = Story("contexts-hold-references")
    story.then("core", taken(holder="vm1.kvm:translation"))
    story.then("core", taken(holder="vm1.kvm:translation", refs=2))
    story.then("vm1.kvm", TranslationWritten("vm1", 101, P, 1))
    story.then("vm1.kvm", TranslationWritten("vm1", 102, P, 1))
    story.then("vm1.kvm", TranslationCleared("vm1", 102, P, 1))
    story.then("core", dropped(holder="vm1.kvm:translation", refs=1))
    assert story.said == []


def test_err_a_context_of_a_life_that_is_over() -> None:
    """Another life's reference does not carry it."""
    story = Story("contexts-hold-references")
    assert len(story.then("iommu", SvmCreated(P, 1, "vm1", 1))) == 1
    story.then("core", taken(2))
    assert len(story.then("iommu", SvmCreated(P, 1, "vm1", 1))) == 1
    assert story.then("iommu", SvmFreed(P, 1, 1)) == []


def test_a_context_whose_ghost_is_not_known_belongs_to_the_present_life() -> None:
    story = Story("contexts-hold-references")
    story.then("core", taken(2))
    assert story.then("iommu", SvmCreated(P, 0, "vm1", 1)) == []


def test_a_put_of_nothing_is_another_property_s() -> None:
    assert Story("contexts-hold-references").then("core", dropped()) == []


# --- N15 ------------------------------------------------------------------------------------------


def test_the_next_notification_begins_with_a_handler_s_reply() -> None:
    story = Story("no-chained-notification")
    story.then("vm1.kvm", NotificationHandled("BIND", P, 1, "notify:1"))
    story.then("core", sent("UNBIND"), input="NotifyReply", cause="vm1.kvm", cause_n=1)
    story.then("core", sent("UNBIND"), input="DetachSpid", cause="iommu", cause_n=1)
    story.then("core", sent("UNBIND"), input="DetachSpid", cause="vm1.kvm", cause_n=2)
    assert story.said == []
    assert story.owed() == []


def test_err_a_handler_that_sends_a_notification() -> None:
    story = Story("no-chained-notification")
    story.then("iommu", NotificationHandled("FREE", P, 1, "notify:1"))
    (sentence,) = story.then("core", sent("UNBIND"), input="DetachSpid", cause="iommu", cause_n=1)
    assert sentence == (
        "UNBIND of PASID 5 (life 1) was notified at input 1 of core because iommu called "
        "the core from its FREE handler"
    )


def test_only_so_many_handlers_are_remembered() -> None:
    story = Story("no-chained-notification")
    for _ in range(INPUTS_MAX + 1):
        story.then("iommu", NotificationHandled("FREE", P, 1, "notify:1"))
    stamp: dict[str, str | int] = {"input": "DetachSpid", "cause": "iommu"}
    assert story.then("core", sent("UNBIND"), **stamp, cause_n=1) == []
    assert len(story.then("core", sent("UNBIND"), **stamp, cause_n=2)) == 1


# --- N18 ------------------------------------------------------------------------------------------

REQUESTED = FreeRequested(P, 1, 1, "vfio", effective=True, state="ACTIVE")
ANSWERED = FreeAnswered(P, 1, "vfio")


@pytest.mark.parametrize("message", ["FreePasid", "FreeAllInSet", "NotifyReply", "HostLost"])
def test_a_free_answered_at_once(message: str) -> None:
    story = Story("free-answered-at-once")
    story.then("core", REQUESTED, ANSWERED, input=message)
    assert story.said == []
    assert story.owed() == []


def test_err_a_free_that_fails() -> None:
    (sentence,) = Story("free-answered-at-once").then(
        "core", REQUESTED, replace(ANSWERED, ok=False), input="FreePasid"
    )
    assert sentence == "the free of PASID 5 (life 1) by vfio failed at input 1 of core"


def test_err_a_free_that_waits_for_a_put() -> None:
    story = Story("free-answered-at-once")
    story.then("core", REQUESTED, input="FreePasid")
    (sentence,) = story.then("core", ANSWERED, input="PutPasid")
    assert sentence.endswith("was answered at input 2 of core only, in PutPasid")


def test_err_a_free_that_is_never_answered() -> None:
    story = Story("free-answered-at-once")
    story.then("core", REQUESTED, step=4)
    story.then("core", REQUESTED, step=6)
    story.then("core", ANSWERED, step=6, input="FreePasid")
    (sentence,) = story.owed()
    assert sentence == (
        "the free of PASID 5 (life 1) by vfio is not answered for 2 steps, since step 4;"
        " owed by core"
    )
    assert story.owed("core") == []
