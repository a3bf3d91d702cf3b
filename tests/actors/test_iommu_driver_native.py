"""The VT-d driver and the address space of a process: bind, unbind, release."""

import pytest

from protocol.errors import Errno
from protocol.facts import DeviceTornDown, FlushRequested, PageAnswered, SvmCreated, SvmFreed
from protocol.messages import (
    AllocPasid,
    AttachData,
    BindMm,
    BindMmGot,
    ClearPresent,
    DetachData,
    Done,
    FlushFaults,
    GetPasid,
    InvalidateDevTlb,
    LoadMsr,
    MmRelease,
    NotifyReply,
    PageRequestReport,
    PageResponse,
    PinMm,
    PutPasid,
    ReadPrq,
    Refused,
    RegisterMmNotifier,
    ResponseCode,
    TimerFired,
    UnbindMm,
    UnpinMm,
    UnregisterMmNotifier,
    Verdict,
    WriteEntry,
)
from protocol.names import CORE, IOMMU, NO_SET, VFIO, WORKQUEUE
from tests.actors.iommu_driver_hands import LIFE, Hands, P, free_of, fresh, request_of, run_of
from tests.helpers import Failing

DOOR = "uacce.dsa0"
RELEASE = MmRelease(1, "proc1", P, LIFE)
END = ["UnregisterMmNotifier", "LoadMsr", "DetachData", "PutPasid", "UnpinMm"]


def bind(hands: Hands, device: str = "dsa0", call: int = 7) -> None:
    hands.give(BindMm(call, "proc1", device), DOOR)


def unbind(hands: Hands, device: str = "dsa0", call: int = 8) -> None:
    hands.give(UnbindMm(call, "proc1", device, P, LIFE), DOOR)


def bound(*devices: str) -> Hands:
    """The mm of proc1, with PASID 5, is bound to these devices."""
    hands = fresh()
    for device in devices or ("dsa0",):
        bind(hands, device)
        hands.settle()
    hands.forget()
    return hands


def test_the_first_bind_gets_a_pasid_for_the_mm_and_all_that_it_rests_on() -> None:
    hands = fresh()
    bind(hands)
    hands.settle()
    assert hands.calls() == [
        *("PinMm", "AllocSet", "AllocPasid", "AssignPasid", "GetPasid", "AttachData"),
        *("RegisterMmNotifier", "WriteEntry", "LoadMsr", "BindMmGot"),
    ]
    assert hands.sent[-1] == (DOOR, BindMmGot(7, P, LIFE))
    assert hands.said(SvmCreated) == [SvmCreated(P, LIFE, "proc1", 1)]
    written = next(m for _, m in hands.sent if isinstance(m, WriteEntry))
    assert (written.vm, written.did, written.pasid) == ("proc1", 1, P)


def test_an_mm_that_has_a_pasid_keeps_it_and_the_host_has_one_set() -> None:
    hands = bound()
    unbind(hands)
    hands.settle()
    hands.forget()
    bind(hands)
    hands.settle()
    assert hands.calls()[:2] == ["PinMm", "GetPasid"]
    hands.mm_pasid = 0
    hands.forget()
    hands.give(BindMm(9, "proc2", "old"), DOOR)
    hands.answer(PinMm)
    assert hands.sent[-1] == (CORE, AllocPasid(1, 9, 1, (1 << 16) - 1))


def test_a_further_device_needs_no_pin_of_its_own() -> None:
    hands = bound()
    bind(hands, "dsa1")
    hands.settle()
    assert hands.calls() == ["PinMm", "UnpinMm", "WriteEntry", "BindMmGot"]


def test_the_same_device_is_counted_and_goes_with_its_last_user() -> None:
    hands = bound()
    bind(hands)
    hands.settle()
    assert hands.calls() == ["PinMm", "UnpinMm", "BindMmGot"]
    unbind(hands)
    assert hands.calls()[3:] == ["Done"]
    unbind(hands)
    assert hands.calls()[-1] == "ClearPresent"


def test_the_last_unbind_ends_what_it_rests_on_in_order() -> None:
    hands = bound("dsa0", "dsa1")
    unbind(hands, "dsa1")
    hands.settle()
    assert hands.calls()[-1] == "Done"
    hands.forget()
    unbind(hands)
    hands.settle()
    assert hands.calls()[-6:] == [*END, "Done"]
    assert (CORE, PutPasid(1, P, LIFE, "svm")) in hands.sent
    assert ("proc1", LoadMsr(1, 0, LIFE)) in hands.sent
    assert hands.said(SvmFreed) == [SvmFreed(P, LIFE, 1)]
    assert hands.driver.svms == {}


def test_what_is_not_bound_is_unbound_already() -> None:
    hands = fresh()
    unbind(hands)
    assert hands.got(DOOR) == [Done(8)]


def test_after_a_free_the_work_ends_it_in_the_same_order() -> None:
    hands = bound()
    hands.free()
    hands.settle()
    assert hands.calls()[-6:] == [*END, "WorkDone"]
    unbind(hands)
    assert hands.got(DOOR) == [Done(8)]


def test_release_clears_and_flushes_every_device_and_no_more() -> None:
    hands = bound("dsa0", "dsa1")
    hands.give(RELEASE, "proc1")
    hands.settle()
    flushes = ["ClearPresent", "InvalidatePasidCache", "InvalidateIotlb", "InvalidateDevTlb"]
    assert hands.calls() == [*flushes, *flushes, "Done"]
    cleared = [m for _, m in hands.sent if isinstance(m, ClearPresent)]
    assert [(one.device, one.why, one.fpd) for one in cleared] == [
        ("dsa0", "release", True),
        ("dsa1", "release", True),
    ]
    assert [one.unit for one in hands.said(FlushRequested)] == ["dmar0"] * 3 + ["dmar1"] * 3
    assert len(hands.driver.svms[P].devices) == 2


def test_release_of_what_is_not_bound_is_answered_at_once() -> None:
    hands = bound()
    hands.give(MmRelease(1, "proc2", P, LIFE), "proc2")
    hands.give(MmRelease(1, "proc1", P + 1, 1), "proc1")
    assert hands.calls() == ["Done", "Done"]


def test_release_takes_no_mutex_and_flushes_where_unbind_has_cleared() -> None:
    hands = bound()
    unbind(hands)
    hands.give(RELEASE, "proc1")
    hands.answer(ClearPresent)
    hands.answer(ClearPresent, Errno.ENOENT)
    assert hands.calls()[-2:] == ["InvalidatePasidCache", "InvalidatePasidCache"]
    hands.settle()
    assert hands.got("proc1") == [Done(1)]
    assert hands.got(DOOR) == [Done(8)]


def test_unbind_lets_a_release_finish_and_flushes_the_device_before_it_drains() -> None:
    hands = bound()
    hands.give(RELEASE, "proc1")
    unbind(hands)
    hands.give(UnbindMm(9, "proc1", "dsa0", P + 1, LIFE), DOOR)  # It waits for the mutex.
    assert hands.calls() == ["ClearPresent"]
    for _ in range(4):
        hands.settle(ClearPresent)
        if hands.open:
            hands.answer(ClearPresent, Errno.ENOENT)
    assert hands.got("proc1") == [Done(1)]
    after = hands.calls()[hands.calls().index("Done") + 1 :]
    assert after[:4] == ["ClearPresent", "InvalidateDevTlb", "ZeroEntry", "ReadPrq"]
    assert len(hands.said(DeviceTornDown)) == 1
    assert hands.got(DOOR) == [Done(9), Done(8)]  # A drain lets go of the mutex.


def test_its_page_requests_and_their_flush_are_the_mms_own() -> None:
    hands = bound()
    hands.ring(request_of())
    hands.settle()
    assert ("proc1", PageRequestReport("proc1", "dsa0", P, LIFE, 0xFFFFFFFF, 1, 9)) in hands.sent
    hands.give(PageResponse(2, "proc1", "dsa0", P, LIFE, 1, ResponseCode.SUCCESS), "proc1")
    assert [one.answerer for one in hands.said(PageAnswered)] == [LIFE]
    unbind(hands)
    hands.settle(FlushFaults)
    assert ("proc1", FlushFaults(1, "dsa0")) in hands.sent
    assert VFIO not in [to for to, _ in hands.sent]


@pytest.mark.parametrize(
    ("kind", "undone"),
    [
        (PinMm, []),
        (AllocPasid, ["UnpinMm"]),
        (GetPasid, ["UnpinMm"]),
        (AttachData, ["PutPasid", "UnpinMm"]),
        (RegisterMmNotifier, ["DetachData", "PutPasid", "UnpinMm"]),
        (WriteEntry, ["UnregisterMmNotifier", "DetachData", "PutPasid", "UnpinMm"]),
    ],
)
def test_err_a_bind_that_fails_undoes_what_it_did(kind: type, undone: list[str]) -> None:
    hands = fresh()
    bind(hands)
    hands.settle(kind)
    before = len(hands.sent)
    hands.answer(kind, Errno.EBUSY)
    hands.settle()
    assert hands.calls()[before:] == [*undone, "Refused"]
    assert hands.got(DOOR) == [Refused(7, Errno.EBUSY)]
    assert hands.driver.tasks == {}


def test_err_a_further_bind_that_fails_leaves_the_first_as_it_was() -> None:
    hands = bound()
    hands.chance = Failing("iommu.bind.sdev")
    bind(hands, "dsa1")
    hands.settle()
    assert hands.calls() == ["PinMm", "UnpinMm", "Refused"]
    assert list(hands.driver.svms[P].devices) == ["dsa0"]


def test_err_a_device_that_is_unknown_or_still_being_drained() -> None:
    hands = bound("dsa0", "dsa1")
    bind(hands, "nic0")
    assert hands.got(DOOR) == [Refused(7, Errno.EINVAL)]
    unbind(hands)
    hands.settle(FlushFaults)  # The mutex is let go in the middle of the drain.
    bind(hands)
    hands.settle(FlushFaults)
    assert hands.got(DOOR)[-1] == Refused(7, Errno.EBUSY)


def test_err_an_svm_whose_work_is_queued_is_joined_by_nobody() -> None:
    hands = bound()
    bind(hands, "dsa1")
    hands.answer(PinMm)
    hands.driver.svms[P].work_queued = True
    hands.settle()
    assert hands.got(DOOR) == [Refused(7, Errno.EINVAL)]


def test_the_calls_that_end_an_svm_go_to_whom_they_concern() -> None:
    hands = bound()
    unbind(hands)
    hands.settle()
    to = {type(message): name for name, message in hands.sent}
    assert [to[kind] for kind in (UnregisterMmNotifier, DetachData, UnpinMm)] == [
        "proc1",
        CORE,
        "proc1",
    ]
    assert (to[ReadPrq], to[InvalidateDevTlb]) == ("dmar0", "dmar0")
    assert hands.driver.host_set != NO_SET
    assert IOMMU not in to.values()
    assert TimerFired not in to


def test_a_free_in_the_middle_of_the_end_leaves_the_rest_to_its_work() -> None:
    hands = bound()
    unbind(hands)
    hands.settle(UnregisterMmNotifier)
    hands.give(free_of(), CORE)
    hands.settle()
    assert hands.calls()[-2:] == ["NotifyReply", "Done"]
    assert hands.driver.svms[P].devices == {}
    hands.give(run_of(), WORKQUEUE)
    hands.settle()
    assert hands.calls()[-5:] == ["LoadMsr", "DetachData", "PutPasid", "UnpinMm", "WorkDone"]


def test_a_free_after_the_put_is_told_of_another_life() -> None:
    hands = bound()
    unbind(hands)
    hands.settle(UnpinMm)
    hands.give(free_of(), CORE)
    assert (CORE, NotifyReply(3, Verdict.DONE)) in hands.sent
    assert not hands.driver.svms[P].work_queued


def test_what_has_gone_already_does_not_keep_the_svm_from_ending() -> None:
    hands = bound()
    unbind(hands)
    hands.settle(DetachData)
    hands.answer(DetachData, Errno.ENOENT)
    hands.settle()
    assert hands.calls()[-3:] == ["PutPasid", "UnpinMm", "Done"]
