"""What must come to an end, what a script expects, and what a run should have shown."""

import pytest
from msgspec import structs

from protocol.facts import (
    BindAnswered,
    DeviceBound,
    DeviceUnbound,
    DrainScanned,
    Event,
    FdsReleased,
    FreeRequested,
    NotifierRegistered,
    NotifierUnregistered,
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    PageAnswered,
    PasidUnlinked,
    ReferenceDropped,
    ReferenceTaken,
    RequestAutoAnswered,
    SetAllocated,
    SetFreed,
    UnbindRequested,
    VmEntryBlocked,
    VmEntryLifted,
    VmExited,
)
from protocol.machine import IOMMUFD
from tests.protocol.stories import MACHINE, PASID, Story, allocated, reclaimed

P = PASID


def free(*, effective: bool = True) -> FreeRequested:
    return FreeRequested(P, 1, 1, "vfio", effective, "ACTIVE")


def taken(holder: str) -> ReferenceTaken:
    return ReferenceTaken(P, 1, holder, 1, "ACTIVE")


# --- L1 -------------------------------------------------------------------------------------------


def test_a_freed_pasid_comes_back() -> None:
    story = Story("freed-pasids-are-reclaimed")
    story.then("core", taken("iommu:svm"))
    story.then("core", free(), free(effective=False))
    story.then("core", ReferenceDropped(P, 1, "iommu:svm", 0), reclaimed(1))
    assert story.said == []
    assert story.owed() == []


def test_err_a_freed_pasid_that_somebody_holds() -> None:
    story = Story("freed-pasids-are-reclaimed")
    for holder in ("vfio:owner", "iommu:svm", "vdcm.dsa0:vm1:wq", "vdcm.dsa0:vm1:wq"):
        story.then("core", taken(holder))
    story.then("core", free(), step=2031)
    story.then("core", ReferenceDropped(P, 1, "vfio:owner", 3))
    story.then("core", ReferenceDropped(P, 1, "vdcm.dsa0:vm1:wq", 2))
    story.then("core", ReferenceDropped(P, 1, "vm1.kvm:translation", 2))
    assert story.owed() == [
        (
            "PASID 5 (life 1) FREE_PENDING for 0 steps, since step 2,031;"
            " held by iommu:svm, vdcm.dsa0:vm1:wq"
        )
    ]


def test_err_a_freed_pasid_that_nobody_holds() -> None:
    story = Story("freed-pasids-are-reclaimed")
    story.then("core", free())
    assert story.owed() == [
        (
            "PASID 5 (life 1) FREE_PENDING, and nobody holds it, for 0 inputs of core,"
            " since its input 1; owed by core"
        )
    ]


def test_what_only_the_lost_hold_stays_as_it_is() -> None:
    story = Story("freed-pasids-are-reclaimed")
    story.then("core", taken("vdcm.dsa0:vm1:wq"))
    story.then("core", free())
    story.lose("vdcm.dsa0")
    assert story.owed() == []
    story.then("core", taken("iommu:svm"))
    assert len(story.owed()) == 1


# --- L4 -------------------------------------------------------------------------------------------

SET = SetAllocated(1, "vm1", 8, 8, 0, 0)
BLOCK = NotifierRegistered("vm1.kvm", "vm1", active=True)


def running() -> Story:
    story = Story("exited-vms-leave-nothing")
    story.then("core", SET, BLOCK, allocated(1), taken("iommu:svm"))
    return story


def test_a_vm_that_runs_may_have_everything() -> None:
    assert running().owed() == []


def test_a_vm_that_has_exited_and_left_nothing() -> None:
    story = running()
    story.then("vm1.guest", VmExited("vm1"))
    story.then("core", NotifierUnregistered("vm1.kvm", "vm1"))
    story.then("core", ReferenceDropped(P, 1, "iommu:svm", 0), reclaimed(1))
    story.then("core", SetFreed(1, "vm1", 8, 8, 8, 0))
    assert story.said == []
    assert story.owed() == []


def test_err_a_vm_that_has_exited_and_left_all() -> None:
    story = running()
    story.then("vm1.guest", VmExited("vm1"), step=40)
    story.then("supervisor", VmExited("vm1"), step=50)
    assert story.owed() == [
        f"{what} for 10 steps, since step 40; {owner}"
        for what, owner in (
            ("PASID 5 (life 1) of vm1, which has exited, is not reclaimed", "held by iommu:svm"),
            ("set 1 of vm1, which has exited, is not freed", "owed by iommu:svm"),
            ("a notifier is registered for vm1, which has exited,", "owed by vm1.kvm"),
        )
    ]
    assert story.owed("iommu", "vm1.kvm") == []
    story.then("core", ReferenceDropped(P, 1, "iommu:svm", 0), reclaimed(1))
    assert "set 1" in story.owed("iommu", "vm1.kvm")[0]
    assert story.owed("vfio", "vm1.kvm") == []


def test_err_a_pasid_that_nobody_holds_is_not_excused() -> None:
    story = running()
    story.then("core", ReferenceDropped(P, 1, "iommu:svm", 0))
    story.then("vm1.guest", VmExited("vm1"))
    assert "held by nobody" in story.owed()[0]


def test_another_vm_s_exit_does_not_matter() -> None:
    story = running()
    story.then("vm2.guest", VmExited("vm2"))
    assert story.owed() == []


def test_what_the_lost_hold_is_excused_and_the_set_with_it() -> None:
    story = Story("exited-vms-leave-nothing")
    story.then("core", SET, BLOCK, allocated(1), taken("vm1.kvm:translation"))
    story.then("vm1.guest", VmExited("vm1"))
    story.lose("vm1.kvm")
    assert story.owed() == []


# --- L6 -------------------------------------------------------------------------------------------


def test_a_block_that_is_lifted() -> None:
    story = Story("vm-entry-lifted")
    story.then("vm1.kvm", VmEntryBlocked("vm1"), VmEntryLifted("vm1"), VmEntryLifted("vm1"))
    assert story.said == []
    assert story.owed() == []


def test_err_a_block_that_stays() -> None:
    story = Story("vm-entry-lifted")
    story.then("vm1.kvm", VmEntryBlocked("vm1"), step=3)
    story.then("vm1.kvm", VmEntryBlocked("vm1"), step=4)
    assert story.owed() == [
        "the vCPUs of vm1 are kept out of the guest for 1 step, since step 3; owed by vm1.kvm"
    ]
    assert story.owed("vm1.kvm") == []


def test_a_kvm_that_is_lost_keeps_nobody_out() -> None:
    story = Story("vm-entry-lifted")
    story.then("vm1.kvm", VmEntryBlocked("vm1"))
    story.then("vm2.kvm", VmEntryBlocked("vm2"))
    story.lose("vm1.kvm")
    (sentence,) = story.owed()
    assert "vm2" in sentence


# --- Operations -----------------------------------------------------------------------------------

INVOKED = OpInvoked(3, "bind p dsa0", P, 1)


@pytest.mark.parametrize(
    "end",
    [OpOk(3, "bind p dsa0"), OpFail(3, "bind p dsa0", "EBUSY"), OpInfo(3, "bind p dsa0")],
)
def test_an_operation_that_ends(end: Event) -> None:
    story = Story("operations-end")
    story.then("vm1.guest", INVOKED)
    story.then("vm1.guest", end)
    assert story.said == []
    assert story.owed() == []


def test_err_operations_that_do_not_end() -> None:
    story = Story("operations-end")
    story.then("vm1.guest", OpInvoked(3, "bind", P, 1, "dsa0"), step=7)
    story.then("vm1.guest", OpInvoked(4, "alloc"), step=8)
    assert story.owed() == [
        f"operation {what}, has not ended for {since}; it goes through vm1.guest, vfio"
        for what, since in (
            ("3 of vm1.guest, bind with PASID 5 (life 1)", "1 step, since step 7"),
            ("4 of vm1.guest, alloc", "0 steps, since step 8"),
        )
    ]


def test_a_modern_kernels_guest_is_owed_it_by_its_vmm() -> None:
    story = Story("operations-end", structs.replace(MACHINE, stack=IOMMUFD))
    story.then("vm1.guest", OpInvoked(4, "alloc"))
    (said,) = story.owed()
    assert said.endswith("it goes through vm1.guest, core")


def test_a_guest_that_is_lost_ends_nothing() -> None:
    story = Story("operations-end")
    story.then("vm1.guest", INVOKED)
    story.lose("vm1.guest")
    assert story.owed() == []


def test_nor_does_one_whose_vm_has_exited() -> None:
    story = Story("operations-end")
    story.then("supervisor", VmExited("vm1"))
    story.then("vm1.guest", INVOKED)
    assert story.owed() == []


def test_outcomes_that_a_script_allows() -> None:
    story = Story("outcomes-as-scripted")
    story.then("vm1.guest", OpOk(1, "alloc"), OpFail(2, "bind", "EBUSY", "EBUSY"), OpInfo(3, "x"))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize(
    ("end", "how"),
    [
        (OpOk(2, "bind q dsa0", "EBUSY", met=False), "ok"),
        (OpFail(2, "bind q dsa0", "EINVAL", "EBUSY", met=False), "EINVAL"),
        (OpInfo(2, "bind q dsa0", "EBUSY", met=False), "info"),
    ],
)
def test_err_an_outcome_that_it_does_not(end: Event, how: str) -> None:
    (sentence,) = Story("outcomes-as-scripted").then("vm2.guest", end)
    assert sentence == (
        f"operation 2 of vm2.guest, bind q dsa0, ended in {how} at input 1 of vm2.guest, "
        f"expected EBUSY"
    )


# --- Witnesses ------------------------------------------------------------------------------------

BOUND = DeviceBound("dsa0", P, 1, "vm1", "bind:1")
UNBOUND = DeviceUnbound("dsa0", P, 1, "vm1", "unbind", "unbind:1")


def test_free_while_bound_is_seen() -> None:
    story = Story("free-while-bound")
    story.then("iommu", BOUND)
    assert story.then("core", free(effective=False)) == []
    (sentence,) = story.then("core", free())
    assert sentence == "vfio freed PASID 5 (life 1) at input 2 of core, bound to dsa0"
    assert story.owed() == []


def test_free_after_unbind_is_not() -> None:
    story = Story("free-while-bound")
    story.then("iommu", BOUND)
    story.then("iommu", UNBOUND, UNBOUND)
    story.then("core", free())
    story.then("core", reclaimed(1), free())
    assert story.said == []


def test_nor_is_a_free_that_did_not_know_of_the_bind() -> None:
    story = Story("free-while-bound")
    story.then("iommu", BOUND)
    assert story.apart("core", free()) == []


def test_reuse_is_seen_when_a_number_comes_again() -> None:
    story = Story("pasid-reused")
    story.then("core", allocated(1), reclaimed(1))
    assert story.then("core", allocated(2, 6)) == []
    (sentence,) = story.then("core", allocated(3))
    assert sentence == "PASID 5 (life 3) was allocated at input 3 of core, after life 1"
    assert story.owed() == []


SEEN: list[tuple[str, Event, str, Event]] = [
    (
        "drain-with-request-in-ring",
        DrainScanned("dsa0", P, 1, 2),
        "a drain of PASID 5 (life 1) on dsa0 found 2 requests in the ring at input 1 of vfio",
        DrainScanned("dsa0", P, 1, 0),
    ),
    (
        "rollback",
        BindAnswered(P, 1, "vm1", 0, "bind:1", "EBUSY", 1),
        (
            "the bind of PASID 5 (life 1) to group 0 of vm1 failed with EBUSY at input 1 of vfio "
            "and undid 1 devices"
        ),
        BindAnswered(P, 1, "vm1", 0, "bind:1", "EBUSY", 0),
    ),
    (
        "page-answered",
        PageAnswered("dsa0", P, 1, 3, 0, 1),
        "page group 3 of dsa0 for PASID 5 (life 1) was answered with SUCCESS at input 1 of vfio",
        PageAnswered("dsa0", P, 1, 3, 1, 0),
    ),
    (
        "ring-overflow",
        RequestAutoAnswered("dmar0", "dsa0", P, 1, 0),
        "the ring of dmar0 had no room for PASID 5 (life 1) at input 1 of vfio",
        RequestAutoAnswered("dmar0", "dsa0", P, 1, 1),
    ),
    (
        "ring-overflow",
        RequestAutoAnswered("dmar0", "dsa0", P, 1, 0),
        "the ring of dmar0 had no room for PASID 5 (life 1) at input 1 of vfio",
        RequestAutoAnswered("dmar0", "dsa0", P, 1, -1),
    ),
]


@pytest.mark.parametrize(("name", "fact", "sentence", "other"), SEEN, ids=lambda one: str(one)[:24])
def test_a_witness_says_what_it_saw(name: str, fact: Event, sentence: str, other: Event) -> None:
    assert Story(name).then("vfio", fact) == [sentence]
    story = Story(name)
    assert story.then("vfio", other) == []
    assert story.owed() == []


def test_an_unbind_is_late_after_the_same_vms_free() -> None:
    """Not if it is of a PASID that this VM never had, nor while the number is its own again."""
    story = Story("late-unbind")
    late = UnbindRequested(P, 1, "vm1", 0, linked=False)
    assert story.then("vfio", late) == []
    assert story.then("vfio", PasidUnlinked(P, 1, "vm1")) == []
    assert story.then("vfio", late) == [
        "vm1 unbound PASID 5 (life 1) at input 3 of vfio, after its free"
    ]
    assert story.then("vfio", UnbindRequested(P, 1, "vm1", 0, linked=True)) == []
    assert story.then("vfio", UnbindRequested(P, 0, "vm2", 0, linked=False)) == []
    assert story.owed() == []


def test_a_vm_that_is_lost_while_bound_is_seen_when_its_files_are_closed() -> None:
    story = Story("vm-lost-while-bound")
    assert story.then("vfio", FdsReleased("vm1")) == []
    story.then("iommu", DeviceUnbound("dsa0", P, 1, "vm1", "unbind", "unbind:1"))
    assert story.then("vfio", FdsReleased("vm1")) == []
    story.then("iommu", DeviceUnbound("dsa0", P, 1, "vm1", "release", "unbind:2"))
    assert story.then("kvm", FdsReleased("vm1")) == []
    seen = story.then("vfio", FdsReleased("vm1"))
    assert seen == [f"closing vm1's files unbound PASID {P}, input 3 of vfio"]
    assert story.owed() == []
