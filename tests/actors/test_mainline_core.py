"""The allocator of mainline: private data, getters, custom allocators (Linux 5.5 to 6.1)."""

import pytest

from actors.ioasid_core.mainline import MainlineCore, MainlineInbox
from protocol.effects import CALM, Chance, Out
from protocol.errors import Errno
from protocol.facts import DataAttached, PasidReclaimed
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocPasidWithData,
    CallGetter,
    CustomAlloc,
    CustomAllocGot,
    CustomFree,
    CustomFreed,
    Done,
    FindPasid,
    FindPasidGot,
    FindPasidWithGetter,
    FreePasid,
    GetterReturned,
    Refused,
    RegisterAllocator,
    SetData,
    UnregisterAllocator,
)
from protocol.names import CORE, INVALID_PASID, KERNEL, NO_DATA, NO_SET, VFIO, Name
from tests.actors.core_hands import MACHINE, facts, pairs
from tests.helpers import Failing, step

C0A = RegisterAllocator(1, "C0a", "C0", 10)
C0B = RegisterAllocator(1, "C0b", "C0", 11)
C1 = RegisterAllocator(1, "C1", "C1", 12)


def core(*messages: MainlineInbox) -> MainlineCore:
    """A core that has been handed these."""
    made = MainlineCore.of(MACHINE, CORE)
    for message in messages:
        hand(made, message)
    return made


def hand(
    core: MainlineCore, message: MainlineInbox, sender: Name = KERNEL, chance: Chance = CALM
) -> Out:
    return step(core, message, sender, chance, name=CORE)


def said(core: MainlineCore, message: MainlineInbox, sender: Name = KERNEL) -> object:
    """The one message that leaves."""
    (sent,) = pairs(hand(core, message, sender))
    return sent


def to(message: object) -> object:
    return (KERNEL, message)


def gone(register: RegisterAllocator) -> UnregisterAllocator:
    return UnregisterAllocator(1, register.allocator, register.helpers)


# --- Numbers and private data ---------------------------------------------------------------------


def test_alloc_gives_the_lowest_number_of_any_set_with_its_data() -> None:
    mine = core()
    assert said(mine, AllocPasidWithData(1, 7, 1, 8, 5)) == to(AllocPasidGot(1, 1, 1))
    assert said(mine, AllocPasid(2, NO_SET, 1, 8)) == to(AllocPasidGot(2, 2, 2))
    assert said(mine, AllocPasidWithData(3, 7, 5, 8, NO_DATA)) == to(AllocPasidGot(3, 5, 3))
    assert said(mine, FindPasid(4, 7, 1)) == to(FindPasidGot(4, 5))
    assert said(mine, FindPasid(5, 7, 5)) == to(FindPasidGot(5, NO_DATA))
    assert said(mine, FindPasid(6, 7, 2)) == to(Refused(6, Errno.EACCES))


def test_err_a_full_range_and_a_full_memory_give_no_number() -> None:
    mine = core(AllocPasid(1, 7, 3, 3))
    assert said(mine, AllocPasid(2, 7, 3, 3)) == to(Refused(2, Errno.ENOSPC))
    out = hand(mine, AllocPasid(3, 7, 4, 4), chance=Failing("core.alloc.nospc"))
    assert pairs(out) == [to(Refused(3, Errno.ENOSPC))]


def test_whoever_frees_a_number_frees_it() -> None:
    mine = core(AllocPasid(1, 7, 1, 8))
    assert pairs(hand(mine, FreePasid(2, NO_SET, 1, 0), VFIO)) == [(VFIO, Done(2))]
    assert said(mine, FindPasid(3, 7, 1)) == to(Refused(3, Errno.ENOENT))
    assert said(mine, FreePasid(4, NO_SET, 1, 0)) == to(Done(4))


def test_set_data_replaces_what_is_there() -> None:
    mine = core(AllocPasidWithData(1, 7, 1, 8, 5))
    out = hand(mine, SetData(2, 1, 0, 6))
    assert pairs(out) == [to(Done(2))]
    assert facts(out, DataAttached) == [DataAttached(1, 1, 6, 5)]
    assert said(mine, FindPasid(3, NO_SET, 1)) == to(FindPasidGot(3, 6))
    assert said(mine, SetData(4, 2, 0, 6)) == to(Refused(4, Errno.ENOENT))


# --- Getters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("valid", "data"), [(True, 5), (False, NO_DATA)])
def test_the_getter_has_the_last_word(valid: bool, data: int) -> None:
    mine = core(AllocPasidWithData(1, 7, 1, 8, 5))
    assert said(mine, FindPasidWithGetter(2, 7, 1, "getter")) == (
        "getter",
        CallGetter(KERNEL, 2, 5),
    )
    hand(mine, FreePasid(3, NO_SET, 1, 0))
    returned = GetterReturned(KERNEL, 2, valid=valid)
    assert said(mine, returned, "getter") == to(FindPasidGot(2, data))
    assert not mine.getting


def test_no_getter_for_what_is_not_found() -> None:
    mine = core(AllocPasidWithData(1, 7, 1, 8, 5))
    assert said(mine, FindPasidWithGetter(2, 7, 2, "g")) == to(Refused(2, Errno.ENOENT))
    assert said(mine, FindPasidWithGetter(3, 8, 1, "g")) == to(Refused(3, Errno.EACCES))


# --- Custom allocators come and go ----------------------------------------------------------------


def test_the_first_is_active_and_refused_while_numbers_are_out() -> None:
    mine = core(AllocPasid(1, 7, 1, 8))
    assert said(mine, C0A) == to(Refused(1, Errno.EAGAIN))
    hand(mine, FreePasid(2, NO_SET, 1, 0))
    assert said(mine, C0A) == to(Done(1))
    assert said(mine, AllocPasid(3, 7, 1, 8)) == ("C0", CustomAlloc(3, 1, 8, 10))


def test_those_with_the_same_helpers_share_an_entry() -> None:
    mine = core(C1, C0A, C0B)
    assert [one.sharing for one in mine.allocators] == [("C1",), ("C0a", "C0b")]
    assert said(mine, C0A) == to(Refused(1, Errno.EEXIST))
    assert said(mine, C0B) == to(Done(1))


def test_an_entry_keeps_its_first_name_when_that_one_has_gone() -> None:
    """So it answers -EEXIST to one that is not registered, as recorded on 6.1."""
    mine = core(C0B, C0A, gone(C0B))
    assert said(mine, C0B) == to(Refused(1, Errno.EEXIST))
    assert said(mine, AllocPasid(2, 7, 1, 8)) == ("C0", CustomAlloc(2, 1, 8, 11))


def test_the_last_one_takes_the_entry_away_and_loses_its_numbers() -> None:
    mine = core(C0A, C1, AllocPasid(2, 7, 1, 8), CustomAllocGot(2, 4))
    out = hand(mine, gone(C0B))
    assert [one.name for one in mine.allocators] == ["C1"]
    assert [fact.pasid for fact in facts(out, PasidReclaimed)] == [4]
    assert said(mine, FindPasid(3, NO_SET, 4)) == to(Refused(3, Errno.ENOENT))


def test_one_that_is_not_active_goes_without_a_trace() -> None:
    mine = core(C0A, C1, AllocPasid(2, 7, 1, 8), CustomAllocGot(2, 4), gone(C1), gone(C1))
    assert said(mine, FindPasid(3, NO_SET, 4)) == to(FindPasidGot(3, NO_DATA))
    shared = core(C0A, C0A, C0B)
    hand(shared, UnregisterAllocator(1, "C9", "C0"))
    assert [one.sharing for one in shared.allocators] == [("C0a", "C0b")]


# --- Helpers under the lock -----------------------------------------------------------------------


def test_the_helper_chooses_the_number() -> None:
    mine = core(C0A)
    hand(mine, AllocPasidWithData(2, 7, 1, 8, 5))
    assert said(mine, CustomAllocGot(2, 4), "C0") == to(AllocPasidGot(2, 4, 1))
    assert said(mine, FindPasid(3, 7, 4)) == to(FindPasidGot(3, 5))


def test_err_the_helper_has_no_number() -> None:
    mine = core(C0A)
    hand(mine, AllocPasid(2, 7, 1, 8))
    assert said(mine, CustomAllocGot(2, INVALID_PASID), "C0") == to(Refused(2, Errno.ENOSPC))
    assert mine.holder is None


@pytest.mark.parametrize("number", [4, 0, 9])
def test_err_a_number_that_cannot_be_kept_goes_back_to_the_helper(number: int) -> None:
    mine = core(C0A, AllocPasid(2, 7, 1, 8), CustomAllocGot(2, 4), AllocPasid(3, 7, 1, 8))
    assert said(mine, CustomAllocGot(3, number), "C0") == ("C0", CustomFree(3, number, 10))
    assert said(mine, CustomFreed(3), "C0") == to(Refused(3, Errno.ENOSPC))
    assert said(mine, FindPasid(4, 7, 4)) == to(FindPasidGot(4, NO_DATA))


def test_free_asks_the_helper_first_and_find_still_sees_the_number() -> None:
    mine = core(C0A, AllocPasid(2, 7, 1, 8), CustomAllocGot(2, 4))
    assert said(mine, FreePasid(3, NO_SET, 4, 0)) == ("C0", CustomFree(3, 4, 10))
    assert said(mine, FindPasid(4, 7, 4)) == to(FindPasidGot(4, NO_DATA))
    assert said(mine, CustomFreed(3), "C0") == to(Done(3))
    assert said(mine, FindPasid(5, 7, 4)) == to(Refused(5, Errno.ENOENT))
    assert said(mine, FreePasid(6, NO_SET, 4, 0)) == to(Done(6))


def test_who_needs_the_lock_waits_for_the_helper() -> None:
    mine = core(C0A, AllocPasid(2, 7, 1, 8))
    assert pairs(hand(mine, SetData(3, 4, 0, 6))) == []
    assert pairs(hand(mine, FreePasid(4, NO_SET, 4, 0))) == []
    assert pairs(hand(mine, C1)) == []
    assert pairs(hand(mine, CustomAllocGot(2, 4), "C0")) == [
        to(AllocPasidGot(2, 4, 1)),
        to(Done(3)),
        ("C0", CustomFree(4, 4, 10)),
    ]
    assert pairs(hand(mine, CustomFreed(4), "C0")) == [to(Done(4)), to(Done(1))]
    assert mine.waiting == []
