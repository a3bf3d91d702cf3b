"""Alloc, free and reclaim of the IOASID core, and the state as a value."""

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from protocol.errors import Errno
from protocol.facts import (
    FreeAnswered,
    FreeRequested,
    MemoryUsed,
    NotificationSent,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
)
from protocol.lifecycle import State
from protocol.machine import Machine
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AttachSpid,
    Done,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    HostLost,
    Refused,
    Start,
)
from protocol.names import CORE, INVALID_PASID, IOMMU, NO_SET, PASID_COUNT, VFIO
from tests.actors.core_hands import (
    ANY,
    KVM,
    attach,
    empty,
    facts,
    free,
    get,
    hand,
    heard,
    held,
    life,
    null_set,
    pairs,
    pending,
    put,
    with_pasid,
    with_set,
)
from tests.helpers import Failing


def numbers(core: IoasidCore, *ranges: tuple[int, int]) -> list[int]:
    """What alloc gives, one range after the other; 0 is a refusal."""
    given = []
    for low, high in ranges:
        ((_, answer),) = pairs(hand(core, AllocPasid(1, 1, low, high)))
        given.append(answer.pasid if isinstance(answer, AllocPasidGot) else 0)
    return given


def test_alloc_gives_the_smallest_number_and_states_a_new_life() -> None:
    out = hand(with_set(), AllocPasid(7, 1, *ANY))

    assert pairs(out) == [(VFIO, AllocPasidGot(7, 1, 1))]
    assert out.facts == [
        MemoryUsed("set", "set1"),
        PasidAllocated(1, 1, 1, "vm1", 1),
        ReferenceTaken(1, 1, "vfio:owner", 1, "IDLE", "vm1"),
        StateChanged(1, 1, "FREE", "IDLE", 1),
        NotificationSent("ALLOC", 1, 1, 1, "vm1"),
    ]


def test_alloc_keeps_to_its_range_and_to_the_pool() -> None:
    core = with_set(8)
    given = numbers(core, (3, 4), (3, 4), (3, 4), (-5, 1), (0, 9), (8, 99), (9, 99), (2, 1), (5, 5))
    assert given == [3, 4, 0, 1, 2, 8, 0, 0, 5]


def test_a_number_that_comes_back_is_given_again_with_another_incarnation() -> None:
    core = with_set()
    assert numbers(core, ANY, ANY, ANY) == [1, 2, 3]
    hand(core, FreePasid(1, 1, 2, 2))
    assert pairs(hand(core, AllocPasid(1, 1, *ANY))) == [(VFIO, AllocPasidGot(1, 2, 4))]


def test_cores_that_hold_the_same_are_the_same_to_the_byte() -> None:
    """Whatever the order in which it came about: a search must know the state again."""
    one, other = with_set(), with_set()
    for core, order in ((one, (1, 2, 3)), (other, (3, 1, 2))):
        numbers(core, *[(pasid, pasid) for pasid in order])
        for pasid in order:
            hand(core, AttachSpid(6, pasid, 0, 30 + pasid), IOMMU)
            get(core, f"reason{pasid}")
            life(core, pasid).incarnation = 0
    numbers(other, ANY)
    hand(other, FreePasid(1, 1, 4, 4))
    other.incarnations = one.incarnations
    assert msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)


def test_a_large_pool_gives_every_number_once_and_never_one_beyond_20_bits() -> None:
    machine = Machine((), (), (), pasids=PASID_COUNT, quota=1)
    core = IoasidCore.of(machine, CORE)
    hand(core, AllocSet(1, "vm1", 0))
    last = PASID_COUNT - 1
    assert numbers(core, (4095, last), (4096, last), (last, last), (last, last)) == [
        4095,
        4096,
        last,
        0,
    ]
    assert numbers(core, (last, last + 1), ANY) == [0, 1]


@pytest.mark.parametrize("pasids", [1, 62, 63, 64, 65, 4095, 4097])
def test_a_pool_of_any_size_can_be_emptied_and_filled(pasids: int) -> None:
    core = IoasidCore.of(Machine((), (), (), pasids=pasids), CORE)
    hand(core, AllocSet(1, "vm1", 0))
    full = msgspec.msgpack.encode(core.numbers)
    ranges = [(max(1, pasids - 70), pasids)] * min(pasids, 71)
    given = numbers(core, *ranges, ranges[0])
    assert given == [*range(max(1, pasids - 70), pasids + 1), 0]
    hand(core, FreeAllInSet(1, 1))
    assert msgspec.msgpack.encode(core.numbers) == full


def test_err_alloc_above_the_quota_is_enospc() -> None:
    core = with_set(1)
    assert numbers(core, ANY) == [1]
    before = msgspec.msgpack.encode(core)
    assert pairs(hand(core, AllocPasid(7, 1, *ANY))) == [(VFIO, Refused(7, Errno.ENOSPC))]
    assert msgspec.msgpack.encode(core) == before


def test_err_alloc_in_no_set_is_enospc() -> None:
    assert pairs(hand(empty(), AllocPasid(7, 1, *ANY))) == [(VFIO, Refused(7, Errno.ENOSPC))]
    assert pairs(hand(empty(), AllocPasid(7, NO_SET, *ANY))) == [(VFIO, Refused(7, Errno.ENOSPC))]


def test_err_alloc_in_a_set_that_is_on_its_way_out_is_enospc() -> None:
    """It would keep the set for ever."""
    core = with_pasid()
    hand(core, FreeSet(1, 1))
    assert pairs(hand(core, AllocPasid(7, 1, *ANY))) == [(VFIO, Refused(7, Errno.ENOSPC))]


def test_err_alloc_that_fails_gives_no_number() -> None:
    core = with_set()
    out = hand(core, AllocPasid(7, 1, *ANY), chance=Failing("core.alloc.nospc"))
    assert pairs(out) == [(VFIO, Refused(7, Errno.ENOSPC))]
    assert core == with_set()


def test_free_of_what_nobody_else_holds_reclaims_and_tells_nobody() -> None:
    core = heard((KVM,))
    put(core, "svm")
    out = free(core)

    assert pairs(out) == [(VFIO, Done(5))]
    assert out.facts == [
        MemoryUsed("set", "set1"),
        FreeRequested(1, 1, 1, VFIO, effective=True, state="IDLE"),
        ReferenceDropped(1, 1, "vfio:owner", 0),
        StateChanged(1, 1, "IDLE", "FREE", 0),
        MemoryUsed("set", "set1"),
        PasidReclaimed(1, 1, 1, 0, (), INVALID_PASID, 0, 0),
        FreeAnswered(1, 1, VFIO),
    ]
    assert not any(core.lives)


def test_free_of_what_others_hold_is_answered_at_once_and_leaves_it_pending() -> None:
    core = held("svm", "check")
    out = free(core)

    assert pairs(out) == [(VFIO, Done(5))]
    assert out.facts == [
        MemoryUsed("set", "set1"),
        FreeRequested(1, 1, 1, VFIO, effective=True, state="ACTIVE"),
        ReferenceDropped(1, 1, "vfio:owner", 2),
        StateChanged(1, 1, "ACTIVE", "FREE_PENDING", 2),
        NotificationSent("FREE", 1, 1, 1, "vm1"),
        FreeAnswered(1, 1, VFIO),
    ]
    assert numbers(core, ANY) == [2]


def test_whoever_frees_for_the_set_takes_the_owners_reference() -> None:
    core = held()
    out = hand(core, FreePasid(5, 1, 1, 1), "kernel")
    assert facts(out, ReferenceDropped) == [ReferenceDropped(1, 1, "vfio:owner", 1)]


def test_a_second_free_changes_nothing() -> None:
    core = pending()
    before = msgspec.msgpack.encode(core)
    out = free(core)
    assert pairs(out) == [(VFIO, Done(5))]
    assert out.facts[1:] == [
        FreeRequested(1, 1, 1, VFIO, effective=False, state="FREE_PENDING"),
        FreeAnswered(1, 1, VFIO),
    ]
    assert msgspec.msgpack.encode(core) == before


@pytest.mark.parametrize("number", [2, 9, NO_SET])
def test_free_by_another_set_is_done_and_changes_nothing(number: int) -> None:
    core = with_pasid()
    hand(core, AllocSet(1, "vm2", 2))
    before = msgspec.msgpack.encode(core)
    out = hand(core, FreePasid(5, number, 1, 1))
    assert pairs(out) == [(VFIO, Done(5))]
    assert facts(out, FreeRequested) == [
        FreeRequested(1, 1, number, VFIO, effective=False, state="IDLE")
    ]
    assert msgspec.msgpack.encode(core) == before


def test_free_of_an_unknown_pasid_is_done() -> None:
    out = free(with_set())
    assert pairs(out) == [(VFIO, Done(5))]
    assert out.facts[1:] == [
        FreeRequested(1, 0, 1, VFIO, effective=False, state="FREE"),
        FreeAnswered(1, 0, VFIO),
    ]


def test_a_caller_that_follows_a_pointer_to_a_set_that_is_gone_is_seen() -> None:
    core = with_set()
    hand(core, FreeSet(1, 1))
    assert facts(free(core), MemoryUsed) == [MemoryUsed("set", "set1")]
    assert facts(hand(core, FreePasid(5, NO_SET, 1, 1)), MemoryUsed) == []


def test_free_all_in_set_frees_its_members_in_order_and_no_others() -> None:
    core = with_set()
    null_set(core, 2)
    for number in (1, 2, 1):
        hand(core, AllocPasid(1, number, *ANY))
    get(core, "svm")
    out = hand(core, FreeAllInSet(8, 1))

    assert pairs(out) == [(VFIO, Done(8))]
    assert [fact.pasid for fact in facts(out, FreeRequested)] == [1, 3]
    assert [fact.pasid for fact in facts(out, FreeAnswered)] == [1, 3]
    assert facts(out, PasidReclaimed) == [PasidReclaimed(3, 3, 1, 0, (), INVALID_PASID, 0, 1)]
    assert [one and one.state for one in core.lives[1:4]] == [
        State.FREE_PENDING,
        State.IDLE,
        None,
    ]


def test_free_all_in_an_unknown_set_is_done() -> None:
    assert pairs(hand(empty(), FreeAllInSet(8, 3))) == [(VFIO, Done(8))]


def test_what_is_still_attached_at_reclaim_is_stated_as_it_is() -> None:
    """A driver that puts too early is the driver's fault; the core does not hide it."""
    core = pending()
    life(core, 1).state = State.ACTIVE
    attach(core)
    life(core, 1).state = State.FREE_PENDING
    life(core).data = 77
    out = put(core, "svm")
    assert facts(out, PasidReclaimed) == [PasidReclaimed(1, 1, 1, 0, (), 33, 77, 0)]
    assert core.sets[1].spids == []


def test_reclaim_with_references_out_would_be_stated_too() -> None:
    """A revision without a ledger does this; the sound core has no way to it."""
    core = pending("svm", "check", "check")
    life(core, 1).owner = VFIO
    out = hand(core, Start())
    core.reclaim(1, out)
    holders = ("iommu:check", "iommu:svm", "vfio:owner")
    assert facts(out, PasidReclaimed) == [
        PasidReclaimed(1, 1, 1, 4, holders, INVALID_PASID, 0, 0),
    ]


def test_start_and_a_loss_of_nobody_it_knows_change_nothing() -> None:
    core = held()
    before = msgspec.msgpack.encode(core)
    assert hand(core, Start(), "supervisor").effects == []
    assert msgspec.msgpack.encode(core) == before
    assert hand(core, HostLost("vm9.kvm"), "supervisor").effects == []
    assert core.lost == ["vm9.kvm"]


def test_its_fallible_steps_are_named_and_it_cannot_be_lost_alone() -> None:
    assert [(site.name, site.errno) for site in IoasidCore.SITES] == [
        ("core.alloc_set.nomem", Errno.ENOMEM),
        ("core.alloc.nospc", Errno.ENOSPC),
        ("core.register.nomem", Errno.ENOMEM),
    ]
    assert not IoasidCore.LOSABLE
