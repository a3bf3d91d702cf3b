import pytest

from protocol.errors import Errno
from protocol.facts import (
    DeviceBound,
    DeviceTornDown,
    DeviceUnbound,
    LockReleased,
    LockTaken,
    LockWaited,
    MemoryAllocated,
    MemoryFreed,
    PageAnswered,
    SvmCreated,
    SvmFreed,
)
from protocol.messages import (
    AttachData,
    AttachSpid,
    BindGpasid,
    ClearPresent,
    DetachDomain,
    Done,
    FindPasid,
    FlushFaults,
    GetPasid,
    PutPasid,
    Refused,
    WriteEntry,
)
from protocol.names import CORE, NO_SET, PASID_COUNT, VFIO, Name
from tests.actors.iommu_driver_hands import (
    LIFE,
    P,
    bind_of,
    bound,
    free_of,
    fresh,
    request_of,
    run_of,
    unbind_of,
)
from tests.helpers import Failing

FIRST_BIND = ["FindPasid", "GetPasid", "AttachData", "WriteEntry", "AttachSpid", "Done"]
TEARDOWN = [
    "ClearPresent",
    "InvalidatePasidCache",
    "InvalidateIotlb",
    "InvalidateDevTlb",
    "ZeroEntry",
    "ReadPrq",
    "FlushFaults",
    "DrainRequests",
]


def test_the_first_bind_goes_step_by_step_and_tells_bind_last() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle()

    assert hands.calls() == FIRST_BIND
    assert [message for _, message in hands.sent] == [
        FindPasid(1, NO_SET, P),
        GetPasid(1, NO_SET, P, LIFE, "svm"),
        AttachData(1, P, LIFE, 1),
        WriteEntry(1, "dsa0", P, LIFE, "vm1", P + 1000, 1),
        AttachSpid(1, P, LIFE, P + 100),
        Done(7),
    ]
    assert [to for to, _ in hands.sent] == [CORE, CORE, CORE, "dmar0", CORE, VFIO]


def test_the_facts_of_a_first_bind_come_when_they_are_true() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(GetPasid)
    assert hands.facts == [LockTaken("pasid_mutex", "mutex", "bind:1")]

    hands.answer(GetPasid)
    assert hands.said(SvmCreated) == [SvmCreated(P, LIFE, "vm1", 1)]
    hands.settle(WriteEntry)
    assert hands.said(DeviceBound) == []
    hands.answer(WriteEntry)
    assert hands.said(DeviceBound) == [DeviceBound("dsa0", P, LIFE, "vm1", "bind:1")]
    hands.settle()
    assert hands.said(MemoryAllocated) == [
        MemoryAllocated("svm", "svm1"),
        MemoryAllocated("sdev", "svm1/dsa0"),
    ]
    assert hands.facts[-1] == LockReleased("pasid_mutex", "mutex", "bind:1")


def test_a_further_device_takes_no_reference_and_tells_nobody() -> None:
    hands = bound("dsa0")
    hands.give(bind_of("dsa1"))
    hands.settle()
    assert hands.calls() == ["FindPasid", "WriteEntry", "Done"]
    assert hands.sent[1][0] == "dmar1"
    assert list(hands.driver.svms[P].devices) == ["dsa0", "dsa1"]


def test_an_svm_gets_the_smallest_free_number() -> None:
    hands = bound("dsa0")
    hands.give(bind_of(pasid=6))
    hands.settle()
    assert {svm.pasid: svm.id for svm in hands.driver.svms.values()} == {P: 1, 6: 2}

    hands.give(unbind_of())
    hands.settle()
    hands.give(bind_of(pasid=7))
    hands.settle()
    assert hands.driver.svms[7].id == 1


def test_a_second_bind_waits_for_the_mutex() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.give(bind_of(pasid=6, call=9))
    assert hands.said(LockWaited) == [LockWaited("pasid_mutex", "mutex", "bind:2")]
    assert hands.calls() == ["FindPasid"]
    hands.settle()
    assert hands.got() == [Done(7), Done(9)]
    assert hands.driver.tasks == {}


@pytest.mark.parametrize(
    "bind",
    [
        bind_of("none"),
        BindGpasid(7, "vm1", "dsa0", P, LIFE, 105, 1005, format="arm"),
        bind_of("old"),
        bind_of(pasid=0),
        bind_of(pasid=PASID_COUNT),
        bind_of("dsa1", vm="vm2"),
    ],
    ids=["unit", "format", "pasids", "pasid 0", "pasid too large", "domain"],
)
def test_err_a_bind_that_cannot_be_is_einval_without_the_mutex(bind: BindGpasid) -> None:
    hands = fresh()
    hands.give(bind)
    assert hands.got() == [Refused(7, Errno.EINVAL)]
    assert hands.facts == []
    assert hands.driver.tasks == {}


def test_err_a_bind_of_a_device_already_bound_is_ebusy_and_leaves_it_bound() -> None:
    """Seed 000."""
    hands = bound("dsa0")
    hands.give(bind_of())
    hands.settle()
    assert hands.got() == [Refused(7, Errno.EBUSY)]
    assert hands.calls() == ["FindPasid", "Refused"]
    assert list(hands.driver.svms[P].devices) == ["dsa0"]


def test_err_a_bind_by_another_vm_is_eperm() -> None:
    hands = bound("dsa1")
    hands.give(bind_of("dsa0", vm="vm2"))
    hands.settle()
    assert hands.got() == [Refused(7, Errno.EPERM)]


def test_err_a_bind_to_an_svm_whose_work_is_queued_is_einval() -> None:
    hands = bound("dsa0")
    hands.give(free_of(), CORE)
    hands.give(bind_of("dsa1"))
    hands.settle()
    assert hands.got() == [Refused(7, Errno.EINVAL)]


def test_err_while_the_only_device_is_drained_it_is_ebusy_and_any_other_einval() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    hands.forget()
    hands.give(bind_of("dsa0", call=1))
    hands.give(bind_of("dsa1", call=2))
    hands.settle(FlushFaults)
    assert hands.got() == [Refused(1, Errno.EBUSY), Refused(2, Errno.EINVAL)]
    hands.settle()
    assert hands.driver.svms == {}


@pytest.mark.parametrize(
    ("call", "errno", "undone"),
    [
        (FindPasid, Errno.ENOENT, []),
        (GetPasid, Errno.EBUSY, []),
        (AttachData, Errno.EBUSY, ["PutPasid"]),
        (WriteEntry, Errno.EBUSY, ["DetachData", "PutPasid"]),
        (AttachSpid, Errno.EINVAL, [*TEARDOWN, "DetachData", "PutPasid"]),
        (AttachSpid, Errno.EBUSY, [*TEARDOWN, "DetachData", "PutPasid"]),
        (AttachSpid, Errno.ENOMEM, [*TEARDOWN, "DetachSpid", "DetachData", "PutPasid"]),
    ],
)
def test_err_a_first_bind_that_is_refused_undoes_exactly_what_it_did(
    call: type, errno: Errno, undone: list[str]
) -> None:
    hands = fresh()
    before = hands.state()
    hands.give(bind_of())
    hands.settle(call)
    hands.sent.clear()
    hands.answer(call, errno)
    hands.settle()
    assert hands.calls() == [*undone, "Refused"]
    assert hands.got() == [Refused(7, errno)]
    assert hands.state() == before
    allocated = {fact.object for fact in hands.said(MemoryAllocated)}
    assert {fact.object for fact in hands.said(MemoryFreed)} == allocated


@pytest.mark.parametrize(
    ("site", "errno", "calls"),
    [
        ("iommu.bind.svm", Errno.ENOMEM, ["FindPasid"]),
        ("iommu.bind.sdev", Errno.ENOMEM, [*FIRST_BIND[:3], "DetachData", "PutPasid"]),
        ("iommu.bind.enable_pasid", Errno.EINVAL, [*FIRST_BIND[:3], "DetachData", "PutPasid"]),
    ],
)
def test_err_a_step_that_fails_leaves_nothing_behind(
    site: str, errno: Errno, calls: list[str]
) -> None:
    hands = fresh(Failing(site))
    before = hands.state()
    hands.give(bind_of())
    hands.settle()
    assert hands.calls() == [*calls, "Refused"]
    assert hands.got() == [Refused(7, errno)]
    assert hands.state() == before


@pytest.mark.parametrize("site", ["iommu.bind.sdev", "iommu.bind.enable_pasid"])
def test_err_a_further_device_that_fails_leaves_the_first_one_bound(site: str) -> None:
    hands = bound("dsa0")
    before = hands.state()
    hands.chance = Failing(site)
    hands.give(bind_of("dsa1"))
    hands.settle()
    assert hands.calls() == ["FindPasid", "Refused"]
    assert hands.state() == before


def test_err_an_entry_that_was_there_fails_a_further_bind_and_is_not_torn_down() -> None:
    hands = bound("dsa0")
    before = hands.state()
    hands.give(bind_of("dsa1"))
    hands.settle(WriteEntry)
    hands.answer(WriteEntry, Errno.EBUSY)
    assert hands.calls() == ["FindPasid", "WriteEntry", "Refused"]
    assert hands.state() == before


def test_a_rollback_states_that_the_device_was_unbound_and_torn_down() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(AttachSpid)
    hands.answer(AttachSpid, Errno.ENOMEM)
    assert hands.said(DeviceUnbound) == [
        DeviceUnbound("dsa0", P, LIFE, "vm1", "rollback", "bind:1")
    ]
    clear = next(message for _, message in hands.sent if isinstance(message, ClearPresent))
    assert clear == ClearPresent(1, "dsa0", P, LIFE, "vm1", "rollback", fpd=False)
    hands.settle(PutPasid)
    assert hands.said(DeviceTornDown) == [DeviceTornDown("dsa0", P, LIFE)]
    assert hands.said(SvmFreed) == [SvmFreed(P, LIFE, 1)]
    assert hands.got() == []


def test_a_page_reported_before_the_rollback_is_answered_by_it() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(AttachSpid)
    hands.ring(request_of())
    hands.settle(AttachSpid)
    hands.answer(AttachSpid, Errno.ENOMEM)
    hands.settle()
    assert hands.said(PageAnswered) == [PageAnswered("dsa0", P, LIFE, 1, 1, 0)]


def test_err_a_domain_that_goes_while_the_bind_waits_fails_it() -> None:
    """The second look: nothing keeps the domain before there is an svm_dev."""
    hands = fresh()
    hands.give(bind_of())
    hands.give(DetachDomain(9, "vm1", "dsa0"))
    assert hands.got() == [Done(9)]
    hands.settle()
    assert hands.got() == [Done(9), Refused(7, Errno.EINVAL)]
    assert hands.driver.svms == {}


def test_err_a_bind_that_loses_against_free_leaves_its_svm_to_the_work() -> None:
    """S10b: whoever queued the work finds the svm it was queued for."""
    hands = fresh()
    hands.give(bind_of())
    hands.settle(AttachSpid)
    hands.give(free_of(), CORE)
    hands.answer(AttachSpid, Errno.EBUSY)
    hands.settle()
    assert hands.got() == [Refused(7, Errno.EBUSY)]
    assert hands.driver.svms[P].work_queued
    assert "PutPasid" not in hands.calls()

    hands.forget()
    hands.give(run_of(), "workqueue")
    hands.settle()
    assert hands.calls() == ["DetachData", "PutPasid", "WorkDone"]
    assert hands.driver.svms == {}


@pytest.mark.parametrize(("device", "errno"), [("dsa0", Errno.EBUSY), ("dsa1", Errno.EINVAL)])
def test_err_nobody_joins_an_svm_that_is_being_rolled_back(device: Name, errno: Errno) -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(AttachSpid)
    hands.answer(AttachSpid, Errno.EINVAL)
    hands.settle(FlushFaults)
    hands.give(bind_of(device, call=9))
    hands.settle(FlushFaults)
    hands.settle()
    assert hands.got() == [Refused(9, errno), Refused(7, Errno.EINVAL)]
    assert hands.driver.svms == {}
