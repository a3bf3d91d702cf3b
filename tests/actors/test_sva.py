"""The SVA core beyond its cases: fall back, drops, orders; and what 6.12 and 6.1 do otherwise."""

import pytest

from actors.revisions._sva_6_12 import Sva612
from actors.sva import Sva
from actors.sva.sva_lib import IOMMU_SVA_PASID, SvaLibrary
from protocol.effects import Send
from protocol.errors import Errno
from protocol.facts.software import LockReleased, LockTaken, LockWaited
from protocol.facts.sva import SvaDomainUnlinked, SvaPasidDropped, SvaPresent
from protocol.machine import Machine
from protocol.messages import (
    AllocPasidGot,
    AllocPasidWithData,
    AnyMessage,
    Done,
    FindPasidGot,
    FindPasidWithGetter,
    FreePasid,
    HostLost,
    Refused,
    Start,
)
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    AttachHandleGet,
    DetachDevicePasid,
    FreeGlobalPasid,
)
from protocol.messages.sva import (
    DomainAllocSva,
    DomainFree,
    ForceTaggedSva,
    MmPasidDrop,
    SvaAllocPasid,
    SvaBindDevice,
    SvaFind,
    SvaFindGot,
    SvaUnbindDevice,
)
from protocol.names import CORE, KERNEL, SUPERVISOR
from tests.actors.sva_hands import MACHINE, Hands, M, N
from tests.helpers import step

# --- Bind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("errno", [Errno.EIO, Errno.ENOMEM, Errno.ENOSPC, Errno.EBUSY])
def test_whatever_a_domain_of_the_mm_is_refused_with_a_new_one_is_tried(errno: Errno) -> None:
    hands = Hands()
    hands.bound("d1")
    hands.answers[AttachDevicePasid] = [Refused(0, errno)]
    hands.bound("d2")
    assert [domain.users for domain in hands.sva.mms[M].domains] == [1, 1]
    hands.check_books()


def test_err_what_look_up_says_other_than_enoent_is_the_answer() -> None:
    hands = Hands()
    hands.answers[AttachHandleGet] = [Refused(0, Errno.EINVAL)]
    assert hands.refused("d1") is Errno.EINVAL
    assert not hands.asked_of(DomainAllocSva)


def test_a_group_has_one_bond_whichever_of_its_devices_is_bound() -> None:
    hands = Hands()
    assert hands.bound("twin1") == hands.bound("twin2")
    hands.unbind("twins:proc1")
    hands.unbind("twins:proc1")
    detached = hands.asked_of(DetachDevicePasid)
    assert [one.device for one in detached] == ["twin1"]  # type: ignore[union-attr]
    hands.check_books()


def test_a_bind_that_fails_leaves_the_pasid_and_the_flag_as_they_were() -> None:
    hands = Hands()
    hands.answers[AttachDevicePasid] = [Refused(0, Errno.EIO)]
    assert hands.refused("d1") is Errno.EIO
    assert hands.sva.mms[M].pasid == 1
    assert not hands.sva.present
    hands.check_books()
    assert hands.pasid(hands.bound("d1")) == 1


def test_an_answer_that_nobody_asked_for_is_a_mistake_of_ours() -> None:
    hands = Hands()
    hands.answers[DomainAllocSva] = [Done(0)]
    with pytest.raises(AssertionError, match="is no answer to DomainAllocSva"):
        hands.bind("d1")


def test_the_world_is_not_listened_to() -> None:
    sva = Sva.of(MACHINE, "sva")
    for message in (Start(), HostLost("proc1")):
        assert not step(sva, message, SUPERVISOR).effects


# --- The mm ---------------------------------------------------------------------------------------


def test_the_pasid_goes_with_the_last_domain_before_the_domain_is_freed() -> None:
    hands = Hands()
    one, two = hands.bound("d1"), hands.bound("other")
    call = hands.drop()
    hands.unbind(one)
    assert call not in hands.said
    hands.asked.clear()
    hands.unbind(two)
    assert [type(message) for message in hands.asked] == [
        DetachDevicePasid,
        FreeGlobalPasid,
        DomainFree,
    ]
    assert hands.said[call] == Done(call)
    hands.check_books()


def test_the_books_are_closed_before_the_mm_may_go() -> None:
    hands = Hands()
    handle = hands.bound("d1")
    hands.drop()
    hands.unbind(handle)
    kinds = [type(fact) for fact in hands.facts]
    assert kinds.index(SvaDomainUnlinked) < kinds.index(SvaPresent, 10)
    assert kinds.index(SvaPresent, 10) < kinds.index(SvaPasidDropped)


def test_a_failed_bind_may_hold_the_mm_last() -> None:
    hands = Hands()
    hands.answers[AttachDevicePasid] = [Refused(0, Errno.EIO)]
    hands.send(SvaBindDevice(9, "d1", M))
    for _ in range(3):
        hands.answer_next()
    call = hands.drop()
    assert hands.said[call] == Done(call)
    assert hands.said[9] == Refused(9, Errno.EIO)
    assert not hands.out
    hands.check_books()


def test_a_drop_of_an_mm_without_pasid_is_done_at_once() -> None:
    hands = Hands()
    hands.run(ForceTaggedSva(70, N))
    for mm in (M, N):
        call = hands.drop(mm)
        assert hands.said[call] == Done(call)
    assert not hands.asked


def test_a_drop_needs_no_lock() -> None:
    hands = Hands()
    hands.unbind(hands.bound("d1"))
    hands.send(SvaBindDevice(80, "d1", N))
    hands.send(MmPasidDrop(81, M))
    assert [type(one.message).__name__ for one in hands.pending] == [
        "AllocGlobalPasid",
        "FreeGlobalPasid",
    ]
    hands.settle()
    assert hands.said[81] == Done(81)
    hands.check_books()


# --- 6.12 -----------------------------------------------------------------------------------------


def test_6_12_has_no_flag() -> None:
    hands = Hands(Sva612.of(MACHINE, "sva"))
    hands.unbind(hands.bound("d1"))
    assert not [fact for fact in hands.facts if isinstance(fact, SvaPresent)]
    assert not hands.domains


def test_err_6_12_binds_nothing_on_x86_not_even_a_device_without_group() -> None:
    sva = Sva612.of(MACHINE, "sva")
    hands = Hands(sva)
    handle = hands.bound("d1")
    sva.off = True
    assert hands.refused("bare") is Errno.EOPNOTSUPP
    assert isinstance(hands.run(SvaUnbindDevice(77, handle)), Done)
    sva.off = False
    assert hands.refused("bare") is Errno.ENODEV


# --- 6.1 ------------------------------------------------------------------------------------------

TWO = Machine((), (), (), processes=(M, N))


def library() -> SvaLibrary:
    return SvaLibrary.of(TWO, "sva")


def given(pasid: int = 5) -> SvaLibrary:
    """M has the PASID."""
    sva = library()
    step(sva, SvaAllocPasid(1, M, 1, 5), KERNEL)
    step(sva, AllocPasidGot(0, pasid, 9), CORE)
    return sva


@pytest.mark.parametrize(
    ("low", "high"), [(0, 5), (3, 2), (1, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF)]
)
def test_err_6_1_no_such_range(low: int, high: int) -> None:
    out = step(library(), SvaAllocPasid(1, M, low, high), KERNEL)
    assert out.effects == [Send(KERNEL, Refused(1, Errno.EINVAL))]


def test_6_1_the_mm_gets_a_number_of_the_core() -> None:
    sva = library()
    out = step(sva, SvaAllocPasid(1, N, 2, 5), KERNEL)
    assert out.effects == [Send(CORE, AllocPasidWithData(0, IOMMU_SVA_PASID, 2, 5, 2))]
    out = step(sva, AllocPasidGot(0, 2, 9), CORE)
    assert out.effects == [Send(KERNEL, Done(1))]


def test_err_6_1_the_last_number_of_a_range_does_not_fit_the_same_range() -> None:
    sva = given(5)
    out = step(sva, SvaAllocPasid(2, M, 1, 5), KERNEL)
    assert out.effects == [Send(KERNEL, Refused(2, Errno.EOVERFLOW))]
    out = step(sva, SvaAllocPasid(3, M, 1, 6), KERNEL)
    assert out.effects == [Send(KERNEL, Done(3))]


def test_err_6_1_full_is_enomem() -> None:
    sva = library()
    step(sva, SvaAllocPasid(1, M, 1, 5), KERNEL)
    out = step(sva, Refused(0, Errno.ENOSPC), CORE)
    assert out.effects == [Send(KERNEL, Refused(1, Errno.ENOMEM))]


def test_6_1_allocations_wait_for_the_lock_and_look_ups_do_not() -> None:
    sva = library()
    step(sva, SvaAllocPasid(1, M, 1, 5), KERNEL)
    waits = step(sva, SvaAllocPasid(2, M, 1, 5), KERNEL)
    assert (waits.effects, len(waits.facts)) == ([], 1)
    assert isinstance(waits.facts[0], LockWaited)
    find = step(sva, SvaFind(3, 4), KERNEL)
    wanted = FindPasidWithGetter(1, IOMMU_SVA_PASID, 4, "mmget_not_zero")
    assert find.effects == [Send(CORE, wanted)]
    out = step(sva, AllocPasidGot(0, 1, 9), CORE)
    assert out.effects == [Send(KERNEL, Done(1)), Send(KERNEL, Done(2))]
    locks = [type(fact) for fact in out.facts[1:]]
    assert locks == [LockReleased, LockTaken, LockReleased]


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (FindPasidGot(0, 2), SvaFindGot(4, N)),
        (FindPasidGot(0, 0), SvaFindGot(4, "")),
        (Refused(0, Errno.ENOENT), Refused(4, Errno.ENOENT)),
    ],
)
def test_6_1_a_look_up_has_three_answers(said: FindPasidGot | Refused, answer: AnyMessage) -> None:
    sva = library()
    step(sva, SvaFind(4, 1), KERNEL)
    assert step(sva, said, CORE).effects == [Send(KERNEL, answer)]


def test_6_1_a_drop_frees_the_number_once() -> None:
    sva = given(3)
    out = step(sva, MmPasidDrop(6, M), KERNEL)
    assert out.effects == [Send(CORE, FreePasid(0, IOMMU_SVA_PASID, 3, 9))]
    assert step(sva, Done(0), CORE).effects == [Send(KERNEL, Done(6))]
    assert step(sva, MmPasidDrop(7, M), KERNEL).effects == [Send(KERNEL, Done(7))]


def test_6_1_the_world_is_not_listened_to() -> None:
    sva = library()
    for message in (Start(), HostLost("proc1")):
        assert not step(sva, message, SUPERVISOR).effects
