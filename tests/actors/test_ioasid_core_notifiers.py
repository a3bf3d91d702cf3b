"""Notifier blocks of the IOASID core."""

import msgspec

from actors.ioasid_core.state import Block
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    NotifierRegistered,
    NotifierUnregistered,
)
from protocol.messages import (
    AllocPasid,
    AllocSet,
    Done,
    FreeSet,
    Priority,
    Refused,
    RegisterNotifier,
    RegisterNotifierMm,
    UnregisterNotifier,
)
from protocol.names import IOMMU, NO_SET
from tests.actors.core_hands import (
    ANY,
    KVM,
    VDCM,
    empty,
    facts,
    hand,
    heard,
    names,
    null_set,
    pairs,
    register,
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
