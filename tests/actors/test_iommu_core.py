"""The IOMMU core: slots, rollback, handles, owners, numbers."""

import pytest

from protocol.domains import BLOCKING
from protocol.errors import Errno
from protocol.facts.iommu_core import (
    DevPasidRolledBack,
    SlotAttached,
    SlotReleased,
    SlotReserved,
)
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import (
    AllocGlobalPasid,
    AllocGlobalPasidGot,
    AttachGroupHandle,
    AttachHandleGot,
    ClaimDmaOwner,
    DetachGroupHandle,
    FreeGlobalPasid,
    ReleaseDmaOwner,
    ReplaceGroupHandle,
)
from protocol.names import IOMMU
from tests.actors.iommu_core_hands import (
    attach,
    core,
    detach,
    done,
    facts,
    hand,
    look,
    refusing,
    replace,
    told,
)
from tests.helpers import Failing

BLOCKED = BLOCKING.name
NOBODY = Refused(9, Errno.ENOENT)
H = AttachHandleGot(9, "h", "p0")
K = AttachHandleGot(9, "k", "p1")


def test_attach_programs_every_device_of_the_group_in_order() -> None:
    answer, calls = done(core(), attach("b1"))
    assert answer == Done(5)
    assert calls == told(("b0", "p0", ""), ("b1", "p0", ""), group=2)


def test_a_device_without_pasids_is_passed_over_and_alone_is_enough() -> None:
    made = core()
    assert done(made, attach("c1")) == (Done(5), told(("c0", "p0", ""), group=3))
    assert done(made, attach("d0", 40)) == (Done(5), [])
    assert done(made, look("d0", 40)) == (H, [])
    assert done(made, attach("d0", 40)) == (Refused(5, Errno.EBUSY), [])


def test_a_slot_is_reserved_first_and_its_handle_seen_last() -> None:
    made = core()
    assert SlotReserved("a0", 1, 7) in facts(made, attach())
    assert hand(made, look())[0].message == NOBODY
    assert SlotAttached("a0", 1, 7, "p0", "h", "") in facts(made, Done(1), IOMMU)
    assert hand(made, look())[0].message == H


def test_a_refusal_undoes_exactly_those_that_had_succeeded() -> None:
    made = core()
    answer, calls = done(made, attach("b0"), refusing(("b1", "p0")))
    assert answer == Refused(5, Errno.EIO)
    assert calls == told(("b0", "p0", ""), ("b1", "p0", ""), ("b0", BLOCKED, "p0"), group=2)
    assert done(made, look("g2"))[0] == NOBODY
    assert done(made, attach("b0"))[0] == Done(5)


def test_the_first_device_that_refuses_leaves_nothing_to_undo() -> None:
    made = core()
    hand(made, attach("b0"))
    stated = facts(made, Refused(2, Errno.ENOSPC), IOMMU)
    assert SlotReleased("g2", 1, 7, "failed") in stated
    assert not [one for one in stated if isinstance(one, DevPasidRolledBack)]


def test_replace_tells_the_driver_what_is_there_and_swaps_the_handle() -> None:
    made = core()
    done(made, attach("b0"))
    answer, calls = done(made, replace("b1"))
    assert answer == Done(6)
    assert calls == told(("b0", "p1", "p0"), ("b1", "p1", "p0"), group=2)
    assert done(made, look("g2"))[0] == K


def test_a_failed_replace_goes_back_to_the_old_domain_and_handle() -> None:
    made = core()
    done(made, attach("b0"))
    answer, calls = done(made, replace("b0"), refusing(("b1", "p1")))
    assert answer == Refused(6, Errno.EIO)
    assert calls == told(("b0", "p1", "p0"), ("b1", "p1", "p0"), ("b0", "p0", "p1"), group=2)
    assert done(made, look("g2"))[0] == H


def test_a_device_that_will_not_go_back_is_blocked() -> None:
    made = core()
    done(made, attach("b0"))
    _, calls = done(made, replace("b0"), refusing(("b1", "p1"), ("b0", "p0")))
    assert calls[2:] == told(("b0", "p0", "p1"), ("b0", BLOCKED, "p1"), group=2)


def test_replace_to_the_same_domain_changes_the_handle_alone() -> None:
    made = core()
    done(made, attach())
    assert done(made, replace(domain="p0")) == (Done(6), [])
    assert done(made, look())[0] == AttachHandleGot(9, "k", "p0")


def test_a_refused_replace_with_the_handle_in_place_changes_what_is_believed() -> None:
    """t4-reuse, call 1266: the next replace to that domain asks no driver."""
    made = core()
    done(made, attach())
    assert done(made, replace(domain="nested", handle="h"))[0] == Refused(6, Errno.EINVAL)
    assert done(made, look(kind="UNMANAGED"))[0] == Refused(9, Errno.EBUSY)
    assert done(made, replace(domain="nested")) == (Done(6), [])


def test_detach_looks_at_nothing() -> None:
    made = core()
    done(made, attach())
    assert done(made, detach(domain="nested")) == (
        Done(8),
        told(("a0", BLOCKED, "nested"), group=1),
    )
    assert done(made, look())[0] == NOBODY
    assert done(made, detach()) == (Done(8), told(("a0", BLOCKED, "p0"), group=1))
    assert done(made, detach("n0")) == (Done(8), [])


def test_a_slot_without_a_handle_is_taken_and_says_nothing() -> None:
    made = core()
    done(made, attach(handle=""))
    assert done(made, look())[0] == NOBODY
    assert done(made, attach())[0] == Refused(5, Errno.EBUSY)
    assert done(made, replace())[0] == Done(6)
    assert done(made, look())[0] == K


def test_one_group_waits_while_its_driver_is_called_and_another_does_not() -> None:
    made = core()
    assert [one.to for one in hand(made, attach("b0"))] == [IOMMU]
    assert hand(made, attach("b1", call=6), "sva") == []
    assert hand(made, ClaimDmaOwner(7, "b0", "o"), "sva") == []
    assert [one.to for one in hand(made, attach("a0"), "sva")] == [IOMMU]
    assert [one.to for one in hand(made, Done(2), IOMMU)] == [IOMMU]
    answers = hand(made, Done(2), IOMMU)
    assert [one.message for one in answers] == [
        Done(5),
        Refused(6, Errno.EBUSY),
        Refused(7, Errno.EBUSY),
    ]


def test_numbers_are_the_lowest_free_below_the_limit_of_the_device_alone() -> None:
    made = core()
    got = [done(made, AllocGlobalPasid(1, "b1"))[0] for _ in range(8)]
    assert got == [*(AllocGlobalPasidGot(1, n, n) for n in range(1, 8)), Refused(1, Errno.ENOSPC)]
    assert done(made, AllocGlobalPasid(1, "b0"))[0] == AllocGlobalPasidGot(1, 8, 8)
    for number in (3, 3, 99):
        assert done(made, FreeGlobalPasid(2, number, 0))[0] == Done(2)
    assert done(made, AllocGlobalPasid(1, "a0"))[0] == AllocGlobalPasidGot(1, 3, 9)
    assert done(made, AllocGlobalPasid(1, "d0"))[0] == Refused(1, Errno.ENOSPC)


def test_an_owner_may_claim_twice_and_nobody_what_is_attached() -> None:
    made = core()
    for owner, said in (("o", Done(1)), ("o", Done(1)), ("x", Refused(1, Errno.EPERM))):
        assert done(made, ClaimDmaOwner(1, "b0", owner))[0] == said
    done(made, attach("b0"))
    done(made, ReleaseDmaOwner(2, "b0"))
    done(made, ReleaseDmaOwner(2, "b0"))
    assert done(made, ClaimDmaOwner(1, "b0", "x"))[0] == Refused(1, Errno.EPERM)  # Still owned.
    done(made, detach("b0"))
    done(made, ReleaseDmaOwner(2, "b0"))
    assert done(made, ClaimDmaOwner(1, "b1", "x"))[0] == Done(1)


def test_the_handle_of_a_group_is_at_pasid_0() -> None:
    made = core()
    assert done(made, AttachGroupHandle(1, "g2", "p0", "h"))[0] == Done(1)
    assert done(made, look("g2", 0))[0] == H
    assert done(made, ClaimDmaOwner(1, "b0", "o"))[0] == Refused(1, Errno.EBUSY)
    assert done(made, ReplaceGroupHandle(1, "g2", "nested", "k"))[0] == Done(1)
    assert done(made, look("g2", 0, "NESTED"))[0] == AttachHandleGot(9, "k", "nested")
    assert done(made, DetachGroupHandle(1, "g2", "p0", ""))[0] == Done(1)
    assert done(made, look("g2", 0))[0] == NOBODY
    assert made.groups["g2"].domain == "default"


def test_a_group_that_is_owned_goes_back_to_blocked() -> None:
    made = core()
    done(made, ClaimDmaOwner(1, "b0", "o"))
    done(made, AttachGroupHandle(1, "g2", "p0", "h"))
    done(made, DetachGroupHandle(1, "g2", "p0", ""))
    assert made.groups["g2"].domain == BLOCKED


@pytest.mark.parametrize(
    ("message", "site", "said"),
    [
        (attach(), "iommu_core.attach.slot", Refused(5, Errno.ENOMEM)),
        (replace(), "iommu_core.attach.slot", Refused(6, Errno.ENOMEM)),
        (
            AttachGroupHandle(1, "g2", "p0", "h"),
            "iommu_core.attach.slot",
            Refused(1, Errno.ENOMEM),
        ),
        (ClaimDmaOwner(1, "a0", "o"), "iommu_core.claim.domain", Refused(1, Errno.ENOMEM)),
        (AllocGlobalPasid(1, "a0"), "iommu_core.alloc_global.number", Refused(1, Errno.ENOSPC)),
    ],
)
def test_without_memory_nothing_has_happened(message: object, site: str, said: Refused) -> None:
    made, begin = core(), core()
    for group in begin.groups:
        begin.table(begin.groups[group], "")
        made.table(made.groups[group], "")
    assert done(made, message, chance=Failing(site)) == (said, [])  # type: ignore[arg-type]
    assert made == begin
