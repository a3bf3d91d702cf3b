"""An iommufd context: mock devices, faults, failures, and what was different in 6.12."""

import pytest

from actors.iommufd.sites import COOKIE, COPY, SITES
from actors.iommufd.state import FaultQueue, Group, Paging
from actors.revisions.linux_6_12 import CLASSES
from protocol.effects import CALM
from protocol.errors import Errno
from protocol.facts.iommufd import FaultSettled
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    ClaimDmaOwner,
    ReleaseDmaOwner,
)
from protocol.messages.iommufd import (
    AllocDomain,
    AllocFaultQueue,
    AllocHwpt,
    AllocIoas,
    AnswerFault,
    AttachPt,
    BindDevice,
    CheckHwpt,
    CloseFaultQueue,
    DeliverFault,
    DestroyObject,
    DetachPt,
    FaultsGot,
    MakeMockDevice,
    MockDeviceGot,
    ObjectGot,
    PtGot,
    ReadFaults,
    ReplacePt,
    ReportFault,
    RespondFault,
    TriggerFault,
)
from protocol.names import IOPF
from tests.actors.iommufd_hands import DEV, IOAS, NAME, ONE, TWO, Hands, furnished, responses, users
from tests.helpers import Failing

# --- Mock devices ---------------------------------------------------------------------------------


def mocked() -> tuple[Hands, int]:
    """A mock device with the first page table."""
    hands = furnished()
    got = hands.ask(MakeMockDevice(2, "dev2", "dev2", ONE))
    assert got == MockDeviceGot(2, 5, 6, ONE)
    return hands, 5


def test_a_mock_device_is_checked_and_destroyed() -> None:
    hands, mock = mocked()
    einval, enoent = Refused(4, Errno.EINVAL), Refused(4, Errno.ENOENT)
    rows = [(0, ONE, Done(4)), (0, TWO, einval), (0, IOAS, einval), (0, 99, enoent)]
    rows += [(0, 0, einval), (7, 0, Done(4)), (7, ONE, einval)]
    for pasid, hwpt, expected in rows:
        assert hands.ask(CheckHwpt(4, mock, pasid, hwpt)) == expected
    assert hands.ask(CheckHwpt(4, 99, 0, ONE)) == enoent
    assert hands.ask(DestroyObject(5, mock)) == Done(5)
    assert sorted(hands.context.objects) == [IOAS, DEV, ONE, TWO]
    assert users(hands, ONE) == [1]


def test_calls_of_one_mock_device_come_one_after_the_other() -> None:
    hands, mock = mocked()
    hands.hold = (AttachDevicePasid,)
    for call, pasid in ((3, 5), (4, 6)):
        hands.ask(AttachPt(call, mock, pasid, ONE, mock=True))
    assert hands.context.locks[f"mock:{mock}"] == [1, 2]
    hands.go_on()
    assert (hands.answers[3], hands.answers[4]) == (PtGot(3, ONE), PtGot(4, ONE))
    assert hands.ask(DetachPt(5, mock, 6, mock=True)) == Done(5)


@pytest.mark.parametrize(
    ("pt", "kind", "errno"),
    [
        (99, None, Errno.ENOENT),
        (DEV, None, Errno.EINVAL),
        (ONE, ClaimDmaOwner, Errno.EPERM),
        (IOAS, AllocDomain, Errno.ENOMEM),
    ],
)
def test_err_a_mock_device_that_comes_to_nothing_leaves_nothing(
    pt: int, kind: type | None, errno: Errno
) -> None:
    hands = furnished()
    if kind is not None:
        hands.refuse[kind] = errno
    assert hands.ask(MakeMockDevice(2, "dev2", "dev2", pt)) == Refused(2, errno)
    assert sorted(hands.context.objects) == [IOAS, DEV, ONE, TWO]
    released = [one for one in hands.asked if isinstance(one, ReleaseDmaOwner)]
    assert len(released) == (kind is not ClaimDmaOwner)


# --- Faults ---------------------------------------------------------------------------------------


def faulty() -> tuple[Hands, int]:
    """A page table with a fault queue on PASID 5 and 6; each has asked for pages."""
    hands = furnished()
    queue = hands.made(AllocFaultQueue(2))
    flags = ("PASID", "FAULT_ID_VALID")
    table = hands.made(AllocHwpt(2, DEV, IOAS, flags, queue))
    for pasid in (5, 6):
        hands.ask(AttachPt(3, DEV, pasid, table))
    for number, pasid in ((1, 5), (2, 5), (3, 6), (4, 5), (5, 5)):
        assert hands.ask(TriggerFault(4, DEV, pasid, number)) == Done(4)
    return hands, queue


def test_a_reader_gets_cookies_and_answers_each_once() -> None:
    hands, queue = faulty()
    assert hands.ask(ReadFaults(5, queue, 2)) == FaultsGot(5, (1, 2))
    assert hands.ask(AnswerFault(6, queue, 2, 0)) == Done(6)
    assert hands.ask(AnswerFault(7, queue, 2, 0)) == Refused(7, Errno.EINVAL)
    assert hands.ask(ReadFaults(8, queue, 1)) == FaultsGot(8, (2,))
    assert responses(hands) == [(2, 0)]


@pytest.mark.parametrize("change", [DetachPt(9, DEV, 5), ReplacePt(9, DEV, 5, TWO)])
def test_what_nobody_answered_is_answered_invalid_the_unread_newest_first(
    change: AnyMessage,
) -> None:
    hands, queue = faulty()
    hands.ask(ReadFaults(5, queue, 2))
    hands.ask(change)
    assert responses(hands) == [(5, 1), (4, 1), (1, 1), (2, 1)]
    assert hands.ask(AnswerFault(6, queue, 1, 0)) == Refused(6, Errno.EINVAL)
    assert [one.number for one in hands.context.queue(queue).deliver] == [3]
    settled = [fact for fact in hands.facts if isinstance(fact, FaultSettled)]
    assert {fact.by for fact in settled} == {"kernel"}


def test_a_writer_waits_until_detach_has_answered() -> None:
    hands, queue = faulty()
    hands.ask(ReadFaults(5, queue, 2))
    hands.hold = (object,)
    hands.ask(DetachPt(6, DEV, 5))
    for _ in range(2):
        hands.go_on(held=True)
    hands.ask(AnswerFault(7, queue, 1, 0))
    hands.ask(ReadFaults(8, queue, 1))
    assert not {7, 8} & {*hands.answers}
    while hands.waiting:
        hands.go_on(held=True)
    assert hands.answers[7] == Refused(7, Errno.EINVAL)
    assert hands.answers[8] == FaultsGot(8, (1,))


def test_detach_waits_for_a_writer() -> None:
    hands, queue = faulty()
    hands.ask(ReadFaults(5, queue, 2))
    hands.hold = (RespondFault,)
    hands.ask(AnswerFault(6, queue, 1, 0))
    hands.ask(DetachPt(7, DEV, 5))
    assert hands.context.locks[f"queue:{queue}"] == [1, 2]
    hands.go_on()
    assert responses(hands) == [(1, 0), (5, 1), (4, 1), (2, 1)]


def test_what_waits_under_another_handle_is_left_alone() -> None:
    hands, queue = faulty()
    hands.ask(ReadFaults(5, queue, 5))
    hands.ask(DetachPt(6, DEV, 6))
    assert responses(hands) == [(3, 1)]


def test_a_request_under_no_handle_goes_to_nobody() -> None:
    hands, queue = faulty()
    assert hands.ask(TriggerFault(5, DEV, 9, 1)) == Done(5)
    assert hands.ask(TriggerFault(6, 99, 9, 1)) == Refused(6, Errno.ENOENT)
    assert len(hands.context.queue(queue).deliver) == 5


def test_a_request_for_a_handle_that_is_gone_is_not_taken() -> None:
    """Who detaches has blocked and drained the device, so it is a bug of somebody else."""
    hands, _ = faulty()
    hands.deliver(DeliverFault(70, "iommufd.h9", "dev1", 5, 9), IOPF)
    assert hands.answers[70] == Refused(70, Errno.EINVAL)


def test_nothing_is_detached_while_a_device_asks() -> None:
    hands, _ = faulty()
    hands.hold = (ReportFault,)
    hands.ask(TriggerFault(5, DEV, 6, 9))
    assert hands.ask(DetachPt(6, DEV, 6)) is None
    hands.go_on()
    assert hands.answers[6] == Done(6)
    assert responses(hands) == [(9, 1), (3, 1)]


def test_two_may_ask_at_once_and_who_detaches_waits_for_both() -> None:
    """The rwsem of a mock device, as recorded on 7.3: who asks behind a detach waits for that."""
    hands, _ = faulty()
    hands.hold = (ReportFault,)
    for call, number in ((5, 9), (6, 10)):
        hands.ask(TriggerFault(call, DEV, 6, number))
    hands.ask(DetachPt(7, DEV, 6))
    hands.ask(TriggerFault(8, DEV, 6, 11))
    assert [one.message.number for one in hands.waiting] == [9, 10]  # type: ignore[union-attr]
    first, second = hands.waiting
    hands.hold, hands.waiting = (), []
    hands.deliver(*hands.reply(first)[0])
    assert 7 not in hands.answers
    hands.deliver(*hands.reply(second)[0])
    assert hands.answers[7] == Done(7)
    assert hands.answers[8] == Done(8)
    assert responses(hands) == [(10, 1), (9, 1), (3, 1)]
    assert not hands.context.locks


def test_a_group_is_read_whole_or_not_at_all() -> None:
    hands, queue = faulty()
    hands.ask(ReadFaults(5, queue, 5))
    for group, count in ((11, 2), (12, 1), (13, 3)):
        at = hands.context.objects[queue]
        assert isinstance(at, FaultQueue)
        at.deliver.append(Group("iommufd.h1", "dev1", 5, group, 7, group, count))
    assert hands.ask(ReadFaults(6, queue, 1)) == Refused(6, Errno.EINVAL)
    assert hands.ask(ReadFaults(7, queue, 4)) == FaultsGot(7, (6, 7))
    assert hands.ask(ReadFaults(8, queue, 0)) == Refused(8, Errno.EINVAL)
    assert hands.ask(ReadFaults(9, queue, 3)) == FaultsGot(9, (8,))
    assert hands.ask(ReadFaults(6, queue, 0)) == FaultsGot(6, ())
    assert hands.ask(AnswerFault(6, queue, 6, 0)) == Done(6)
    assert hands.asked[-1] == RespondFault(1, "dev1", 5, 11, 0, 7, 11)


def test_err_what_a_file_of_faults_refuses_leaves_it_as_it_was() -> None:
    hands, queue = faulty()
    assert hands.ask(ReadFaults(5, queue, 1)) == FaultsGot(5, (1,))
    espipe, efault = Refused(6, Errno.ESPIPE), Refused(6, Errno.EFAULT)
    assert hands.ask(ReadFaults(6, queue, 1, rest=8)) == espipe
    assert hands.ask(AnswerFault(6, queue, 1, 0, rest=8)) == espipe
    assert hands.ask(AnswerFault(6, queue, 1, 2)) == Refused(6, Errno.EINVAL)
    hands.chance = Failing("iommufd.fault.copy")
    assert hands.ask(ReadFaults(6, queue, 9)) == efault
    assert hands.ask(AnswerFault(6, queue, 1, 0)) == efault
    hands.chance = Failing("iommufd.fault.cookie")
    assert hands.ask(ReadFaults(6, queue, 9)) == Refused(6, Errno.ENOMEM)
    hands.chance = CALM
    assert [one.number for one in hands.context.queue(queue).deliver] == [2, 3, 4, 5]
    assert hands.ask(AnswerFault(6, queue, 1, 0)) == Done(6)


def test_a_fault_queue_goes_when_its_file_is_closed_and_nobody_uses_it() -> None:
    hands = furnished()
    queue = hands.made(AllocFaultQueue(2))
    table = hands.made(AllocHwpt(2, DEV, IOAS, ("FAULT_ID_VALID",), queue))
    hands.ask(CloseFaultQueue(3, queue))
    assert hands.ask(DestroyObject(4, queue)) == Refused(4, Errno.EBUSY)
    assert hands.ask(DestroyObject(5, table)) == Done(5)
    assert hands.ask(DestroyObject(6, queue)) == Done(6)


# --- Failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", [one.name for one in SITES if one not in (COOKIE, COPY)])
def test_err_whatever_fails_leaves_nothing_behind(site: str) -> None:
    hands, _ = mocked()
    hands.ask(AttachPt(3, DEV, 5, ONE))
    before = {at: found.users for at, found in hands.context.objects.items()}
    handles = dict(hands.context.handles)
    hands.chance = Failing(site)
    requests: list[AnyMessage] = [
        AllocIoas(9),
        AllocHwpt(9, DEV, IOAS),
        BindDevice(9, "dev3", "dev3"),
        AttachPt(9, DEV, 6, ONE),
        AttachPt(9, DEV, 0, IOAS),
        ReplacePt(9, DEV, 5, TWO),
        MakeMockDevice(9, "dev4", "dev4", ONE),
        AllocFaultQueue(9),
    ]
    refusals = 0
    for request in requests:
        answer = hands.ask(request)
        if isinstance(answer, Refused):
            refusals += 1
            assert {at: one.users for at, one in hands.context.objects.items()} == before
            assert hands.context.handles == handles
            continue
        before = {at: found.users for at, found in hands.context.objects.items()}
        handles = dict(hands.context.handles)
    assert refusals
    assert not hands.context.tasks
    assert not hands.context.locks


# --- Linux 6.12 -----------------------------------------------------------------------------------


def old() -> Hands:
    """A context of 6.12 with an IOAS."""
    hands = Hands(CLASSES["iommufd"])
    assert hands.made(AllocIoas(1)) == IOAS
    return hands


def test_in_6_12_the_claim_comes_first() -> None:
    hands = old()
    hands.hold = (object,)
    hands.ask(BindDevice(2, "dev1", "dev1"))
    assert sorted(hands.context.objects) == [IOAS]
    hands.go_on()
    assert hands.answers[2] == ObjectGot(2, 2)
    got = hands.ask(MakeMockDevice(3, "dev2", "dev2", IOAS))
    assert got == MockDeviceGot(3, 3, 4, 5)
    assert hands.ask(DetachPt(4, 3, 0, mock=True)) == Done(4)
    assert not any(isinstance(one, Paging) for one in hands.context.objects.values())


@pytest.mark.parametrize(
    ("site", "errno"), [("iommufd.device.bind", Errno.EINVAL), ("claim", Errno.EPERM)]
)
def test_err_in_6_12_nothing_is_left_without_the_claim(site: str, errno: Errno) -> None:
    hands = old()
    hands.chance = Failing(site)
    if site == "claim":
        hands.refuse[ClaimDmaOwner] = errno
    assert hands.ask(MakeMockDevice(3, "dev2", "dev2", IOAS)) == Refused(3, errno)
    assert sorted(hands.context.objects) == [IOAS]


def test_err_in_6_12_the_ownership_goes_back_without_memory() -> None:
    hands = old()
    hands.hold = (object,)
    hands.ask(BindDevice(2, "dev1", "dev1"))
    hands.chance = Failing("iommufd.object.alloc")
    hands.go_on()
    assert hands.answers[2] == Refused(2, Errno.ENOMEM)
    assert hands.asked[-1] == ReleaseDmaOwner(1, "dev1")
    assert hands.context.name == NAME
