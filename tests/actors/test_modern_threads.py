"""Locks and threads of the modern stack, as the actors state them."""

from actors.revisions.device_table import DeviceTableCore
from protocol.errors import Errno
from protocol.facts import Event, LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.facts.iommu_core import DetachAsked, HandleSeen, SlotKept, SlotReleased
from protocol.messages import Done, Refused
from protocol.messages.iommu_core import AttachGroupHandle, DetachGroupHandle, UnplugDevice
from protocol.messages.iommufd import AllocDomain, AllocHwpt
from protocol.names import IOMMU, KERNEL
from tests.actors.iommu_core_hands import (
    attach,
    core,
    detach,
    done,
    facts,
    hand,
    look,
    replace,
)
from tests.actors.iommufd_hands import DEV, IOAS, NAME, USER
from tests.actors.iommufd_hands import furnished as context
from tests.actors.sva_hands import Hands as SvaHands

LOCKS = (LockTaken, LockWaited, LockReleased, ThreadEntered)


def of_locks(stated: list[Event]) -> list[Event]:
    """Only these."""
    return [fact for fact in stated if isinstance(fact, LOCKS)]


def test_who_waits_for_a_group_and_is_through_at_once_has_had_its_lock() -> None:
    made = core()
    held = of_locks(list(facts(made, attach("b0"))))
    mine, theirs, lock = "vfio/5", "vfio/7", "group:g2"
    assert held == [LockTaken(lock, "mutex", mine), ThreadEntered("2", mine)]
    waits = facts(made, AttachGroupHandle(7, "g2", "p0", "r"))
    assert waits == [LockWaited(lock, "mutex", theirs)]
    hand(made, Done(2), IOMMU)
    ended = of_locks(list(facts(made, Done(2), IOMMU)))
    assert ended == [
        LockReleased(lock, "mutex", mine),
        LockTaken(lock, "mutex", theirs),
        LockReleased(lock, "mutex", theirs),
    ]


def test_the_thread_of_a_bind_is_its_callers() -> None:
    hands = SvaHands()
    hands.bind("d1")
    assert of_locks(list(hands.facts)) == [
        LockTaken("iommu_sva_lock", "mutex", f"{KERNEL}/1"),
        ThreadEntered("0", f"{KERNEL}/1"),
        LockReleased("iommu_sva_lock", "mutex", f"{KERNEL}/1"),
    ]


def test_a_context_states_its_locks_under_names_of_its_own() -> None:
    hands = context()
    hands.facts.clear()
    hands.hold = (AllocDomain,)
    hands.ask(AllocHwpt(2, DEV, IOAS))
    hands.ask(AllocHwpt(3, DEV, IOAS))
    hands.go_on()
    lock = f"ioas:{NAME}.{IOAS}"
    assert of_locks(list(hands.facts)) == [
        ThreadEntered("1", f"{USER}/2"),
        LockTaken(lock, "mutex", "1"),
        ThreadEntered("2", f"{USER}/3"),
        LockWaited(lock, "mutex", "2"),
        LockReleased(lock, "mutex", "1"),
        LockTaken(lock, "mutex", "2"),
        LockReleased(lock, "mutex", "2"),
    ]


def test_a_look_up_and_a_detach_are_stated_before_they_are_answered() -> None:
    made = core()
    done(made, attach("b0"))
    assert facts(made, look("g2")) == [HandleSeen("g2", 1, "h")]
    assert facts(made, look("g2", 2)) == []
    assert DetachAsked("g2", 1, "p0") in facts(made, detach("b0"))
    made = core()
    done(made, AttachGroupHandle(1, "g2", "p0", "r"))
    assert DetachAsked("g2", 0, "p0") in facts(made, DetachGroupHandle(2, "g2", "p0", "r"))


def test_a_replace_that_fails_states_what_is_kept() -> None:
    made = core()
    done(made, attach("a0"))
    hand(made, replace("a0"))
    stated = facts(made, Refused(1, Errno.ENOMEM), IOMMU)
    assert SlotKept("a0", 1, 7, "p0", "h") in stated


def test_where_a_device_has_a_table_its_slots_are_named_after_it() -> None:
    made = core(DeviceTableCore)
    done(made, attach("a0"))
    gone = facts(made, UnplugDevice(1, "a0"))
    assert not any(isinstance(fact, SlotReleased) for fact in gone), "it takes its table along"
    done(made, attach("b0"))
    hand(made, detach("b0"))
    assert SlotReleased("b0", 1, 7, "detach") in facts(made, Done(2), IOMMU)
