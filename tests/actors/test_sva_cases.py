"""The cases S01 to S10, S16, S24 and S25, and the misuse of iommu_sva_*, row by row."""

from collections.abc import Callable
from typing import Final

import pytest

from actors.sva.state import NOMEM_HANDLE, NOMEM_MM
from protocol.errors import Errno
from protocol.facts.software import LockReleased, LockTaken, LockWaited
from protocol.messages import AnyMessage, Done, Refused
from protocol.messages.iommu_core import AttachDevicePasid, DetachDevicePasid
from protocol.messages.sva import (
    DomainAllocSva,
    DomainFree,
    EnableLam,
    ForceTaggedSva,
    SvaBindDevice,
    SvaBindDeviceGot,
    SvaUnbindDevice,
)
from protocol.names import INVALID_PASID
from tests.actors.sva_hands import Hands, M, N
from tests.helpers import Failing

# --- Cases ----------------------------------------------------------------------------------------


def s01_two_binds_share_one_bond(hands: Hands) -> None:
    assert hands.bound("d1") == hands.bound("d1")
    assert [bond.users for bond in hands.sva.bonds.values()] == [2]
    assert len(hands.slots) == 1


def s02_the_last_unbind_ends_it_and_the_pasid_stays(hands: Hands) -> None:
    handle = hands.bound("d1")
    hands.bound("d1")
    hands.unbind(handle)
    assert len(hands.slots) == 1
    hands.unbind(handle)
    assert not hands.slots
    assert not hands.domains
    assert hands.sva.mms[M].pasid == 1
    assert hands.out == {1: None}


def s03_a_later_bind_has_the_same_pasid(hands: Hands) -> None:
    first = hands.bound("d1")
    pasid = hands.pasid(first)
    hands.unbind(first)
    hands.bound("d2", N)
    assert hands.pasid(hands.bound("d1")) == pasid


def s04_two_devices_of_one_driver_share_the_domain(hands: Hands) -> None:
    one, two = hands.bound("d1"), hands.bound("d2")
    assert one != two
    assert hands.pasid(one) == hands.pasid(two)
    assert [domain.users for domain in hands.sva.mms[M].domains] == [2]


def s05_incompatible_devices_have_two(hands: Hands) -> None:
    hands.bound("d1")
    hands.bound("other")
    assert [domain.users for domain in hands.sva.mms[M].domains] == [1, 1]
    hands.bound("d2")  # The newest is tried first, and does not fit.
    assert [domain.users for domain in hands.sva.mms[M].domains] == [1, 2]


def s06_the_other_device_translates_on(hands: Hands) -> None:
    one, _ = hands.bound("d1"), hands.bound("d2")
    hands.unbind(one)
    assert list(hands.slots) == [("d2", 1)]
    assert [domain.users for domain in hands.sva.mms[M].domains] == [1]
    assert not hands.asked_of(DomainFree)


def s07_no_pasids_and_none_yet(hands: Hands) -> None:
    assert hands.refused("plain") is Errno.ENOSPC
    assert M not in hands.sva.mms


def s08_a_pasid_that_is_too_high(hands: Hands) -> None:
    hands.bound("d1", N)
    handle = hands.bound("d1")
    assert hands.refused("small") is Errno.EOVERFLOW
    assert hands.pasid(handle) == 2


def s09_the_number_is_somebody_elses_on_the_device(hands: Hands) -> None:
    hands.slots["d1", 1] = ("NESTED@smmu0.vm", "hwpt")
    assert hands.refused("d1") is Errno.EBUSY
    assert hands.slots == {("d1", 1): ("NESTED@smmu0.vm", "hwpt")}
    assert not hands.asked_of(DomainAllocSva)


def s10_the_slot_has_a_domain_without_handle(hands: Hands) -> None:
    hands.slots["d1", 1] = ("kernel", "")
    assert hands.refused("d1") is Errno.EBUSY
    assert len(hands.asked_of(DomainAllocSva)) == len(hands.asked_of(DomainFree)) == 1


def s16_the_next_process_gets_the_number(hands: Hands) -> None:
    handle = hands.bound("d1")
    call = hands.drop()
    assert call not in hands.said
    assert hands.out == {1: None}
    hands.unbind(handle)
    assert hands.said[call] == Done(call)
    assert not hands.out
    assert hands.pasid(hands.bound("d1", N)) == 1


def s24_a_child_has_no_pasid(hands: Hands) -> None:
    handle = hands.bound("d1")
    child = hands.bound("d1", "child")
    assert (hands.pasid(handle), hands.pasid(child)) == (1, 2)
    hands.unbind(child)
    hands.drop("child")
    assert hands.pasid(handle) == 1


def s25_an_unbind_before_a_bind_of_the_pair(hands: Hands) -> None:
    handle = hands.bound("d1")
    hands.send(SvaUnbindDevice(50, handle))
    hands.send(SvaBindDevice(51, "d1", M))
    assert not hands.said.keys() & {50, 51}
    hands.settle()
    assert hands.said[50] == Done(50)
    assert isinstance(hands.said[51], SvaBindDeviceGot)
    assert [bond.users for bond in hands.sva.bonds.values()] == [1]
    assert len(hands.asked_of(AttachDevicePasid)) == 2


def s25_a_bind_of_the_pair_before_an_unbind(hands: Hands) -> None:
    handle = hands.bound("d1")
    hands.send(SvaBindDevice(51, "d1", M))
    hands.send(SvaUnbindDevice(50, handle))
    hands.settle()
    assert hands.said[51] == SvaBindDeviceGot(51, handle)
    assert [bond.users for bond in hands.sva.bonds.values()] == [1]
    assert not hands.asked_of(DetachDevicePasid)


CASES: Final[tuple[Callable[[Hands], None], ...]] = (
    s01_two_binds_share_one_bond,
    s02_the_last_unbind_ends_it_and_the_pasid_stays,
    s03_a_later_bind_has_the_same_pasid,
    s04_two_devices_of_one_driver_share_the_domain,
    s05_incompatible_devices_have_two,
    s06_the_other_device_translates_on,
    s07_no_pasids_and_none_yet,
    s08_a_pasid_that_is_too_high,
    s09_the_number_is_somebody_elses_on_the_device,
    s10_the_slot_has_a_domain_without_handle,
    s16_the_next_process_gets_the_number,
    s24_a_child_has_no_pasid,
    s25_an_unbind_before_a_bind_of_the_pair,
    s25_a_bind_of_the_pair_before_an_unbind,
)


@pytest.mark.parametrize("case", CASES)
def test_a_case_ends_as_expected_and_the_books_are_right(case: Callable[[Hands], None]) -> None:
    hands = Hands()
    case(hands)
    hands.check_books()
    assert not hands.misuses()


# --- Misuse: what is the case, the device, what bind answers, how many domains it asked for -------


def nothing(_hands: Hands) -> None:
    pass


def lam(hands: Hands) -> None:
    hands.run(EnableLam(hands.next_call(), M))


def all_numbers_out(hands: Hands) -> None:
    hands.out = dict.fromkeys(range(1, 32))


def bound_elsewhere(hands: Hands) -> None:
    hands.bound("d2")


def bound_with_number_two(hands: Hands) -> None:
    hands.bound("d2", N)
    hands.bound("d2")


def another_mm_in_the_slot(hands: Hands) -> None:
    hands.bound("d1", N)
    hands.bound("d2")
    hands.slots["d1", 2] = hands.slots["d1", 1]
    hands.asked.clear()


def a_handle_of_no_bond(hands: Hands) -> None:
    hands.slots["d1", 1] = ("SVA@smmu0.proc9", "stale")


def the_core_is_in_recovery(hands: Hands) -> None:
    hands.answers[AttachDevicePasid] = [Refused(0, Errno.EBUSY)]


def driver_says(errno: Errno) -> Callable[[Hands], None]:
    def given(hands: Hands) -> None:
        hands.answers[DomainAllocSva] = [Refused(0, errno)]

    return given


def attach_says(errno: Errno) -> Callable[[Hands], None]:
    def given(hands: Hands) -> None:
        hands.answers[AttachDevicePasid] = [Refused(0, errno)]

    return given


def no_memory_for(site: str) -> Callable[[Hands], None]:
    def given(hands: Hands) -> None:
        hands.chance = Failing(site)

    return given


BINDS: Final[tuple[tuple[str, Callable[[Hands], None], str, Errno, int], ...]] = (
    ("no group", nothing, "bare", Errno.ENODEV, 0),
    ("LAM without forced tagged SVA", lam, "d1", Errno.EBUSY, 0),
    ("PASID beyond the device", bound_with_number_two, "small", Errno.EOVERFLOW, 0),
    ("PASID, and the device has none", bound_elsewhere, "plain", Errno.EOVERFLOW, 0),
    ("no number left", all_numbers_out, "d1", Errno.ENOSPC, 0),
    ("the device has no PASIDs", nothing, "plain", Errno.ENOSPC, 0),
    ("SVA of another mm", another_mm_in_the_slot, "d1", Errno.EBUSY, 0),
    ("a handle of nobody", a_handle_of_no_bond, "d1", Errno.EBUSY, 0),
    ("no memory for the mm", no_memory_for(NOMEM_MM.name), "d1", Errno.ENOMEM, 0),
    ("no memory for the bond", no_memory_for(NOMEM_HANDLE.name), "d1", Errno.ENOMEM, 0),
    ("no SVA domain", driver_says(Errno.EOPNOTSUPP), "d1", Errno.EOPNOTSUPP, 1),
    ("no memory for the domain", driver_says(Errno.ENOMEM), "d1", Errno.ENOMEM, 1),
    ("VT-d, not SVM capable", attach_says(Errno.ENODEV), "d1", Errno.ENODEV, 1),
    ("VT-d, PRI off", attach_says(Errno.EINVAL), "d1", Errno.EINVAL, 1),
    ("recovery", the_core_is_in_recovery, "d1", Errno.EBUSY, 1),
)


@pytest.mark.parametrize(("row", "given", "device", "errno", "domains"), BINDS)
def test_err_bind_refuses_and_leaves_nothing_but_the_pasid(
    row: str, given: Callable[[Hands], None], device: str, errno: Errno, domains: int
) -> None:
    hands = Hands()
    given(hands)
    bonds, slots, kept = len(hands.sva.bonds), dict(hands.slots), dict(hands.domains)
    hands.asked.clear()
    assert hands.refused(device) is errno, row
    assert len(hands.asked_of(DomainAllocSva)) == domains
    assert (len(hands.sva.bonds), hands.slots, hands.domains) == (bonds, slots, kept)
    assert hands.sva.holder is None
    assert not hands.misuses()


def test_err_a_bind_of_an_mm_that_nobody_holds_breaks_the_contract() -> None:
    hands = Hands()
    hands.bound("d1")
    hands.drop()
    assert hands.refused("d2") is Errno.EINVAL
    assert hands.misuses() == ["bound an mm that has gone"]


def test_one_unbind_too_many_is_not_noticed_by_anybody() -> None:
    hands = Hands()
    handle = hands.bound("d1")
    hands.unbind(handle)
    assert isinstance(hands.unbind(handle), Done)
    assert hands.misuses() == ["unbound a freed handle"]
    hands.check_books()


def test_an_mm_without_pasid_has_none_to_show() -> None:
    hands = Hands()
    handle = hands.bound("d1")
    hands.unbind(handle)
    assert hands.pasid(handle) == INVALID_PASID
    assert hands.misuses() == ["asked a freed handle"]


def test_err_tags_after_a_pasid_unless_forced() -> None:
    hands = Hands()
    hands.bound("d1")
    refused = hands.run(EnableLam(90, M))
    assert refused == Refused(90, Errno.EINVAL)
    assert hands.run(ForceTaggedSva(91, M)) == Done(91)
    assert hands.run(EnableLam(92, M)) == Done(92)
    hands.bound("d2")
    hands.check_books()


# --- The lock -------------------------------------------------------------------------------------


def test_calls_have_the_lock_in_the_order_of_asking() -> None:
    hands = Hands()
    requests: list[AnyMessage] = [SvaBindDevice(70 + k, "d1", f"p{k}") for k in range(3)]
    for request in requests:
        hands.send(request)
    assert len(hands.pending) == 1
    hands.settle()
    taken = [fact.task for fact in hands.facts if isinstance(fact, LockTaken)]
    waited = [fact.task for fact in hands.facts if isinstance(fact, LockWaited)]
    released = [fact.task for fact in hands.facts if isinstance(fact, LockReleased)]
    assert taken == released == ["kernel/70", "kernel/71", "kernel/72"]
    assert waited == ["kernel/71", "kernel/72"]
    hands.check_books()
