"""SPIDs and private data of the IOASID core."""

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Life
from protocol.errors import Errno
from protocol.facts import (
    DataAttached,
    DataDetached,
    NotificationSent,
    ReferenceTaken,
    SpidAttached,
    SpidDetached,
)
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AttachData,
    AttachSpid,
    DetachData,
    DetachSpid,
    Done,
    FindBySpid,
    FindBySpidGot,
    FreePasid,
    Refused,
    Verdict,
)
from protocol.names import CORE, INVALID_PASID, IOMMU
from tests.actors.core_hands import (
    ANY,
    KVM,
    MACHINE,
    VDCM,
    attach,
    called,
    facts,
    free,
    hand,
    heard,
    held,
    life,
    pairs,
    pending,
    replies,
    reply,
    with_pasid,
    with_set,
)

DETACH = DetachSpid(7, 1, 1)


def bound(*, subscribers: tuple[str, ...] = (KVM, VDCM)) -> IoasidCore:
    """SPID 33 stands for PASID 1, and everybody has been told."""
    core = heard(subscribers)
    replies(core, attach(core))
    return core


def test_an_spid_stands_for_its_pasid_at_once_and_is_answered_after_bind() -> None:
    core = heard()
    out = attach(core)
    assert out.facts[:2] == [
        SpidAttached(1, 1, 1, 33, "ACTIVE"),
        NotificationSent("BIND", 1, 1, 1, "vm1", 33),
    ]
    assert core.sets[1].spids == [(33, 1)]
    assert [to for to, _ in pairs(out)] == [VDCM]

    second = reply(core, out)
    assert [to for to, _ in pairs(second)] == [KVM]
    assert pairs(reply(core, second)) == [(IOMMU, Done(6))]


def test_with_nobody_to_tell_the_answer_comes_at_once() -> None:
    out = attach(held())
    assert pairs(out) == [(IOMMU, Done(6))]
    assert len(facts(out, NotificationSent)) == 1


@pytest.mark.parametrize("bad", [0, 1])
def test_err_a_bad_verdict_on_bind_is_enomem_after_the_whole_chain(bad: int) -> None:
    """The SPID stays, so that the caller's undoing tells everybody."""
    core = heard()
    out = attach(core)
    for turn in range(2):
        out = reply(core, out, Verdict.BAD if turn == bad else Verdict.OK)
    assert pairs(out) == [(IOMMU, Refused(6, Errno.ENOMEM))]
    assert life(core).spid == 33
    assert pairs(replies(core, hand(core, DETACH, IOMMU))[-1]) == [(IOMMU, Done(7))]


def test_detach_tells_first_and_clears_then() -> None:
    core = bound()
    out = hand(core, DETACH, IOMMU)
    assert out.facts[0] == NotificationSent("UNBIND", 1, 1, 1, "vm1", 33)
    ((_, notification),) = called(out)
    assert notification.spid == 33
    assert life(core).spid == 33

    last = replies(core, out)[-1]
    assert pairs(last) == [(IOMMU, Done(7))]
    assert facts(last, SpidDetached) == [SpidDetached(1, 1, 1, 33)]
    assert core == heard()


def test_detach_of_a_pending_pasid_works_the_same() -> None:
    """The cleanup work after FREE is what needs it."""
    core = bound()
    replies(core, free(core))
    assert pairs(replies(core, hand(core, DETACH, IOMMU))[-1]) == [(IOMMU, Done(7))]


def test_detach_of_what_has_no_spid_is_done_and_tells_nobody() -> None:
    for core in (heard(), with_set()):
        out = hand(core, DETACH, IOMMU)
        assert pairs(out) == [(IOMMU, Done(7))]
        assert out.facts == []


def test_two_detaches_at_once_tell_once_and_are_both_answered() -> None:
    core = bound()
    first = hand(core, DETACH, IOMMU)
    assert pairs(hand(core, DetachSpid(8, 1, 1), "kernel")) == []
    last = replies(core, first)[-1]
    assert pairs(last) == [(IOMMU, Done(7)), ("kernel", Done(8))]
    assert facts(last, NotificationSent) == []


@pytest.mark.parametrize(
    ("core", "message", "errno"),
    [
        (held(), AttachSpid(6, 1, 1, INVALID_PASID), Errno.EINVAL),
        (with_set(), AttachSpid(6, 1, 1, INVALID_PASID), Errno.EINVAL),
        (with_set(), AttachSpid(6, 1, 1, 33), Errno.ENOENT),
        (pending(), AttachSpid(6, 1, 1, 33), Errno.EBUSY),
        (bound(), AttachSpid(6, 1, 1, 33), Errno.EINVAL),
        (bound(), AttachSpid(6, 1, 1, 34), Errno.EINVAL),
    ],
)
def test_err_attach_spid_refuses(core: IoasidCore, message: AttachSpid, errno: Errno) -> None:
    before = msgspec.msgpack.encode(core)
    out = hand(core, message, IOMMU)
    assert pairs(out) == [(IOMMU, Refused(6, errno))]
    assert out.facts == []
    assert msgspec.msgpack.encode(core) == before


def test_err_an_spid_is_used_once_in_its_set_and_freely_in_another() -> None:
    core = bound()
    hand(core, AllocPasid(1, 1, *ANY))
    assert pairs(hand(core, AttachSpid(6, 2, 2, 33), IOMMU)) == [(IOMMU, Refused(6, Errno.EINVAL))]

    hand(core, AllocSet(1, "vm2", 2))
    hand(core, AllocPasid(1, 2, *ANY))
    assert pairs(hand(core, AttachSpid(6, 3, 3, 33), IOMMU)) == [(IOMMU, Done(6))]


def test_find_by_spid_gives_the_pasid_of_that_set_and_a_reference() -> None:
    core = bound()
    out = hand(core, FindBySpid(2, "vm1", 33, "wq"), VDCM)
    assert pairs(out) == [(VDCM, FindBySpidGot(2, 1, 1))]
    assert facts(out, ReferenceTaken) == [
        ReferenceTaken(1, 1, f"{VDCM}:wq", 3, "ACTIVE", "vm1"),
    ]


@pytest.mark.parametrize(("token", "spid"), [("vm1", 34), ("vm2", 33), ("vm3", 33), ("", 33)])
def test_err_find_by_spid_of_what_is_not_there_is_enoent(token: str, spid: int) -> None:
    core = bound()
    hand(core, AllocSet(1, "vm2", 2))
    out = hand(core, FindBySpid(2, token, spid, "wq"), VDCM)
    assert pairs(out) == [(VDCM, Refused(2, Errno.ENOENT))]


def test_err_find_by_spid_of_a_pending_pasid_is_ebusy() -> None:
    core = bound()
    replies(core, free(core))
    out = hand(core, FindBySpid(2, "vm1", 33, "wq"), VDCM)
    assert pairs(out) == [(VDCM, Refused(2, Errno.EBUSY))]
    assert out.facts == []


def test_private_data_is_attached_and_detached() -> None:
    core = held()
    out = hand(core, AttachData(2, 1, 1, 77), IOMMU)
    assert pairs(out) == [(IOMMU, Done(2))]
    assert out.facts == [DataAttached(1, 1, 77, 0)]

    out = hand(core, DetachData(3, 1, 1), IOMMU)
    assert pairs(out) == [(IOMMU, Done(3))]
    assert out.facts == [DataDetached(1, 1, 77)]
    assert hand(core, DetachData(3, 1, 1), IOMMU).facts == []
    assert core == held()


def test_private_data_does_not_hinder_free() -> None:
    core = with_pasid()
    hand(core, AttachData(2, 1, 1, 77), IOMMU)
    free(core)
    assert not any(core.lives)


@pytest.mark.parametrize(
    ("pasid", "data", "errno"),
    [(2, 77, Errno.ENOENT), (1, 0, Errno.EINVAL), (1, 78, Errno.EBUSY)],
)
def test_err_attach_data_refuses(pasid: int, data: int, errno: Errno) -> None:
    core = held()
    hand(core, AttachData(2, 1, 1, 77), IOMMU)
    assert pairs(hand(core, AttachData(2, pasid, 1, data), IOMMU)) == [(IOMMU, Refused(2, errno))]
    assert life(core).data == 77


def test_err_detach_data_of_an_unknown_pasid_is_enoent() -> None:
    out = hand(with_set(), DetachData(2, 1, 1), IOMMU)
    assert pairs(out) == [(IOMMU, Refused(2, Errno.ENOENT))]


def test_what_is_attached_keeps_its_number_until_reclaim_and_no_longer() -> None:
    """A life that ends with its SPID attached leaves the SPID to others."""
    core = with_pasid()
    attach(core)
    free(core)
    hand(core, AllocPasid(1, 1, *ANY))
    assert pairs(attach(core)) == [(IOMMU, Done(6))]


class BackDoor(IoasidCore):
    """A core whose look-up by SPID, and whose attach, do not ask for the state."""

    def may_find(self, life: Life) -> bool:
        return True

    def may_attach_spid(self, life: Life) -> bool:
        return True

    def may_attach_data(self, life: Life) -> bool:
        return True


def test_a_defect_can_bring_back_the_back_door_of_a_pending_pasid() -> None:
    core = BackDoor.of(MACHINE, CORE)
    hand(core, AllocSet(1, "vm1", 4))
    hand(core, AllocPasid(1, 1, *ANY))
    hand(core, FindBySpid(2, "vm1", 33, "wq"), VDCM)
    life(core, 1).ledger["iommu:svm"] = 1
    life(core, 1).data = 77
    life(core, 1).state = life(pending()).state
    hand(core, FreePasid(1, 1, 1, 1))
    assert pairs(attach(core)) == [(IOMMU, Done(6))]
    out = hand(core, FindBySpid(2, "vm1", 33, "wq"), VDCM)
    assert pairs(out) == [(VDCM, FindBySpidGot(2, 1, 1))]
    out = hand(core, AttachData(2, 1, 1, 78), IOMMU)
    assert out.facts == [DataAttached(1, 1, 78, 77)]
