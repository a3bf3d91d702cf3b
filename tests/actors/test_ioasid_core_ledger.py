"""Get, put and find of the IOASID core."""

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from protocol.errors import Errno
from protocol.facts import (
    MemoryUsed,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
)
from protocol.facts.amnesia import PutUnheld
from protocol.lifecycle import State
from protocol.messages import (
    AllocPasid,
    AllocSet,
    Done,
    FindPasid,
    FindPasidGot,
    FreePasid,
    GetIfOwned,
    GetPasid,
    PutPasid,
    PutPasidGot,
    Refused,
)
from protocol.names import INVALID_PASID, IOMMU, NO_SET, VFIO
from tests.actors.core_hands import (
    ANY,
    KVM,
    MACHINE,
    empty,
    facts,
    get,
    hand,
    held,
    life,
    null_set,
    pairs,
    pending,
    put,
    with_pasid,
    with_set,
)

OWNED = GetIfOwned(4, "vm1", 1, 1, "check")


def test_the_first_get_makes_it_active_and_the_last_put_idle() -> None:
    core = with_pasid()
    first = get(core, "svm")
    assert pairs(first) == [(IOMMU, Done(9))]
    assert first.facts == [
        MemoryUsed("set", "set1"),
        ReferenceTaken(1, 1, "iommu:svm", 2, "ACTIVE"),
        StateChanged(1, 1, "IDLE", "ACTIVE", 2),
    ]
    assert get(core, "svm").facts[1:] == [ReferenceTaken(1, 1, "iommu:svm", 3, "ACTIVE")]
    assert life(core).ledger == {"iommu:svm": 2}

    assert put(core, "svm").facts == [ReferenceDropped(1, 1, "iommu:svm", 2)]
    last = put(core, "svm")
    assert pairs(last) == [(IOMMU, PutPasidGot(9, reclaimed=False))]
    assert last.facts == [
        ReferenceDropped(1, 1, "iommu:svm", 1),
        StateChanged(1, 1, "ACTIVE", "IDLE", 1),
    ]
    assert core == with_pasid()


def test_a_get_for_a_set_states_its_token_and_one_for_none_states_no_token() -> None:
    core = with_pasid()
    out = hand(core, GetPasid(2, 1, 1, 1, "translation"), KVM)
    assert pairs(out) == [(KVM, Done(2))]
    assert [fact.token for fact in facts(out, ReferenceTaken)] == ["vm1"]
    assert [fact.token for fact in facts(get(core, "svm"), ReferenceTaken)] == [""]


def test_the_last_put_after_free_reclaims_and_says_so() -> None:
    core = pending("svm", "check")
    assert pairs(put(core, "check")) == [(IOMMU, PutPasidGot(9, reclaimed=False))]
    out = put(core, "svm")
    assert pairs(out) == [(IOMMU, PutPasidGot(9, reclaimed=True))]
    assert out.facts == [
        ReferenceDropped(1, 1, "iommu:svm", 0),
        StateChanged(1, 1, "FREE_PENDING", "FREE", 0),
        MemoryUsed("set", "set1"),
        PasidReclaimed(1, 1, 1, 0, (), INVALID_PASID, 0, 0),
    ]


@pytest.mark.parametrize(
    ("message", "sender"),
    [
        (PutPasid(3, 1, 1, "check"), IOMMU),
        (PutPasid(3, 1, 1, "svm"), KVM),
        (PutPasid(3, 1, 1, "owner"), VFIO),
        (PutPasid(3, 2, 1, "svm"), IOMMU),
    ],
)
def test_a_put_without_an_entry_of_its_own_takes_nobody_elses(
    message: PutPasid, sender: str
) -> None:
    """Not even the owner can put what came with alloc: that goes by free."""
    core = held()
    before = msgspec.msgpack.encode(core)
    out = hand(core, message, sender)
    assert pairs(out) == [(sender, PutPasidGot(3, reclaimed=False))]
    assert out.facts == [PutUnheld(message.pasid, 1, f"{sender}:{message.reason}")]
    assert msgspec.msgpack.encode(core) == before


def test_references_of_one_holder_for_two_reasons_are_two_entries() -> None:
    core = held("svm", "check")
    assert life(core).ledger == {"iommu:svm": 1, "iommu:check": 1}
    put(core, "svm")
    assert life(core).ledger == {"iommu:check": 1}


def test_err_get_of_an_unknown_pasid_is_einval() -> None:
    assert pairs(get(with_set(), "svm")) == [(IOMMU, Refused(9, Errno.EINVAL))]


def test_err_get_of_a_pending_pasid_is_ebusy_also_for_the_wrong_set() -> None:
    core = pending()
    assert pairs(get(core, "svm")) == [(IOMMU, Refused(9, Errno.EBUSY))]
    assert pairs(hand(core, GetPasid(9, 7, 1, 1, "x"))) == [(VFIO, Refused(9, Errno.EBUSY))]


def test_err_get_for_another_set_is_eacces() -> None:
    core = with_pasid()
    hand(core, AllocSet(1, "vm2", 2))
    for number in (2, 7):
        out = hand(core, GetPasid(9, number, 1, 1, "x"))
        assert pairs(out) == [(VFIO, Refused(9, Errno.EACCES))]
        assert out.facts == []


def test_get_if_owned_gives_a_reference_to_the_owner_of_the_set() -> None:
    core = with_pasid()
    out = hand(core, OWNED)
    assert pairs(out) == [(VFIO, Done(4))]
    assert facts(out, ReferenceTaken) == [
        ReferenceTaken(1, 1, "vfio:check", 2, "ACTIVE", "vm1"),
    ]


def null_owned() -> IoasidCore:
    """PASID 1 belongs to a set without an mm."""
    core = empty()
    null_set(core)
    hand(core, AllocPasid(1, 1, *ANY))
    return core


@pytest.mark.parametrize(
    ("core", "token", "errno"),
    [
        (with_set(), "vm1", Errno.ENOENT),
        (null_owned(), "vm1", Errno.EINVAL),
        (null_owned(), "", Errno.EINVAL),
        (with_pasid(), "vm2", Errno.EPERM),
        (with_pasid(), "", Errno.EPERM),
        (pending(), "vm2", Errno.EPERM),
        (pending(), "vm1", Errno.EBUSY),
    ],
)
def test_err_get_if_owned_refuses(core: IoasidCore, token: str, errno: Errno) -> None:
    before = msgspec.msgpack.encode(core)
    out = hand(core, GetIfOwned(4, token, 1, 1, "check"))
    assert pairs(out) == [(VFIO, Refused(4, errno))]
    assert msgspec.msgpack.encode(core) == before


@pytest.mark.parametrize("number", [1, NO_SET])
def test_find_gives_the_private_data_even_of_a_pending_pasid(number: int) -> None:
    core = pending()
    life(core).data = 77
    out = hand(core, FindPasid(2, number, 1), IOMMU)
    assert pairs(out) == [(IOMMU, FindPasidGot(2, 77))]
    assert pairs(hand(with_pasid(), FindPasid(2, number, 1))) == [(VFIO, FindPasidGot(2, 0))]


def test_err_find_refuses_the_unknown_and_the_wrong_set() -> None:
    core = with_pasid()
    assert pairs(hand(core, FindPasid(2, 1, 3))) == [(VFIO, Refused(2, Errno.ENOENT))]
    assert pairs(hand(core, FindPasid(2, 2, 1))) == [(VFIO, Refused(2, Errno.EACCES))]


def test_err_nothing_of_a_life_survives_into_the_next() -> None:
    """A put that comes after reclaim and alloc finds no entry in the new life's ledger."""
    core = pending()
    put(core, "svm")
    hand(core, AllocPasid(1, 1, *ANY))
    assert pairs(put(core, "svm")) == [(IOMMU, PutPasidGot(9, reclaimed=False))]
    assert (life(core).state, life(core).refs) == (State.IDLE, 1)


class PlainCount(IoasidCore):
    """A core whose put does not ask whose reference it is."""

    def entry_to_put(self, life: object, holder: str) -> str | None:
        return "iommu:svm"


def test_a_defect_can_bring_back_the_stolen_reference_by_one_method() -> None:
    core = PlainCount.of(MACHINE, "core")
    hand(core, AllocSet(1, "vm1", 4))
    hand(core, AllocPasid(1, 1, *ANY))
    get(core, "svm")
    hand(core, FreePasid(1, 1, 1, 1))
    assert pairs(put(core, "swq", "vdcm.dsa0")) == [("vdcm.dsa0", PutPasidGot(9, reclaimed=True))]


class BackDoor(IoasidCore):
    """A core that finds what is pending."""

    def may_get(self, life: object) -> bool:
        return True


def test_a_defect_can_bring_back_the_reference_on_what_is_pending() -> None:
    core = BackDoor.of(MACHINE, "core")
    hand(core, AllocSet(1, "vm1", 4))
    hand(core, AllocPasid(1, 1, *ANY))
    get(core, "svm")
    hand(core, FreePasid(1, 1, 1, 1))
    assert facts(get(core, "svm"), ReferenceTaken) == [
        ReferenceTaken(1, 1, "iommu:svm", 2, "FREE_PENDING"),
    ]
