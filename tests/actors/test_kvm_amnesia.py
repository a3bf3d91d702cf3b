"""KVM loses its memory: what is left, whom it asks, and what it does with the answers."""

import pytest

from actors.kvm import Inbox, Kvm
from actors.kvm.state import Entry, Phase
from protocol.errors import Errno
from protocol.facts import (
    FdsReleased,
    NotificationAnswered,
    NotificationHandled,
    TranslationCleared,
    VmEntryBlocked,
    VmEntryLifted,
)
from protocol.facts.amnesia import MemoryLost, MemoryRebuilt
from protocol.messages import (
    Done,
    EnqcmdWriteGot,
    GetPasid,
    GuestEnqcmdGot,
    HostLost,
    OpenVm,
    PutPasid,
    Refused,
    RegisterNotifierMm,
    ReleaseFds,
    UnregisterNotifier,
    VmExit,
)
from protocol.messages.amnesia import (
    Forget,
    HeldReference,
    RecallCalls,
    RecallCallsGot,
    RecallLedger,
    RecallLedgerGot,
)
from protocol.messages.core import Priority
from protocol.names import CORE, SUPERVISOR
from tests.actors.kvm_hands import (
    BAD,
    DONE,
    GUEST,
    OK,
    PUT,
    RECLAIMED,
    Sent,
    bind_of,
    enqcmd,
    facts,
    free_of,
    fresh,
    hand,
    opened,
    unbind_of,
    write_of,
)

HELD = HeldReference(7, 70, "translation", 1)
ASKED = [(GUEST, RecallCalls(1))]


def forget(kvm: Kvm) -> None:
    """It asks the core, and nobody else yet."""
    assert hand(kvm, Forget(), SUPERVISOR) == [(CORE, RecallLedger(1))]


def told(
    *held: HeldReference, owed: tuple[Inbox, ...] = (), mms: tuple[str, ...] = ("vm1",)
) -> Inbox:
    """What the core says to a KVM that it calls."""
    return RecallLedgerGot(1, held, mms, owed)  # type: ignore[arg-type]


def rebuilt(kvm: Kvm, core: Inbox, *awaited: int, exited: bool = False) -> Sent:
    """What it sends when both have answered."""
    forget(kvm)
    assert hand(kvm, core) == ASKED
    return hand(kvm, RecallCallsGot(1, awaited, exited), GUEST)


def test_what_the_cpu_has_is_left_and_all_else_is_asked_for() -> None:
    kvm = opened(g4=7)
    hand(kvm, bind_of(8, 5))
    assert facts(kvm, Forget(), SUPERVISOR) == [MemoryLost(1), VmEntryBlocked("vm1")]
    assert kvm.table == {4: Entry(7, 70)}
    assert (kvm.tasks, kvm.phase) == ({}, Phase.CLOSED)
    assert hand(kvm, told(HELD)) == ASKED
    assert facts(kvm, RecallCallsGot(1, (), exited=False), GUEST) == [
        MemoryRebuilt(1),
        VmEntryLifted("vm1"),
    ]
    assert (kvm.table, kvm.phase, kvm.blocks) == ({4: Entry(7, 70)}, Phase.OPEN, 0)


def test_a_reference_that_was_granted_and_has_no_entry_is_put_once_and_bind_begins_anew() -> None:
    """Crash point (a): after the get, before the entry."""
    kvm = opened()
    hand(kvm, bind_of(7, 4))
    assert rebuilt(kvm, told(HELD, owed=(bind_of(7, 4),))) == [
        (CORE, PUT),
        (CORE, GetPasid(2, 3, 7, 70, "translation")),
    ]
    assert hand(kvm, RECLAIMED) == []
    assert hand(kvm, Done(2)) == [OK]
    assert kvm.table == {4: Entry(7, 70)}


def test_a_bind_whose_pasid_was_freed_meanwhile_is_refused() -> None:
    kvm = opened()
    hand(kvm, bind_of(7, 4))
    rebuilt(kvm, told(HELD, owed=(bind_of(7, 4),)))
    hand(kvm, RECLAIMED)
    assert hand(kvm, Refused(2, Errno.EBUSY)) == [BAD]
    assert kvm.table == {}


def test_an_entry_that_was_written_is_not_written_again_for_its_bind() -> None:
    """Crash point (b): after the entry, before the reply.  Here both are one input, and durable."""
    kvm = opened(g4=7)
    assert rebuilt(kvm, told(HELD, owed=(bind_of(7, 4),))) == [OK]
    assert kvm.table == {4: Entry(7, 70)}


def test_an_entry_that_was_cleared_is_put_once() -> None:
    """Crash point (c): after the clearing, before the put; what is still counted is put."""
    kvm = opened()
    assert rebuilt(kvm, told(HELD, owed=(free_of(7),))) == [(CORE, PUT), DONE]
    assert hand(kvm, RECLAIMED) == []
    assert kvm.tasks == {}


def test_what_was_put_before_is_not_put_again() -> None:
    kvm = opened(g4=7)
    assert hand(kvm, unbind_of(7, 4)) == [(CORE, PUT)]
    forget(kvm)
    assert hand(kvm, RECLAIMED) == []  # To nobody who knows of it.
    assert hand(kvm, told(owed=(unbind_of(7, 4),))) == ASKED
    assert hand(kvm, RecallCallsGot(1, (), exited=False), GUEST) == [DONE]
    assert kvm.blocks == 0


@pytest.mark.parametrize("notification", [unbind_of(7, 4), free_of(7)])
def test_what_was_notified_is_handled_as_if_it_came_now(notification: Inbox) -> None:
    """Crash point (d); once, whether it came before the core's answer or is still to come."""
    kvm = opened(g4=7)
    forget(kvm)
    assert hand(kvm, notification) == []  # Before the answer: so it is in the answer.
    assert hand(kvm, told(HELD, owed=(notification,))) == ASKED
    assert hand(kvm, RecallCallsGot(1, (), exited=False), GUEST) == [(CORE, PUT)]
    assert kvm.blocks == 1
    assert hand(kvm, RECLAIMED) == [OK]
    assert kvm.blocks == 0


def test_what_is_notified_after_the_answer_waits_for_the_rest() -> None:
    kvm = opened(g4=7)
    forget(kvm)
    assert hand(kvm, told(HELD)) == ASKED
    assert hand(kvm, free_of(7)) == []
    assert hand(kvm, RecallCallsGot(1, (), exited=False), GUEST) == [(CORE, PUT)]


def test_an_entry_that_nothing_is_counted_for_is_cleared_without_a_put() -> None:
    kvm = opened(g4=7, g5=8)
    forget(kvm)
    hand(kvm, told(HELD))
    assert facts(kvm, RecallCallsGot(1, (), exited=False), GUEST)[0] == TranslationCleared(
        "vm1", 5, 8, 80
    )
    assert kvm.table == {4: Entry(7, 70)}


def test_commands_of_vcpus_are_where_they_were() -> None:
    """Crash point (e): with the vCPUs kept out.  The one on its way comes back first."""
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4, 50), GUEST)
    hand(kvm, free_of(7))
    hand(kvm, enqcmd(4, 51), GUEST)
    assert facts(kvm, Forget(), SUPERVISOR) == [MemoryLost(1)]  # They are kept out already.
    assert hand(kvm, enqcmd(4, 52), GUEST) == []
    assert hand(kvm, told(HELD, owed=(free_of(7),))) == []  # One is on its way.
    assert hand(kvm, EnqcmdWriteGot(1, accepted=True), "dsa0") == [
        (GUEST, GuestEnqcmdGot(50, accepted=True)),
        *ASKED,
    ]
    assert hand(kvm, RecallCallsGot(1, (51, 52), exited=False), GUEST) == [(CORE, PUT)]
    assert hand(kvm, RECLAIMED) == [(GUEST, VmExit(51)), (GUEST, VmExit(52)), OK]


def test_vcpus_go_on_with_the_table_as_it_was() -> None:
    kvm = opened(g4=7)
    forget(kvm)
    hand(kvm, enqcmd(4, 50), GUEST)
    hand(kvm, told(HELD))
    answer = RecallCallsGot(1, (50,), exited=False)
    assert hand(kvm, answer, GUEST) == [("dsa0", write_of(1, 7, 50))]


@pytest.mark.parametrize("registered", [True, False])
def test_an_open_that_was_under_way_is_answered_or_begun_anew(registered: bool) -> None:
    kvm = fresh()
    hand(kvm, OpenVm(9), GUEST)
    core = told(mms=("vm1",) if registered else ())
    again = (CORE, RegisterNotifierMm(1, "vm1", Priority.CPU))
    assert rebuilt(kvm, core, 9) == [(GUEST, Done(9)) if registered else again]


def test_closing_goes_on_from_where_it_was() -> None:
    kvm = opened(g4=7, g5=8)
    hand(kvm, ReleaseFds("vm1"), GUEST)
    held = (HELD, HeldReference(8, 80, "translation", 1))
    assert rebuilt(kvm, told(*held, mms=()), exited=True) == [(CORE, PUT)]
    assert hand(kvm, RECLAIMED) == [(CORE, PutPasid(1, 8, 80, "translation"))]
    assert facts(kvm, RECLAIMED) == [FdsReleased("vm1")]
    assert kvm.phase is Phase.GONE


@pytest.mark.parametrize("when", ["before", "meanwhile", "after"])
def test_of_a_lost_guest_nothing_is_asked_and_its_vm_is_closed(when: str) -> None:
    kvm = opened(g4=7)
    lost = HostLost(GUEST)
    before = (GUEST,) if when == "before" else ()
    assert hand(kvm, Forget(before), SUPERVISOR) == [(CORE, RecallLedger(1))]
    if when == "meanwhile":
        assert hand(kvm, lost, SUPERVISOR) == []
    sent = hand(kvm, told(HELD))
    if when == "after":
        assert sent == ASKED
        sent = hand(kvm, lost, SUPERVISOR)
    assert sent == [(CORE, UnregisterNotifier(1, "vm1"))]
    assert hand(kvm, ReleaseFds("vm1"), SUPERVISOR) == []
    assert hand(kvm, Done(1)) == [(CORE, PUT)]


def test_files_that_are_closed_meanwhile_are_closed() -> None:
    kvm = opened()
    forget(kvm)
    assert hand(kvm, ReleaseFds("vm1"), GUEST) == []
    hand(kvm, told())
    answer = RecallCallsGot(1, (), exited=False)
    assert hand(kvm, answer, GUEST) == [(CORE, UnregisterNotifier(1, "vm1"))]


def test_memory_may_be_lost_again_and_answers_to_the_life_before_are_nobodys() -> None:
    kvm = opened(g4=7)
    forget(kvm)
    assert hand(kvm, Forget(), SUPERVISOR) == [(CORE, RecallLedger(2))]
    assert hand(kvm, told(HELD)) == []
    assert hand(kvm, RecallLedgerGot(2, (HELD,), ("vm1",), ())) == [(GUEST, RecallCalls(2))]
    assert hand(kvm, RecallCallsGot(1, (9,), exited=True), GUEST) == []
    assert hand(kvm, RecallCallsGot(2, (), exited=False), GUEST) == []
    assert kvm.rebuilding is None
    assert hand(kvm, RecallCallsGot(2, (9,), exited=True), GUEST) == []


def test_a_device_that_goes_meanwhile_takes_what_was_on_its_way() -> None:
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4, 50), GUEST)
    forget(kvm)
    assert hand(kvm, told(HELD)) == []
    assert hand(kvm, HostLost("dsa0"), SUPERVISOR) == [
        (GUEST, GuestEnqcmdGot(50, accepted=False)),
        *ASKED,
    ]


def test_what_is_handled_again_is_stated_again() -> None:
    kvm = opened()
    forget(kvm)
    hand(kvm, told(owed=(free_of(7),)))
    assert facts(kvm, RecallCallsGot(1, (), exited=False), GUEST) == [
        NotificationHandled("FREE", 7, 70, "notify:1"),
        NotificationAnswered("FREE", 7, 70, "notify:1", "DONE"),
        MemoryRebuilt(1),
        VmEntryLifted("vm1"),
    ]
