"""Sets and capacity of the IOASID core."""

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import IoasidSet
from protocol.errors import Errno
from protocol.facts import (
    CapacityChanged,
    MemoryAllocated,
    MemoryFreed,
    PasidReclaimed,
    SetAllocated,
    SetFreed,
)
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AllocSetGot,
    CancelCapacity,
    Done,
    FreeSet,
    InstallCapacity,
    Refused,
    ReserveCapacity,
    ReserveCapacityGot,
    SetKind,
)
from protocol.names import CORE, VFIO
from tests.actors.core_hands import (
    ANY,
    MACHINE,
    empty,
    facts,
    free,
    hand,
    null_set,
    pairs,
    pending,
    put,
    with_pasid,
    with_set,
)
from tests.helpers import Failing


def test_a_set_takes_its_quota_from_what_is_available() -> None:
    core = empty()
    out = hand(core, AllocSet(3, "vm1", 5))
    assert pairs(out) == [(VFIO, AllocSetGot(3, 1))]
    assert out.facts == [
        MemoryAllocated("set", "set1"),
        SetAllocated(1, "vm1", 5, 8, 3, 0),
    ]


def test_quota_0_is_all_that_is_left() -> None:
    core = with_set(5)
    assert facts(hand(core, AllocSet(3, "vm2", 0)), SetAllocated) == [
        SetAllocated(2, "vm2", 3, 8, 0, 0),
    ]
    out = hand(core, AllocSet(3, "vm3", 0))
    assert pairs(out) == [(VFIO, AllocSetGot(3, 3))]
    assert pairs(hand(core, AllocPasid(4, 3, *ANY))) == [(VFIO, Refused(4, Errno.ENOSPC))]


def test_the_number_of_a_set_is_the_smallest_that_is_free() -> None:
    core = with_set(1)
    hand(core, AllocSet(1, "vm2", 1))
    hand(core, FreeSet(1, 1))
    assert pairs(hand(core, AllocSet(3, "vm3", 1))) == [(VFIO, AllocSetGot(3, 1))]
    assert pairs(null_set(core)) == [(VFIO, AllocSetGot(1, 3))]


@pytest.mark.parametrize(
    ("alloc", "errno"),
    [
        (AllocSet(3, "vm2", 5), Errno.ENOSPC),
        (AllocSet(3, "vm2", -1), Errno.ENOSPC),
        (AllocSet(3, "", 1), Errno.EINVAL),
        (AllocSet(3, "vm2", 1, SetKind.NULL), Errno.EINVAL),
        (AllocSet(3, "vm1", 1), Errno.EEXIST),
    ],
)
def test_err_alloc_set_refuses(alloc: AllocSet, errno: Errno) -> None:
    core = with_set()
    out = hand(core, alloc)
    assert pairs(out) == [(VFIO, Refused(3, errno))]
    assert core == with_set()


def test_err_alloc_set_without_memory_is_enomem_and_takes_nothing() -> None:
    core = empty()
    out = hand(core, AllocSet(3, "vm1", 4), chance=Failing("core.alloc_set.nomem"))
    assert pairs(out) == [(VFIO, Refused(3, Errno.ENOMEM))]
    assert core == empty()


def test_two_sets_without_an_mm_may_live_at_once() -> None:
    core = empty()
    null_set(core)
    assert pairs(null_set(core)) == [(VFIO, AllocSetGot(1, 2))]
    for number in (1, 2):
        assert pairs(hand(core, FreeSet(3, number))) == [(VFIO, Done(3))]
    assert core == empty()


def test_an_empty_set_goes_at_once_and_its_quota_comes_back() -> None:
    core = with_set()
    out = hand(core, FreeSet(3, 1))
    assert pairs(out) == [(VFIO, Done(3))]
    assert out.facts == [SetFreed(1, "vm1", 4, 8, 8, 0), MemoryFreed("set", "set1")]
    assert core == empty()


def test_err_free_set_with_pasids_is_ebusy_and_means_later() -> None:
    core = pending()
    for _ in range(2):
        out = hand(core, FreeSet(3, 1))
        assert pairs(out) == [(VFIO, Refused(3, Errno.EBUSY))]
        assert out.facts == []
    assert pairs(hand(core, AllocSet(3, "vm1", 1))) == [(VFIO, Refused(3, Errno.EEXIST))]

    last = put(core, "svm")
    assert last.facts[-3:] == [
        *facts(last, PasidReclaimed),
        SetFreed(1, "vm1", 4, 8, 8, 0),
        MemoryFreed("set", "set1"),
    ]
    assert pairs(hand(core, AllocSet(3, "vm1", 1))) == [(VFIO, AllocSetGot(3, 1))]


def test_a_set_that_becomes_empty_stays_until_somebody_frees_it() -> None:
    core = with_pasid()
    assert facts(free(core), SetFreed) == []
    assert core.sets == {1: IoasidSet(SetKind.MM, "vm1", 4)}


def test_err_free_of_an_unknown_set_is_einval() -> None:
    assert pairs(hand(empty(), FreeSet(3, 1))) == [(VFIO, Refused(3, Errno.EINVAL))]


def test_capacity_is_installed_once() -> None:
    core = empty()
    out = hand(core, InstallCapacity(3, 6))
    assert pairs(out) == [(VFIO, Done(3))]
    assert out.facts == [CapacityChanged(6, 6, 0)]

    again = hand(core, InstallCapacity(3, 4))
    assert pairs(again) == [(VFIO, Done(3))]
    assert again.facts == []
    assert core.capacity == 6


def test_capacity_that_is_in_use_already_stays_as_it_is() -> None:
    """Else what sets have, what is reserved and what is available would not add up (N9)."""
    core = with_set()
    assert hand(core, InstallCapacity(3, 6)).facts == []
    assert core == with_set()


def test_reserving_takes_from_what_is_available_and_cancelling_gives_it_back() -> None:
    core = empty()
    out = hand(core, ReserveCapacity(3, 5))
    assert pairs(out) == [(VFIO, ReserveCapacityGot(3, 5))]
    assert out.facts == [CapacityChanged(8, 3, 5)]
    assert pairs(hand(core, ReserveCapacity(3, 0))) == [(VFIO, ReserveCapacityGot(3, 3))]

    out = hand(core, CancelCapacity(4, 8))
    assert pairs(out) == [(VFIO, Done(4))]
    assert out.facts == [CapacityChanged(8, 8, 0)]
    assert core == empty()


@pytest.mark.parametrize("count", [9, -1])
def test_err_reserving_more_than_there_is_is_enospc(count: int) -> None:
    core = empty()
    assert pairs(hand(core, ReserveCapacity(3, count))) == [(VFIO, Refused(3, Errno.ENOSPC))]
    assert core == empty()


@pytest.mark.parametrize("count", [3, -1])
def test_err_cancelling_more_than_is_set_aside_is_einval(count: int) -> None:
    core = with_set()
    hand(core, ReserveCapacity(3, 2))
    before = msgspec.msgpack.encode(core)
    assert pairs(hand(core, CancelCapacity(3, count))) == [(VFIO, Refused(3, Errno.EINVAL))]
    assert msgspec.msgpack.encode(core) == before


class GoesWhenEmpty(IoasidCore):
    """A core in which a set is destroyed whenever it becomes empty."""

    def set_goes(self, ioasids: IoasidSet) -> bool:
        return ioasids.count == 0


def test_a_defect_can_bring_back_the_set_that_goes_when_it_becomes_empty() -> None:
    core = GoesWhenEmpty.of(MACHINE, CORE)
    hand(core, AllocSet(1, "vm1", 4))
    hand(core, AllocPasid(1, 1, *ANY))
    assert facts(free(core), SetFreed) == [SetFreed(1, "vm1", 4, 8, 8, 0)]
    assert pairs(hand(core, AllocPasid(2, 1, *ANY))) == [(VFIO, Refused(2, Errno.ENOSPC))]
