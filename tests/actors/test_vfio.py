"""VFIO's containers and their closing, and the lock."""

import msgspec
import pytest

from actors.vfio import Inbox, Vfio
from actors.vfio.state import Locked
from protocol.errors import Errno
from protocol.facts import FdsReleased, LockReleased, LockTaken, LockWaited, PasidUnlinked
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AllocSetGot,
    AttachDomain,
    BindPgtbl,
    DetachDomain,
    Done,
    FreeAllInSet,
    FreePasidRange,
    FreeSet,
    HostLost,
    OpenContainer,
    Refused,
    ReleaseFds,
    RequestPasid,
    RequestPasidGot,
    RespondPage,
    ResponseCode,
    Start,
    UnbindGpasid,
    UnbindPgtbl,
)
from protocol.names import CORE, IOMMU, KERNEL, SUPERVISOR
from tests.actors.vfio_hands import GUEST, LOCK, OTHER, fresh, hand, linked, opened, pairs
from tests.helpers import step


def copy_of(vfio: Vfio) -> Vfio:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(vfio), type=Vfio)


# --- Opening --------------------------------------------------------------------------------------


def test_start_and_the_loss_of_another_actor_change_nothing() -> None:
    vfio = fresh()
    assert hand(vfio, Start(), SUPERVISOR) == []
    assert hand(vfio, HostLost("vm1.kvm"), SUPERVISOR) == []
    assert hand(vfio, HostLost("dsa0"), SUPERVISOR) == []
    assert vfio == fresh()
    assert not Vfio.LOSABLE


def test_the_first_container_makes_the_set_and_attaches_the_domain_to_each_device() -> None:
    vfio = fresh()
    assert hand(vfio, OpenContainer(7, 0), GUEST) == [(CORE, AllocSet(1, "vm1", 4))]
    assert hand(vfio, AllocSetGot(1, 3)) == [(IOMMU, AttachDomain(1, "vm1", "dsa0"))]
    assert hand(vfio, Done(1), IOMMU) == [(IOMMU, AttachDomain(1, "vm1", "dsa1"))]
    assert hand(vfio, Done(1), IOMMU) == [(GUEST, Done(7))]
    assert vfio.processes["vm1"].containers == [0]
    assert vfio.tasks == {}


def test_the_second_container_waits_for_the_first_and_needs_no_set() -> None:
    vfio = fresh()
    hand(vfio, OpenContainer(7, 0), GUEST)
    assert hand(vfio, OpenContainer(8, 1), GUEST) == []
    hand(vfio, AllocSetGot(1, 3))
    hand(vfio, Done(1), IOMMU)
    last = hand(vfio, Done(1), IOMMU)
    assert last == [(GUEST, Done(7)), (IOMMU, AttachDomain(2, "vm1", "dsa2"))]
    assert hand(vfio, Done(2), IOMMU) == [(GUEST, Done(8))]


def test_two_processes_do_not_wait_for_one_another() -> None:
    vfio = fresh()
    hand(vfio, OpenContainer(7, 0), GUEST)
    assert hand(vfio, OpenContainer(7, 0), OTHER) == [(CORE, AllocSet(2, "vm2", 4))]


@pytest.mark.parametrize(
    ("sender", "group", "errno"),
    [(GUEST, 2, Errno.EINVAL), (GUEST, -1, Errno.EINVAL), (KERNEL, 0, Errno.EOPNOTSUPP)],
)
def test_err_a_container_that_nobody_has(sender: str, group: int, errno: Errno) -> None:
    assert hand(fresh(), OpenContainer(7, group), sender) == [(sender, Refused(7, errno))]


def test_err_a_container_that_is_open_is_ebusy() -> None:
    assert hand(opened(), OpenContainer(7, 0), GUEST) == [(GUEST, Refused(7, Errno.EBUSY))]


def test_err_without_a_set_no_container() -> None:
    vfio = fresh()
    hand(vfio, OpenContainer(7, 0), GUEST)
    refused = hand(vfio, Refused(1, Errno.ENOSPC))
    assert refused == [(GUEST, Refused(7, Errno.ENOSPC))]
    assert vfio == fresh()


def test_err_a_refused_domain_undoes_the_whole_first_container() -> None:
    vfio = fresh()
    hand(vfio, OpenContainer(7, 0), GUEST)
    hand(vfio, AllocSetGot(1, 3))
    hand(vfio, Done(1), IOMMU)
    undo = hand(vfio, Refused(1, Errno.EBUSY), IOMMU)
    assert undo == [(IOMMU, DetachDomain(1, "vm1", "dsa0"))]
    assert hand(vfio, Done(1), IOMMU) == [(CORE, FreeSet(1, 3))]
    assert hand(vfio, Done(1)) == [(GUEST, Refused(7, Errno.EBUSY))]
    assert vfio == fresh()


def test_err_a_refused_second_container_leaves_the_set_to_the_first() -> None:
    vfio = fresh()
    hand(vfio, OpenContainer(7, 1), GUEST)
    hand(vfio, AllocSetGot(1, 3))
    hand(vfio, Done(1), IOMMU)
    hand(vfio, OpenContainer(8, 0), GUEST)
    refused = hand(vfio, Refused(1, Errno.ENODEV), IOMMU)
    assert refused == [(GUEST, Refused(8, Errno.ENODEV))]
    assert vfio.processes["vm1"].containers == [1]
    assert vfio.processes["vm1"].set == 3


# --- The lock -------------------------------------------------------------------------------------


def test_the_lock_is_handed_over_in_order_and_its_queue_is_visible() -> None:
    vfio = opened()
    first = step(vfio, RequestPasid(5, 1, 9), GUEST)
    assert first.facts == [LockTaken(LOCK, "mutex", "alloc:1")]
    second = step(vfio, FreePasidRange(6, 1, 9), GUEST)
    assert second.facts == [LockWaited(LOCK, "mutex", "free:2")]
    assert second.effects == []
    third = step(vfio, RequestPasid(7, 1, 9), GUEST)
    assert third.facts == [LockWaited(LOCK, "mutex", "alloc:3")]

    refused = step(vfio, Refused(1, Errno.ENOSPC), CORE)
    assert refused.facts == [
        LockReleased(LOCK, "mutex", "alloc:1"),
        LockTaken(LOCK, "mutex", "free:2"),
        LockReleased(LOCK, "mutex", "free:2"),
        LockTaken(LOCK, "mutex", "alloc:3"),
    ]
    assert pairs(refused) == [
        (GUEST, Refused(5, Errno.ENOSPC)),
        (GUEST, Done(6)),
        (CORE, AllocPasid(3, 3, 1, 9)),
    ]


def test_the_smallest_number_is_taken_again() -> None:
    vfio = opened()
    hand(vfio, RequestPasid(5, 1, 9), GUEST)
    hand(vfio, RequestPasid(6, 1, 9), GUEST)
    hand(vfio, AllocPasidGot(1, 4, 40))
    hand(vfio, RequestPasid(7, 1, 9), GUEST)
    assert sorted(vfio.tasks) == [1, 2]
    assert hand(vfio, AllocPasidGot(2, 5, 50)) == [
        (GUEST, RequestPasidGot(6, 5, 50)),
        (CORE, AllocPasid(1, 3, 1, 9)),
    ]


class WithoutLock(Vfio):
    """v8: nothing is serialised."""

    __slots__ = ()

    def needs_lock(self, task: Locked) -> bool:
        return False


def test_without_the_lock_nobody_waits() -> None:
    before = linked(4)
    vfio = WithoutLock(before.quota, before.processes)
    hand(vfio, RequestPasid(5, 1, 9), GUEST)
    freeing = step(vfio, FreePasidRange(6, 1, 9), GUEST)
    assert freeing.facts == [PasidUnlinked(4, 40, "vm1")]
    assert hand(vfio, Done(2)) == [(GUEST, Done(6))]
    assert hand(vfio, AllocPasidGot(1, 5, 50)) == [(GUEST, RequestPasidGot(5, 5, 50))]


def test_a_second_copy_of_an_answer_is_dropped() -> None:
    vfio = opened()
    assert hand(vfio, Done(1)) == []
    assert vfio == opened()


# --- Closing --------------------------------------------------------------------------------------


def test_closing_unbinds_everything_everywhere_then_detaches_then_frees() -> None:
    vfio = linked(7, 4)
    sent = hand(vfio, ReleaseFds("vm1"), GUEST)
    for pasid in (4, 7):
        for device in ("dsa0", "dsa1", "dsa2"):
            unbind = UnbindGpasid(1, "vm1", device, pasid, 10 * pasid, why="release")
            assert sent == [(IOMMU, unbind)]
            sent = hand(vfio, Done(1), IOMMU)
    for device in ("dsa0", "dsa1", "dsa2"):
        assert sent == [(IOMMU, DetachDomain(1, "vm1", device))]
        out = step(vfio, Done(1), IOMMU)
        sent = pairs(out)
    assert sent == [(CORE, FreeAllInSet(1, 3))]
    assert out.facts == [PasidUnlinked(4, 40, "vm1"), PasidUnlinked(7, 70, "vm1")]
    assert hand(vfio, Done(1)) == [(CORE, FreeSet(1, 3))]
    last = step(vfio, Refused(1, Errno.EBUSY), CORE)
    assert last.effects == []
    assert last.facts == [FdsReleased("vm1"), LockReleased(LOCK, "mutex", "release:1")]
    assert vfio.tasks == {}


def test_closing_without_a_container_only_says_so() -> None:
    out = step(fresh(), ReleaseFds("vm1"), SUPERVISOR)
    assert out.effects == []
    assert FdsReleased("vm1") in out.facts


def test_closing_twice_or_for_no_process_is_nothing() -> None:
    vfio = fresh()
    hand(vfio, ReleaseFds("vm1"), GUEST)
    assert step(vfio, ReleaseFds("vm1"), SUPERVISOR).facts == []
    assert step(vfio, ReleaseFds("vm9"), SUPERVISOR).facts == []


def test_closing_waits_for_what_is_under_way() -> None:
    vfio = opened()
    hand(vfio, RequestPasid(5, 1, 9), GUEST)
    assert hand(vfio, ReleaseFds("vm1"), SUPERVISOR) == []
    assert hand(vfio, AllocPasidGot(1, 4, 40)) == [
        (GUEST, RequestPasidGot(5, 4, 40)),
        (IOMMU, UnbindGpasid(2, "vm1", "dsa0", 4, 40, why="release")),
    ]


@pytest.mark.parametrize(
    "message",
    [
        OpenContainer(9, 0),
        RequestPasid(9, 1, 9),
        FreePasidRange(9, 1, 9),
        BindPgtbl(9, 0, 4, 40, 1, 1),
        UnbindPgtbl(9, 0, 4, 40),
        RespondPage(9, "dsa0", 4, 40, 0, ResponseCode.SUCCESS),
    ],
)
def test_err_a_process_that_has_ended_resurrects_nothing(message: Inbox) -> None:
    vfio = linked(4)
    hand(vfio, ReleaseFds("vm1"), SUPERVISOR)
    before = copy_of(vfio)
    assert hand(vfio, message, GUEST) == [(GUEST, Refused(9, Errno.EOPNOTSUPP))]
    assert vfio == before


# --- State ----------------------------------------------------------------------------------------


def test_the_state_round_trips_in_the_middle_of_everything() -> None:
    vfio = linked(4, 5)
    for message in (
        BindPgtbl(1, 0, 4, 40, 1, 1),
        UnbindPgtbl(2, 0, 4, 40),
        RequestPasid(3, 1, 9),
        FreePasidRange(4, 4, 4),
        OpenContainer(5, 0),
        RespondPage(6, "dsa0", 4, 40, 0, ResponseCode.SUCCESS),
        ReleaseFds("vm1"),
    ):
        hand(vfio, message, GUEST)
        assert copy_of(vfio) == vfio
    hand(vfio, Done(1))
    assert copy_of(vfio) == vfio
    assert {type(task).__name__ for task in vfio.tasks.values()} == {
        "Bind", "Unbind", "Alloc", "Free", "Open", "Respond", "Release",
    }  # fmt: skip


def test_equal_situations_are_equal_states() -> None:
    vfio = linked(4)
    hand(vfio, FreePasidRange(1, 4, 4), GUEST)
    hand(vfio, Done(1))
    assert vfio == opened()
