"""Notifier blocks of the IOASID core."""

import msgspec

from actors.ioasid_core.state import Block
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    NotificationSent,
    NotifierRegistered,
    NotifierUnregistered,
)
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AttachSpid,
    DetachSpid,
    Done,
    FreeSet,
    HostLost,
    NotifyReply,
    Priority,
    Refused,
    RegisterNotifier,
    RegisterNotifierMm,
    UnregisterNotifier,
    Verdict,
)
from protocol.names import INVALID_PASID, IOMMU, NO_SET, SUPERVISOR
from tests.actors.core_hands import (
    ANY,
    KVM,
    VDCM,
    attach,
    empty,
    facts,
    hand,
    heard,
    life,
    names,
    null_set,
    pairs,
    register,
    replies,
    reply,
    with_pasid,
    with_set,
)
from tests.helpers import Failing

ALL = (KVM, VDCM, IOMMU)


def test_a_global_block_is_active_at_once() -> None:
    out = hand(empty(), RegisterNotifier(1, NO_SET, Priority.IOMMU), IOMMU)
    assert pairs(out) == [(IOMMU, Done(1))]
    assert out.facts == [
        MemoryAllocated("notifier", "iommu/"),
        NotifierRegistered(IOMMU, "", active=True),
    ]


def test_a_block_for_an_mm_is_pending_until_its_set_comes_and_again_when_it_goes() -> None:
    core = empty()
    out = hand(core, RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    assert facts(out, NotifierRegistered) == [NotifierRegistered(KVM, "vm1", active=False)]
    pending = msgspec.msgpack.encode(core)

    hand(core, AllocSet(1, "vm2", 1))
    assert core.blocks == [Block(KVM, "vm1", Priority.CPU)]
    hand(core, AllocSet(1, "vm1", 1))
    assert core.blocks == [Block(KVM, "vm1", Priority.CPU, set=2)]
    hand(core, FreeSet(1, 2))
    hand(core, FreeSet(1, 1))
    assert msgspec.msgpack.encode(core) == pending


def test_a_block_for_an_mm_whose_set_is_there_and_empty_is_active_at_once() -> None:
    core = with_set()
    out = hand(core, RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    assert facts(out, NotifierRegistered) == [NotifierRegistered(KVM, "vm1", active=True)]
    assert names(hand(core, AllocPasid(1, 1, *ANY))) == [(KVM, "NotifyAlloc")]


def test_a_block_on_a_set_is_one_for_its_mm() -> None:
    core = with_pasid()
    register(core, VDCM, Priority.DEVICE, 1)
    assert core.blocks == [Block(VDCM, "vm1", Priority.DEVICE, set=1)]


def test_registering_a_second_time_on_a_chain_changes_nothing() -> None:
    core = empty()
    register(core, IOMMU, Priority.IOMMU)
    register(core, IOMMU, Priority.CPU)
    assert core.blocks == [Block(IOMMU, "", Priority.IOMMU)]


def test_err_registering_on_a_set_that_is_unknown_or_has_no_mm_is_einval() -> None:
    core = empty()
    null_set(core)
    for number in (1, 2):
        out = hand(core, RegisterNotifier(1, number, Priority.CPU), KVM)
        assert pairs(out) == [(KVM, Refused(1, Errno.EINVAL))]


def test_err_registering_for_no_mm_is_einval() -> None:
    out = hand(empty(), RegisterNotifierMm(1, "", Priority.CPU), KVM)
    assert pairs(out) == [(KVM, Refused(1, Errno.EINVAL))]


def test_err_registering_twice_for_an_mm_is_ebusy() -> None:
    out = hand(heard(), RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    assert pairs(out) == [(KVM, Refused(1, Errno.EBUSY))]


def test_err_registering_after_the_first_pasid_is_ebusy() -> None:
    """Nothing is replayed, so it would never hear of it (O16)."""
    out = hand(with_pasid(), RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    assert pairs(out) == [(KVM, Refused(1, Errno.EBUSY))]
    assert out.facts == []


def test_err_registering_without_memory_is_enomem() -> None:
    core = empty()
    out = hand(
        core,
        RegisterNotifierMm(1, "vm1", Priority.CPU),
        KVM,
        Failing("core.register.nomem"),
    )
    assert pairs(out) == [(KVM, Refused(1, Errno.ENOMEM))]
    assert core == empty()


def test_unregistering_takes_off_that_block_only_and_is_always_done() -> None:
    core = heard(ALL)
    out = hand(core, UnregisterNotifier(2, "vm1"), KVM)
    assert pairs(out) == [(KVM, Done(2))]
    assert out.facts == [
        NotifierUnregistered(KVM, "vm1"),
        MemoryFreed("notifier", f"{KVM}/vm1"),
    ]
    again = hand(core, UnregisterNotifier(2, "vm1"), KVM)
    assert pairs(again) == [(KVM, Done(2))]
    assert again.facts == []
    assert core == heard((VDCM, IOMMU))
    hand(core, UnregisterNotifier(2, ""), IOMMU)
    assert core == heard((VDCM,))


# --- Losses: what a lost subscriber can no longer clean up (§1.9) ---------------------------------


def test_err_for_an_mm_that_lost_a_subscriber_nothing_is_bound_any_more() -> None:
    """KVM would let the guest in, and no VDCM would drain what it sends to the device (R8)."""
    core = heard()
    hand(core, HostLost(VDCM), SUPERVISOR)
    out = attach(core)
    assert pairs(out) == [(IOMMU, Refused(6, Errno.ENODEV))]
    assert facts(out, NotificationSent) == []
    assert life(core, 1).spid == INVALID_PASID
    assert core.sets[1].spids == []
    assert life(core, 1).ledger == {"iommu:svm": 1}

    hand(core, AllocSet(1, "vm2", 4))
    hand(core, AllocPasid(1, 2, *ANY))
    assert pairs(hand(core, AttachSpid(1, 2, 2, 33), IOMMU)) == [(IOMMU, Done(1))]


def test_err_a_bind_that_waits_for_another_chain_is_refused_when_its_turn_comes() -> None:
    core = heard()
    hand(core, AllocPasid(1, 1, *ANY))
    told = hand(core, AttachSpid(6, 2, 2, 33), IOMMU)
    assert pairs(told) == []
    hand(core, HostLost(VDCM), SUPERVISOR)
    out = hand(core, NotifyReply(1, Verdict.DONE), KVM)
    assert pairs(out) == [(IOMMU, Refused(6, Errno.ENODEV))]
    assert core.chains[2] is None


def test_err_a_loss_in_the_middle_of_bind_fails_it_before_the_guest_is_let_in() -> None:
    """Whether the lost one is called just then, or has yet to be."""
    for lost in (VDCM, "vdcm.dsa1"):
        core = heard((KVM, VDCM), more=("vdcm.dsa1",))
        out = attach(core)
        end = hand(core, HostLost(lost), SUPERVISOR)
        if lost != VDCM:
            assert pairs(end) == []
            end = reply(core, out)
        assert pairs(end) == [(IOMMU, Refused(6, Errno.ENOMEM))]
        assert core.chains[1] is None
        undone = replies(core, hand(core, DetachSpid(7, 1, 1), IOMMU))
        assert (KVM, "NotifyUnbind") in [name for step in undone for name in names(step)]


def test_the_loss_of_one_who_has_answered_bind_does_not_fail_it() -> None:
    core = heard()
    out = reply(core, attach(core))
    assert names(out) == [(KVM, "NotifyBind")]
    assert pairs(hand(core, HostLost(VDCM), SUPERVISOR)) == []
    assert pairs(reply(core, out)) == [(IOMMU, Done(6))]
