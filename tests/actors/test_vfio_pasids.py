"""VFIO's allocation and free."""

import pytest

from actors.vfio import Inbox, Vfio
from protocol.errors import Errno
from protocol.facts import LockReleased, PasidLinked, PasidUnlinked
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    Done,
    FreePasid,
    FreePasidRange,
    Refused,
    RequestPasid,
    RequestPasidGot,
)
from protocol.names import CORE, PASID_COUNT
from tests.actors.vfio_hands import GUEST, LOCK, OTHER, hand, linked, opened, pairs
from tests.helpers import Failing, step


def test_an_allocated_pasid_is_linked_and_answered_with_its_ghost() -> None:
    vfio = opened()
    assert hand(vfio, RequestPasid(7, 2, 9), GUEST) == [(CORE, AllocPasid(1, 3, 2, 9))]
    got = step(vfio, AllocPasidGot(1, 4, 40), CORE)
    assert pairs(got) == [(GUEST, RequestPasidGot(7, 4, 40))]
    assert got.facts == [PasidLinked(4, 40, "vm1"), LockReleased(LOCK, "mutex", "alloc:1")]
    assert vfio.processes["vm1"].pasids == {4: 40}


def test_err_no_pasid_left() -> None:
    vfio = opened()
    hand(vfio, RequestPasid(7, 1, 9), GUEST)
    assert hand(vfio, Refused(1, Errno.ENOSPC)) == [(GUEST, Refused(7, Errno.ENOSPC))]
    assert vfio == opened()


def test_err_a_pasid_that_cannot_be_linked_goes_back() -> None:
    vfio = opened()
    hand(vfio, RequestPasid(7, 1, 9), GUEST)
    failed = step(vfio, AllocPasidGot(1, 4, 40), CORE, Failing("vfio.alloc.link"))
    assert pairs(failed) == [(CORE, FreePasid(1, 3, 4, 40))]
    assert failed.facts == []
    assert hand(vfio, Done(1)) == [(GUEST, Refused(7, Errno.ENOMEM))]
    assert vfio == opened()
    assert [site.name for site in Vfio.SITES] == ["vfio.alloc.link"]


@pytest.mark.parametrize("bounds", [(0, 5), (5, 4), (1, PASID_COUNT), (-3, -1)])
def test_err_what_is_not_a_range_is_einval(bounds: tuple[int, int]) -> None:
    for message in (RequestPasid(7, *bounds), FreePasidRange(7, *bounds)):
        assert hand(opened(), message, GUEST) == [(GUEST, Refused(7, Errno.EINVAL))]


@pytest.mark.parametrize("message", [RequestPasid(7, 1, 9), FreePasidRange(7, 1, 9)])
def test_err_a_process_without_a_vfio_mm(message: Inbox) -> None:
    assert hand(opened(), message, OTHER) == [(OTHER, Refused(7, Errno.EOPNOTSUPP))]


def test_free_unlinks_and_frees_each_pasid_in_the_range_lowest_first() -> None:
    vfio = linked(6, 4, 9)
    first = step(vfio, FreePasidRange(7, 4, 8), GUEST)
    assert pairs(first) == [(CORE, FreePasid(1, 3, 4, 40))]
    assert first.facts[-1] == PasidUnlinked(4, 40, "vm1")
    assert hand(vfio, Done(1)) == [(CORE, FreePasid(1, 3, 6, 60))]
    assert hand(vfio, Done(1)) == [(GUEST, Done(7))]
    assert vfio.processes["vm1"].pasids == {9: 90}


def test_freeing_what_is_not_ours_or_twice_has_no_effect() -> None:
    vfio = linked(4)
    assert hand(vfio, FreePasidRange(7, 5, 5), GUEST) == [(GUEST, Done(7))]
    assert vfio == linked(4)
