"""O1 to O17: what comes before what, known by happens-before and not by the clock."""

import pytest

from protocol.facts import (
    BindAnswered,
    DescriptorAccepted,
    DescriptorEnded,
    DeviceBound,
    DeviceTornDown,
    DeviceUnbound,
    NotificationSent,
    NotifierRegistered,
    NotifierUnregistered,
    ReferenceDropped,
    SiteFailed,
    StateChanged,
    SubscriberCalled,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    VmEntryBlocked,
    VmEntryLifted,
    VmExited,
    WorkDue,
    WorkFinished,
    WorkLinedUp,
)
from tests.protocol.stories import PASID, Story, allocated, reclaimed

P = PASID
KVM, VDCM = "vm1.kvm", "vdcm.dsa0"


# --- O1 -------------------------------------------------------------------------------------------

WORK = ("dsa0", "vm1", "vm1:1", P, 1)


def teardown(why: str = "free", device: str = "dsa0") -> DeviceUnbound:
    return DeviceUnbound(device, P, 1, "vm1", why, "teardown:1")


def with_work() -> Story:
    story = Story("descriptors-ended-before-reclaim")
    story.then("dsa0", DescriptorAccepted(*WORK))
    return story


def test_err_work_is_in_the_device_when_it_is_torn_down_after_free() -> None:
    story = with_work()
    [said] = story.then("iommu", teardown())
    assert "after FREE" in said
    assert "descriptor vm1:1 in dsa0 still there" in said


def test_err_nobody_knows_that_the_work_has_ended() -> None:
    story = with_work()
    story.then("dsa0", DescriptorEnded(*WORK, "success"))
    [said] = story.apart("iommu", teardown())
    assert "not known to have ended" in said


@pytest.mark.parametrize(
    ("actor", "fact"),
    [
        ("vm1.guest", VmExited("vm1")),
        (VDCM, SiteFailed("vdcm.queue.nomem")),
        ("dsa0", DescriptorEnded(*WORK, "success")),
    ],
)
def test_when_work_may_be_there(actor: str, fact: VmExited | SiteFailed | DescriptorEnded) -> None:
    story = with_work()
    story.then(actor, fact)
    assert story.then("iommu", teardown()) == []


@pytest.mark.parametrize("lost", [VDCM, KVM])
def test_nobody_stops_the_work_for_one_who_was_lost(lost: str) -> None:
    story = with_work()
    story.lose(lost)
    assert story.then("iommu", teardown()) == []


def test_a_guest_that_unbinds_may_have_left_its_work_there() -> None:
    story = with_work()
    assert story.then("iommu", teardown("unbind")) == []
    assert story.then("iommu", teardown("free", "dsa1")) == []


# --- O7, O8, O9 -----------------------------------------------------------------------------------


def sent(what: str, life: int = 1) -> NotificationSent:
    return NotificationSent(what, P, life, 1, "vm1", 101)


BOUND = DeviceBound("dsa0", P, 1, "vm1", "bind:1")
SVM = SvmCreated(P, 1, "vm1", 1)
TORN = DeviceTornDown("dsa0", P, 1)


def bound() -> Story:
    story = Story("told-while-bound")
    story.then("iommu", SVM)
    story.then("iommu", BOUND)
    story.then("core", sent("BIND"))
    return story


def test_told_of_in_time() -> None:
    story = bound()
    story.then("vfio", BindAnswered(P, 1, "vm1", 0, "bind:1", "", 0))
    story.then("iommu", TORN)
    story.then("core", sent("UNBIND"))
    story.then("iommu", SvmFreed(P, 1, 1))
    assert story.said == []


def test_err_bind_is_told_before_an_entry_is_usable() -> None:
    story = Story("told-while-bound")
    story.then("iommu", SVM)
    assert "before an entry is usable" in story.then("core", sent("BIND"))[0]
    story = Story("told-while-bound")
    story.then("iommu", SVM)
    story.then("iommu", BOUND)
    assert len(story.apart("core", sent("BIND"))) == 1


def test_what_another_caller_attaches_is_no_bind() -> None:
    assert Story("told-while-bound").then("core", sent("BIND")) == []


def test_err_unbind_is_told_while_a_device_is_bound() -> None:
    story = bound()
    assert "UNBIND is told with dsa0" in story.then("core", sent("UNBIND"))[0]
    story = bound()
    story.then("iommu", TORN)
    assert "without waiting for the last teardown" in story.apart("core", sent("UNBIND"))[0]


def test_err_the_driver_puts_without_unbind() -> None:
    story = bound()
    story.then("iommu", TORN)
    assert "without having told UNBIND" in story.then("iommu", SvmFreed(P, 1, 1))[0]
    story = bound()
    story.then("iommu", TORN)
    story.then("core", sent("UNBIND"))
    assert len(story.apart("iommu", SvmFreed(P, 1, 1))) == 1


def test_err_a_bind_that_succeeds_in_silence() -> None:
    story = Story("told-while-bound")
    story.then("iommu", BOUND)
    answer = BindAnswered(P, 1, "vm1", 0, "bind:1", "", 0)
    assert "succeeds without BIND" in story.then("vfio", answer)[0]


def test_a_bind_that_fails_needs_to_tell_nobody() -> None:
    story = Story("told-while-bound")
    story.then("iommu", BOUND)
    story.then("iommu", TORN)
    story.then("iommu", SvmFreed(P, 1, 1))
    story.then("vfio", BindAnswered(P, 1, "vm1", 0, "bind:1", "ENOMEM", 1))
    assert story.said == []


# --- O10, O11, O16 --------------------------------------------------------------------------------


def called(what: str, *subscribers: str) -> list[str]:
    story = Story("subscribers-called-in-order")
    story.then("core", StateChanged(P, 1, "ACTIVE", "FREE_PENDING", 3))
    story.then("core", sent(what))
    for one in subscribers:
        story.then("core", SubscriberCalled(what, P, 1, one, "", 0))
    return story.said


@pytest.mark.parametrize("what", ["FREE", "UNBIND", "ALLOC"])
def test_who_keeps_the_guest_out_is_called_first(what: str) -> None:
    assert called(what, KVM, "vdcm.dsa0", "vdcm.dsa1", "iommu") == []
    assert "came to vdcm.dsa0 after iommu" in called(what, KVM, "iommu", "vdcm.dsa0")[0]


def test_who_lets_the_guest_in_is_called_last() -> None:
    assert called("BIND", "vdcm.dsa1", "vdcm.dsa0", KVM) == []
    assert "came to vdcm.dsa0 after vm1.kvm" in called("BIND", KVM, "vdcm.dsa0")[0]


def test_each_notification_begins_anew() -> None:
    story = Story("subscribers-called-in-order")
    for what in ("ALLOC", "UNBIND"):
        story.then("core", sent(what))
        story.then("core", SubscriberCalled(what, P, 1, KVM, "", 0))
        story.then("core", SubscriberCalled(what, P, 1, VDCM, "", 0))
    assert story.said == []


@pytest.mark.parametrize("after", ["IDLE", "FREE"])
def test_err_free_before_it_is_pending(after: str) -> None:
    story = Story("subscribers-called-in-order")
    story.then("core", StateChanged(P, 1, "ACTIVE", "FREE_PENDING", 3))
    story.then("core", StateChanged(P, 1, "FREE_PENDING", after, 0))
    [said] = story.then("core", SubscriberCalled("FREE", P, 1, KVM, "", 0))
    assert "before the PASID is FREE_PENDING" in said


def test_err_registered_after_the_first_pasid() -> None:
    story = Story("registered-before-the-first-pasid")
    story.then("core", NotifierRegistered(KVM, "vm1", active=True))
    story.then("core", allocated(1))
    story.then("core", NotifierRegistered("iommu", "", active=True))
    story.then("core", NotifierRegistered("vm2.kvm", "vm2", active=True))
    assert story.said == []
    [said] = story.then("core", NotifierRegistered(VDCM, "vm1", active=True))
    assert said.startswith("vdcm.dsa0 was registered for vm1")
    story.then("core", reclaimed(1))
    assert story.then("core", NotifierRegistered("vdcm.dsa1", "vm1", active=True)) == []


# --- O12, O17 -------------------------------------------------------------------------------------

CLEAR = TranslationCleared("vm1", 101, P, 1)
PUT = ReferenceDropped(P, 1, "vm1.kvm:translation", 2)


def blocked() -> Story:
    story = Story("vcpus-kept-out-while-cleared")
    story.then(KVM, VmEntryBlocked("vm1"))
    story.then(KVM, CLEAR)
    return story


def test_cleared_and_put_under_the_block() -> None:
    story = blocked()
    story.then("core", ReferenceDropped(P, 1, "iommu:svm", 2))
    story.then("core", PUT)
    story.then(KVM, VmEntryLifted("vm1"))
    assert story.said == []


def test_err_cleared_with_vcpus_in_the_guest() -> None:
    story = blocked()
    story.then(KVM, VmEntryLifted("vm1"))
    assert "with vCPUs of vm1 in the guest" in story.then(KVM, CLEAR)[0]


def test_err_lifted_before_the_put() -> None:
    story = blocked()
    story.then(KVM, VmEntryLifted("vm1"))
    assert "let in before the put" in story.then("core", PUT)[0]
    assert story.then("core", PUT) == []
    story = blocked()
    story.then("core", PUT)
    assert "let in before the put" in story.apart(KVM, VmEntryLifted("vm1"))[0]


def test_cleared_when_it_is_off_the_chain() -> None:
    story = Story("vcpus-kept-out-while-cleared")
    story.then("core", NotifierUnregistered(KVM, "vm1"))
    assert story.then(KVM, CLEAR) == []
    story = Story("vcpus-kept-out-while-cleared")
    story.then("core", NotifierUnregistered(KVM, "vm1"))
    assert len(story.apart(KVM, CLEAR)) == 1


# --- O14 ------------------------------------------------------------------------------------------


def queue(*works: str) -> Story:
    story = Story("works-in-order")
    for work in works:
        owner, _, name = work.rpartition(" ")
        story.then("workqueue", WorkLinedUp(owner, name, P, 1))
    return story


def due(owner: str, work: str = "a") -> WorkDue:
    return WorkDue(owner, work, P, 1)


def finished(owner: str, work: str = "a") -> WorkFinished:
    return WorkFinished(owner, work, P, 1)


def test_works_in_their_order() -> None:
    story = queue("iommu a", f"{VDCM} a")
    for owner in ("iommu", VDCM):
        story.then("workqueue", due(owner))
        story.then("workqueue", finished(owner))
    assert story.said == []


def test_err_one_that_was_queued_later() -> None:
    story = queue("iommu a", f"{VDCM} a")
    [said] = story.then("workqueue", due(VDCM))
    assert said.startswith("the turn of a of vdcm.dsa0 came before a of iommu")
    story.then("workqueue", finished(VDCM))
    assert story.then("workqueue", due("iommu")) == []


def test_err_two_at_a_time() -> None:
    story = queue("iommu a", f"{VDCM} a")
    story.then("workqueue", due("iommu"))
    [said] = story.then("workqueue", due(VDCM))
    assert said.startswith("the turn of a of vdcm.dsa0 came while a of iommu runs")


def test_the_lost_have_no_turn_and_keep_nobody_waiting() -> None:
    story = queue(f"{VDCM} a", "iommu a")
    story.lose(VDCM)
    assert story.then("workqueue", due("iommu")) == []
    story = queue(f"{VDCM} a", "iommu a")
    story.then("workqueue", due(VDCM))
    story.lose(VDCM)
    assert story.then("workqueue", due("iommu")) == []
