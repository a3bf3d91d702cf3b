"""An iommufd context: ids, users, attach records, automatic page tables."""

from protocol.errors import Errno
from protocol.facts.iommufd import DeviceUnbound, ObjectRemoved, PtReplaced
from protocol.messages import Done, HostLost, Refused, Start
from protocol.messages.iommu_core import (
    AttachDevicePasid,
    DetachDevicePasid,
    ReplaceDevicePasid,
    ReplaceGroupHandle,
)
from protocol.messages.iommufd import (
    AllocDomain,
    AllocHwpt,
    AllocIoas,
    AttachPt,
    BindDevice,
    DestroyObject,
    DetachPt,
    FreeDomain,
    MakeMockDevice,
    ObjectGot,
    PtGot,
    ReplacePt,
    UnbindDevice,
)
from tests.actors.iommufd_hands import DEV, IOAS, ONE, TWO, USER, furnished, users
from tests.helpers import Failing

# --- Ids and users --------------------------------------------------------------------------------


def test_the_lowest_id_is_used_again_for_any_kind() -> None:
    hands = furnished()
    assert hands.ask(DestroyObject(2, ONE)) == Done(2)
    assert ObjectRemoved(ONE, "paging", 1) in hands.facts
    assert hands.made(AllocIoas(3)) == ONE


def test_an_id_is_free_before_its_object_is_gone() -> None:
    hands = furnished()
    hands.deliver(Start(), "supervisor")
    hands.deliver(HostLost(USER), "supervisor")
    hands.hold = (object,)
    hands.ask(DestroyObject(2, ONE))
    hands.go_on(held=True)
    assert [one.message for one in hands.waiting] == [FreeDomain(1, "domain101")]
    hands.ask(AllocIoas(3))
    assert users(hands, ONE, IOAS) == [1, 3]
    hands.go_on()
    assert hands.answers[2] == Done(2)
    assert users(hands, IOAS) == [2]


def test_nobody_finds_what_is_only_reserved() -> None:
    hands = furnished()
    hands.hold = (object,)
    hands.ask(AllocIoas(2))
    waiting, hands.waiting, hands.hold = hands.waiting, [], ()
    assert hands.ask(AttachPt(3, DEV, 5, 5)) == Refused(3, Errno.ENOENT)
    assert hands.ask(DestroyObject(4, 5)) == Refused(4, Errno.ENOENT)
    hands.waiting = waiting
    hands.go_on()
    assert hands.answers[2] == ObjectGot(2, 5)


def test_what_another_call_looks_at_is_not_destroyed() -> None:
    hands = furnished()
    hands.hold = (object,)
    hands.ask(AttachPt(2, DEV, 5, ONE))
    assert hands.ask(DestroyObject(3, ONE)) == Refused(3, Errno.EBUSY)
    hands.go_on()
    assert hands.ask(DetachPt(4, DEV, 5)) == Done(4)
    assert hands.ask(DestroyObject(5, ONE)) == Done(5)


def test_unbind_waits_for_those_that_look() -> None:
    hands = furnished()
    hands.hold = (object,)
    hands.ask(AllocHwpt(2, DEV, IOAS))
    hands.ask(UnbindDevice(3, DEV))
    assert 3 not in hands.answers
    hands.go_on()
    assert hands.answers[2] == ObjectGot(2, 5)
    assert hands.answers[3] == Done(3)
    assert DeviceUnbound("dev1", "dev1", ()) in hands.facts
    assert DEV not in hands.context.objects


def test_err_a_device_that_is_unbound_with_a_pasid_stays() -> None:
    hands = furnished()
    hands.ask(AttachPt(2, DEV, 5, ONE))
    assert hands.ask(UnbindDevice(3, DEV)) == Done(3)
    assert DeviceUnbound("dev1", "dev1", (5,)) in hands.facts
    assert users(hands, DEV) == [2]


# --- Attach, replace, detach ----------------------------------------------------------------------


def test_the_core_is_asked_once_for_a_group_and_the_last_device_takes_it_away() -> None:
    hands = furnished()
    other = hands.made(BindDevice(2, "dev1b", "dev1"))
    assert hands.ask(AttachPt(3, DEV, 5, ONE)) == PtGot(3, ONE)
    assert hands.ask(AttachPt(4, other, 5, ONE)) == PtGot(4, ONE)
    assert users(hands, ONE, DEV, other) == [3, 3, 3]
    assert hands.ask(ReplacePt(5, DEV, 5, TWO)) == PtGot(5, TWO)
    assert users(hands, ONE, TWO) == [1, 3]
    replaced = [fact for fact in hands.facts if isinstance(fact, PtReplaced)]
    assert [(fact.old, fact.hwpt, fact.compatible) for fact in replaced] == [(ONE, TWO, True)]
    hands.ask(DetachPt(6, DEV, 5))
    hands.ask(DetachPt(7, other, 5))
    asked = [type(one) for one in hands.asked if hasattr(one, "incarnation")]
    assert asked == [AttachDevicePasid, ReplaceDevicePasid, DetachDevicePasid]
    assert users(hands, ONE, TWO, DEV, other) == [1, 1, 2, 2]
    assert not hands.context.handles


def test_one_group_is_changed_by_one_call_at_a_time() -> None:
    hands = furnished()
    hands.hold = (AttachDevicePasid,)
    for request in (AttachPt(2, DEV, 5, ONE), DetachPt(3, DEV, 5), AttachPt(4, DEV, 6, ONE)):
        hands.ask(request)
    assert [one.message.pasid for one in hands.waiting] == [5]  # type: ignore[union-attr]
    assert hands.context.locks == {"group:dev1": [1, 2, 3]}
    hands.go_on()
    assert [hands.answers[call] for call in (2, 3, 4)] == [PtGot(2, ONE), Done(3), PtGot(4, ONE)]
    assert list(hands.slots) == [("dev1", 6)]


def test_err_a_replace_that_the_core_refuses_leaves_the_old_one() -> None:
    hands = furnished()
    hands.ask(AttachPt(2, DEV, 5, ONE))
    before = dict(hands.slots)
    hands.refuse[ReplaceDevicePasid] = Errno.ENOMEM
    assert hands.ask(ReplacePt(3, DEV, 5, TWO)) == Refused(3, Errno.ENOMEM)
    assert (hands.slots, users(hands, ONE, TWO)) == (before, [2, 1])
    assert list(hands.context.handles) == list(hands.slots.values())


def test_the_rid_is_replaced_by_its_group() -> None:
    hands = furnished()
    hands.ask(AttachPt(2, DEV, 0, ONE))
    assert hands.ask(ReplacePt(3, DEV, 0, TWO)) == PtGot(3, TWO)
    assert [one for one in hands.asked if isinstance(one, ReplaceGroupHandle)]


# --- Automatic page tables ------------------------------------------------------------------------


def test_an_automatic_page_table_is_shared_and_goes_with_its_last_user() -> None:
    hands = furnished()
    other = hands.made(BindDevice(2, "dev2", "dev2"))
    got = hands.ask(AttachPt(3, DEV, 0, IOAS))
    assert isinstance(got, PtGot)
    assert hands.ask(AttachPt(4, other, 0, IOAS)) == PtGot(4, got.pt)
    hands.ask(DetachPt(5, DEV, 0))
    assert users(hands, got.pt) == [2]
    hands.ask(ReplacePt(6, other, 0, ONE))
    assert got.pt not in hands.context.objects
    assert users(hands, IOAS) == [3]


def test_an_automatic_page_table_stays_as_long_as_somebody_looks_at_it() -> None:
    hands = furnished()
    got = hands.ask(AttachPt(3, DEV, 0, IOAS))
    other = hands.made(BindDevice(2, "dev2", "dev2"))
    assert isinstance(got, PtGot)
    hands.hold = (object,)
    hands.ask(AttachPt(4, other, 0, got.pt))
    waiting, hands.waiting, hands.hold = hands.waiting, [], ()
    assert hands.ask(DetachPt(5, DEV, 0)) == Done(5)
    assert users(hands, got.pt) == [2]
    hands.waiting = waiting
    hands.go_on()
    assert users(hands, got.pt) == [2]


def test_err_without_a_domain_there_is_no_automatic_page_table() -> None:
    hands = furnished()
    hands.refuse[AllocDomain] = Errno.ENOMEM
    assert hands.ask(AttachPt(3, DEV, 0, IOAS)) == Refused(3, Errno.ENOMEM)
    assert users(hands, IOAS) == [3]


def test_who_needs_the_lock_of_an_ioas_waits() -> None:
    hands = furnished()
    hands.hold = (AllocDomain,)
    hands.ask(AllocHwpt(2, DEV, IOAS))
    hands.ask(AllocHwpt(3, DEV, IOAS))
    hands.ask(DestroyObject(4, TWO))
    hands.ask(AttachPt(5, DEV, 0, IOAS))
    assert hands.context.locks == {f"ioas:{IOAS}": [1, 2, 3, 4]}
    hands.go_on()
    # The id of what is being destroyed is free all the time.
    assert (hands.answers[2], hands.answers[3]) == (ObjectGot(2, 5), ObjectGot(3, TWO))
    assert (hands.answers[4], hands.answers[5]) == (Done(4), PtGot(5, 6))


def test_err_without_memory_for_another_one_what_would_not_do_is_all_there_was() -> None:
    hands = furnished()
    hands.ask(MakeMockDevice(2, "dev2", "dev2", IOAS))
    hands.ask(AttachPt(3, DEV, 5, ONE))
    hands.chance = Failing("iommufd.object.alloc")
    assert hands.ask(AttachPt(4, DEV, 0, IOAS)) == Refused(4, Errno.ENOMEM)
    assert not hands.context.locks
