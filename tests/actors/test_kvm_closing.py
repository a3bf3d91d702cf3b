"""KVM: closing the VM's files gives everything back, whatever is under way."""

import pytest

from actors.kvm import Inbox
from protocol.effects import Send
from protocol.errors import Errno
from protocol.facts import (
    FdsReleased,
    NotificationAnswered,
    TranslationCleared,
    VmEntryLifted,
)
from protocol.messages import (
    Done,
    EnqcmdWriteGot,
    GuestEnqcmdGot,
    OpenVm,
    PutPasid,
    PutPasidGot,
    Refused,
    ReleaseFds,
    UnregisterNotifier,
    VmExit,
)
from protocol.names import CORE, SUPERVISOR
from tests.actors.kvm_hands import (
    BAD,
    DONE,
    GUEST,
    OK,
    PUT,
    RECLAIMED,
    bind_of,
    enqcmd,
    facts,
    free_of,
    fresh,
    hand,
    opened,
    take,
    unbind_of,
)


def test_closing_unregisters_first_then_clears_and_puts_entry_after_entry() -> None:
    kvm = opened(g5=8, g4=7)
    assert hand(kvm, ReleaseFds("vm1"), GUEST) == [(CORE, UnregisterNotifier(1, "vm1"))]
    cleared = take(kvm, Done(1))
    assert cleared.effects == [Send(CORE, PUT)]
    assert cleared.facts == [TranslationCleared("vm1", 4, 7, 70)]
    assert hand(kvm, RECLAIMED) == [(CORE, PutPasid(1, 8, 80, "translation"))]
    assert facts(kvm, RECLAIMED) == [FdsReleased("vm1")]
    assert (kvm.table, kvm.tasks) == ({}, {})


def test_closing_twice_or_before_opening_is_closing_once() -> None:
    kvm = fresh()
    assert facts(kvm, ReleaseFds("vm1"), SUPERVISOR) == [FdsReleased("vm1")]
    assert facts(kvm, ReleaseFds("vm1"), SUPERVISOR) == []
    assert hand(kvm, OpenVm(9), GUEST) == [(GUEST, Refused(9, Errno.ENODEV))]


def test_closing_waits_for_commands_in_flight() -> None:
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4, 50), GUEST)
    assert hand(kvm, ReleaseFds("vm1"), GUEST) == []
    assert hand(kvm, ReleaseFds("vm1"), SUPERVISOR) == []
    assert hand(kvm, OpenVm(9), GUEST) == [(GUEST, Refused(9, Errno.ENODEV))]
    assert hand(kvm, enqcmd(4, 51), GUEST) == [(GUEST, VmExit(51))]
    assert hand(kvm, EnqcmdWriteGot(1, accepted=True), "dsa0") == [
        (GUEST, GuestEnqcmdGot(50, accepted=True)),
        (CORE, UnregisterNotifier(1, "vm1")),
    ]
    assert hand(kvm, Done(1)) == [(CORE, PUT)]


@pytest.mark.parametrize("notification", [unbind_of(7, 4), free_of(7)])
def test_what_unbinds_while_closing_waits_for_commands_in_flight_too(notification: Inbox) -> None:
    """It is still told, so that the VDCM after it drains what such a command submits (R8)."""
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4, 50), GUEST)
    hand(kvm, ReleaseFds("vm1"), GUEST)
    assert hand(kvm, notification) == []
    assert hand(kvm, bind_of(8, 5)) == [DONE]
    assert hand(kvm, EnqcmdWriteGot(1, accepted=True), "dsa0") == [
        (GUEST, GuestEnqcmdGot(50, accepted=True)),
        (CORE, PutPasid(2, 7, 70, "translation")),
        (CORE, UnregisterNotifier(1, "vm1")),
    ]
    assert hand(kvm, PutPasidGot(2, reclaimed=False)) == [OK]
    assert facts(kvm, Done(1)) == [FdsReleased("vm1")]


def test_closing_answers_what_the_block_held_up() -> None:
    kvm = opened(g4=7)
    hand(kvm, free_of(7))
    hand(kvm, enqcmd(4, 50), GUEST)
    assert hand(kvm, ReleaseFds("vm1"), GUEST) == [
        (GUEST, VmExit(50)),
        (CORE, UnregisterNotifier(2, "vm1")),
    ]
    assert hand(kvm, Done(2)) == []
    assert facts(kvm, RECLAIMED) == [
        VmEntryLifted("vm1"),
        NotificationAnswered("FREE", 7, 70, "notify:1", "OK"),
        FdsReleased("vm1"),
    ]


@pytest.mark.parametrize("answer", [Done(1), Refused(1, Errno.EBUSY)])
def test_a_bind_under_way_comes_to_its_end_before_closing_clears(answer: Inbox) -> None:
    kvm = opened()
    hand(kvm, bind_of(7, 4))
    hand(kvm, ReleaseFds("vm1"), GUEST)
    assert hand(kvm, Done(2)) == []
    verdict, *put = hand(kvm, answer)
    assert verdict == (OK if isinstance(answer, Done) else BAD)
    assert put == ([(CORE, PutPasid(2, 7, 70, "translation"))] if isinstance(answer, Done) else [])


@pytest.mark.parametrize("notification", [bind_of(8, 5), unbind_of(7, 4), free_of(7)])
def test_what_is_notified_while_closing_changes_nothing(notification: Inbox) -> None:
    kvm = opened(g4=7)
    hand(kvm, ReleaseFds("vm1"), GUEST)
    assert hand(kvm, notification) == [DONE]
    assert hand(kvm, Done(1)) == [(CORE, PUT)]


def test_qemu_may_end_while_the_vm_is_being_opened() -> None:
    kvm = fresh()
    hand(kvm, OpenVm(9), GUEST)
    assert hand(kvm, ReleaseFds("vm1"), SUPERVISOR) == []
    assert hand(kvm, Done(1)) == [(GUEST, Done(9)), (CORE, UnregisterNotifier(1, "vm1"))]
    assert facts(kvm, Done(1)) == [FdsReleased("vm1")]


def test_err_qemu_may_end_while_opening_is_refused() -> None:
    kvm = fresh()
    hand(kvm, OpenVm(9), GUEST)
    hand(kvm, ReleaseFds("vm1"), SUPERVISOR)
    assert facts(kvm, Refused(1, Errno.EBUSY)) == [FdsReleased("vm1")]


def test_a_notification_under_way_may_end_before_the_notifier_is_off() -> None:
    kvm = opened(g4=7)
    hand(kvm, free_of(7))
    hand(kvm, ReleaseFds("vm1"), GUEST)
    assert hand(kvm, RECLAIMED) == [OK]
    assert facts(kvm, Done(2)) == [FdsReleased("vm1")]
