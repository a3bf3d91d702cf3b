"""Binding, unbinding, and page requests."""

import pytest

from actors.vfio import Inbox
from protocol.errors import Errno
from protocol.facts import BindAnswered, BindRequested, LockReleased, LockTaken, UnbindRequested
from protocol.messages import (
    BindGpasid,
    BindPgtbl,
    Done,
    FlushFaults,
    GetIfOwned,
    HostLost,
    PageRequestReport,
    PageResponse,
    PutPasid,
    PutPasidGot,
    Refused,
    ReleaseFds,
    RespondPage,
    ResponseCode,
    UnbindGpasid,
    UnbindPgtbl,
)
from protocol.names import CORE, IOMMU, SUPERVISOR
from tests.actors.vfio_hands import GUEST, LOCK, OTHER, hand, linked, pairs
from tests.helpers import step

BIND = BindPgtbl(7, 0, 4, 41, 1, 1)
"""Its ghost is the requester's, 41; once the owner is checked the tree's, 40, counts."""
BOUND = {device: BindGpasid(1, "vm1", device, 4, 40, 1, 1) for device in ("dsa0", "dsa1")}
CHECK = GetIfOwned(1, "vm1", 4, 41, "check")
PUT = PutPasid(1, 4, 40, "check")
UNBIND = UnbindPgtbl(7, 0, 4, 41)
REPORT = PageRequestReport("vm1", "dsa0", 4, 40, 1, 9, 256)


# --- Bind -----------------------------------------------------------------------------------------


def test_bind_checks_the_owner_binds_each_device_and_puts_the_check() -> None:
    vfio = linked(4)
    begun = step(vfio, BIND, GUEST)
    assert pairs(begun) == [(CORE, CHECK)]
    assert begun.facts == [
        LockTaken(LOCK, "mutex", "bind:1"),
        BindRequested(4, 41, "vm1", 0, "bind:1"),
    ]
    assert hand(vfio, Done(1)) == [(IOMMU, BOUND["dsa0"])]
    assert hand(vfio, Done(1), IOMMU) == [(IOMMU, BOUND["dsa1"])]
    assert hand(vfio, Done(1), IOMMU) == [(CORE, PUT)]
    ended = step(vfio, PutPasidGot(1, reclaimed=False), CORE)
    assert pairs(ended) == [(GUEST, Done(7))]
    assert ended.facts == [
        LockReleased(LOCK, "mutex", "bind:1"),
        BindAnswered(4, 40, "vm1", 0, "bind:1", "", 0),
    ]


@pytest.mark.parametrize("errno", [Errno.EPERM, Errno.ENOENT, Errno.EBUSY, Errno.EINVAL])
def test_err_bind_of_what_is_not_ours_reaches_no_device(errno: Errno) -> None:
    vfio = linked(4)
    hand(vfio, BIND, GUEST)
    refused = step(vfio, Refused(1, errno), CORE)
    assert pairs(refused) == [(GUEST, Refused(7, errno))]
    assert refused.facts[-1] == BindAnswered(4, 41, "vm1", 0, "bind:1", errno.value, 0)
    assert vfio == linked(4)


def test_err_a_refused_device_undoes_only_what_this_call_bound() -> None:
    vfio = linked(4)
    hand(vfio, BIND, GUEST)
    hand(vfio, Done(1))
    hand(vfio, Done(1), IOMMU)
    undo = UnbindGpasid(1, "vm1", "dsa0", 4, 40, why="rollback")
    assert hand(vfio, Refused(1, Errno.ENOMEM), IOMMU) == [(IOMMU, undo)]
    assert hand(vfio, Done(1), IOMMU) == [(CORE, PUT)]
    refused = step(vfio, PutPasidGot(1, reclaimed=False), CORE)
    assert pairs(refused) == [(GUEST, Refused(7, Errno.ENOMEM))]
    assert refused.facts[-1] == BindAnswered(4, 40, "vm1", 0, "bind:1", "ENOMEM", 1)
    assert vfio == linked(4)


def test_err_a_second_bind_leaves_the_first_alone() -> None:
    vfio = linked(4)
    hand(vfio, BIND, GUEST)
    hand(vfio, Done(1))
    assert hand(vfio, Refused(1, Errno.EBUSY), IOMMU) == [(CORE, PUT)]
    refused = hand(vfio, PutPasidGot(1, reclaimed=False))
    assert refused == [(GUEST, Refused(7, Errno.EBUSY))]


def test_the_devices_of_a_group_are_undone_backwards() -> None:
    vfio = linked(4)
    vfio.processes["vm1"].groups = (("dsa0", "dsa1", "dsa2"),)
    hand(vfio, BIND, GUEST)
    for _ in range(3):
        hand(vfio, Done(1))
    undone = [hand(vfio, Refused(1, Errno.EBUSY)), hand(vfio, Done(1))]
    assert undone == [
        [(IOMMU, UnbindGpasid(1, "vm1", device, 4, 40, why="rollback"))]
        for device in ("dsa1", "dsa0")
    ]


@pytest.mark.parametrize(
    ("message", "sender"),
    [
        (BIND, OTHER),
        (UNBIND, OTHER),
        (BindPgtbl(7, 2, 4, 41, 1, 1), GUEST),
        (UnbindPgtbl(7, 2, 4, 41), GUEST),
        (UNBIND, "root"),
    ],
)
def test_err_a_container_that_is_not_open(message: Inbox, sender: str) -> None:
    refused = hand(linked(4), message, sender)
    assert refused == [(sender, Refused(7, Errno.EOPNOTSUPP))]


# --- Unbind ---------------------------------------------------------------------------------------


def test_unbind_checks_the_owner_unbinds_each_device_and_puts_the_check() -> None:
    vfio = linked(4)
    begun = step(vfio, UNBIND, GUEST)
    assert pairs(begun) == [(CORE, CHECK)]
    assert begun.facts[-1] == UnbindRequested(4, 41, "vm1", 0, linked=True)
    assert hand(vfio, Done(1)) == [(IOMMU, UnbindGpasid(1, "vm1", "dsa0", 4, 40))]
    assert hand(vfio, Done(1), IOMMU) == [(IOMMU, UnbindGpasid(1, "vm1", "dsa1", 4, 40))]
    assert hand(vfio, Done(1), IOMMU) == [(CORE, PUT)]
    assert hand(vfio, PutPasidGot(1, reclaimed=True)) == [(GUEST, Done(7))]
    assert vfio == linked(4)


@pytest.mark.parametrize("errno", [Errno.ENOENT, Errno.EBUSY])
def test_a_late_unbind_finds_the_work_done(errno: Errno) -> None:
    vfio = linked()
    late = step(vfio, UNBIND, GUEST)
    assert late.facts[-1] == UnbindRequested(4, 41, "vm1", 0, linked=False)
    assert hand(vfio, Refused(1, errno)) == [(GUEST, Done(7))]


@pytest.mark.parametrize("errno", [Errno.EPERM, Errno.EACCES])
def test_err_unbind_of_another_vms_pasid(errno: Errno) -> None:
    vfio = linked(4)
    hand(vfio, UNBIND, GUEST)
    assert hand(vfio, Refused(1, errno)) == [(GUEST, Refused(7, errno))]


# --- Page requests --------------------------------------------------------------------------------


def test_a_report_goes_to_the_guest_and_its_answer_to_the_driver() -> None:
    vfio = linked(4)
    assert hand(vfio, REPORT, IOMMU) == [(GUEST, REPORT)]
    answer = RespondPage(7, "dsa0", 4, 40, 9, ResponseCode.SUCCESS)
    response = PageResponse(1, "vm1", "dsa0", 4, 40, 9, ResponseCode.SUCCESS)
    assert hand(vfio, answer, GUEST) == [(IOMMU, response)]
    assert hand(vfio, Done(1), IOMMU) == [(GUEST, Done(7))]
    hand(vfio, answer, GUEST)
    refused = hand(vfio, Refused(1, Errno.EINVAL), IOMMU)
    assert refused == [(GUEST, Refused(7, Errno.EINVAL))]
    assert vfio == linked(4)


def test_a_page_answer_waits_for_no_lock() -> None:
    vfio = linked(4)
    hand(vfio, UNBIND, GUEST)
    answer = RespondPage(7, "dsa0", 4, 40, 9, ResponseCode.FAILURE)
    response = PageResponse(2, "vm1", "dsa0", 4, 40, 9, ResponseCode.FAILURE)
    assert hand(vfio, answer, GUEST) == [(IOMMU, response)]


@pytest.mark.parametrize("end", [HostLost(GUEST), ReleaseFds("vm1")])
def test_vfio_answers_for_a_guest_that_has_ended(end: Inbox) -> None:
    vfio = linked()
    hand(vfio, end, SUPERVISOR)
    number = len(vfio.tasks) + 1
    response = PageResponse(number, "vm1", "dsa0", 4, 40, 9, ResponseCode.INVALID)
    assert hand(vfio, REPORT, IOMMU) == [(IOMMU, response)]
    assert hand(vfio, Done(number), IOMMU) == []
    assert number not in vfio.tasks


def test_a_flush_is_answered_at_once_even_while_the_lock_is_held() -> None:
    vfio = linked(4)
    hand(vfio, UNBIND, GUEST)
    assert hand(vfio, FlushFaults(5, "dsa0"), IOMMU) == [(IOMMU, Done(5))]
