"""KVM: the PASID table, the VM-entry block, and commands in flight."""

import pytest

from actors.kvm import Inbox
from protocol.effects import Send
from protocol.errors import Errno
from protocol.facts import (
    EnqcmdIssued,
    EnqcmdRetired,
    NotificationAnswered,
    NotificationHandled,
    TranslationCleared,
    TranslationWritten,
    VmEntryBlocked,
    VmEntryLifted,
)
from protocol.messages import (
    Done,
    EnqcmdWriteGot,
    GetPasid,
    GuestEnqcmdGot,
    HostLost,
    NotifyAlloc,
    NotifyReply,
    OpenVm,
    Priority,
    PutPasid,
    PutPasidGot,
    Refused,
    RegisterNotifierMm,
    Verdict,
    VmExit,
)
from protocol.names import CORE, PASID_COUNT, SUPERVISOR
from tests.actors.kvm_hands import (
    BAD,
    DONE,
    GET,
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
    write_of,
)
from tests.helpers import Failing

# --- Opening --------------------------------------------------------------------------------------


def test_the_first_vcpu_registers_the_notifier_for_the_vms_mm() -> None:
    kvm = fresh()
    assert hand(kvm, OpenVm(9), GUEST) == [(CORE, RegisterNotifierMm(1, "vm1", Priority.CPU))]
    assert hand(kvm, Done(1)) == [(GUEST, Done(9))]
    assert kvm == opened()


def test_err_a_vm_whose_notifier_is_refused_may_be_opened_again() -> None:
    kvm = fresh()
    hand(kvm, OpenVm(9), GUEST)
    assert hand(kvm, Refused(1, Errno.ENOMEM)) == [(GUEST, Refused(9, Errno.ENOMEM))]
    assert kvm == fresh()


def test_err_a_second_open_is_ebusy() -> None:
    kvm = fresh()
    hand(kvm, OpenVm(9), GUEST)
    assert hand(kvm, OpenVm(10), GUEST) == [(GUEST, Refused(10, Errno.EBUSY))]
    assert hand(opened(), OpenVm(10), GUEST) == [(GUEST, Refused(10, Errno.EBUSY))]


# --- BIND -----------------------------------------------------------------------------------------


def test_bind_writes_the_entry_only_when_the_reference_is_granted() -> None:
    kvm = opened()
    begun = take(kvm, bind_of(7, 4))
    assert [effect for effect in begun.effects if isinstance(effect, Send)] == [Send(CORE, GET)]
    assert begun.facts == [NotificationHandled("BIND", 7, 70, "notify:1")]
    assert kvm.table == {}
    assert facts(kvm, Done(1)) == [
        TranslationWritten("vm1", 4, 7, 70),
        NotificationAnswered("BIND", 7, 70, "notify:1", "OK"),
    ]
    assert kvm == opened(g4=7)


def test_err_a_refused_reference_leaves_no_entry_and_is_bad() -> None:
    kvm = opened()
    hand(kvm, bind_of(7, 4))
    assert hand(kvm, Refused(1, Errno.EBUSY)) == [BAD]
    assert kvm == opened()


def test_err_without_memory_for_the_table_bind_is_bad_and_takes_nothing() -> None:
    kvm = opened()
    assert hand(kvm, bind_of(7, 4), CORE, Failing("kvm.bind.table")) == [BAD]
    assert kvm == opened()


@pytest.mark.parametrize("spid", [4, PASID_COUNT])
def test_err_bind_of_an_entry_that_is_valid_or_beyond_the_table_is_bad(spid: int) -> None:
    kvm = opened(g4=7)
    assert hand(kvm, bind_of(8, spid)) == [BAD]
    assert kvm == opened(g4=7)


def test_err_bind_of_an_entry_that_another_bind_will_write_is_bad() -> None:
    kvm = opened()
    hand(kvm, bind_of(8, 4, call=2))
    assert hand(kvm, bind_of(7, 4)) == [BAD]


def test_alloc_is_not_kvms() -> None:
    kvm = opened()
    assert hand(kvm, NotifyAlloc(1, 7, 70)) == [DONE]
    assert kvm == opened()


# --- UNBIND and FREE ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "notification"), [("UNBIND", unbind_of(7, 4)), ("FREE", free_of(7))]
)
def test_block_clear_put_lift_in_this_order(word: str, notification: Inbox) -> None:
    kvm = opened(g4=7)
    begun = take(kvm, notification)
    assert begun.effects == [Send(CORE, PUT)]
    assert begun.facts == [
        NotificationHandled(word, 7, 70, "notify:1"),
        VmEntryBlocked("vm1"),
        TranslationCleared("vm1", 4, 7, 70),
    ]
    ended = take(kvm, RECLAIMED)
    assert ended.effects == [Send(*OK)]
    assert ended.facts == [
        VmEntryLifted("vm1"),
        NotificationAnswered(word, 7, 70, "notify:1", "OK"),
    ]
    assert kvm == opened()


@pytest.mark.parametrize("notification", [unbind_of(8, 4), unbind_of(7, 5), free_of(8)])
def test_what_has_no_entry_raises_nothing(notification: Inbox) -> None:
    kvm = opened(g4=7)
    out = take(kvm, notification)
    assert out.effects == [Send(*DONE)]
    assert len(out.facts) == 2
    assert kvm == opened(g4=7)


def test_clearing_waits_for_commands_in_flight_of_any_pasid() -> None:
    kvm = opened(g4=7, g5=8)
    hand(kvm, enqcmd(5, 50), GUEST)
    hand(kvm, enqcmd(4, 51), GUEST)
    assert hand(kvm, free_of(7)) == []
    assert hand(kvm, EnqcmdWriteGot(2, accepted=True), "dsa0") == [
        (GUEST, GuestEnqcmdGot(51, accepted=True))
    ]
    assert hand(kvm, EnqcmdWriteGot(1, accepted=True), "dsa0") == [
        (GUEST, GuestEnqcmdGot(50, accepted=True)),
        (CORE, PutPasid(3, 7, 70, "translation")),
    ]


def test_the_block_stands_until_the_last_of_two_is_through() -> None:
    kvm = opened(g4=7, g5=8)
    hand(kvm, free_of(7))
    assert facts(kvm, unbind_of(8, 5, call=2)) == [
        NotificationHandled("UNBIND", 8, 80, "notify:2"),
        TranslationCleared("vm1", 5, 8, 80),
    ]
    assert facts(kvm, RECLAIMED) == [NotificationAnswered("FREE", 7, 70, "notify:1", "OK")]
    assert facts(kvm, PutPasidGot(2, reclaimed=False)) == [
        VmEntryLifted("vm1"),
        NotificationAnswered("UNBIND", 8, 80, "notify:2", "OK"),
    ]
    assert kvm == opened()


def test_notifications_of_other_pasids_go_on_behind_a_block() -> None:
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4), GUEST)
    hand(kvm, free_of(7))
    assert hand(kvm, bind_of(8, 5, call=2)) == [(CORE, GetPasid(3, 3, 8, 80, "translation"))]
    assert hand(kvm, Done(3)) == [(CORE, NotifyReply(2, Verdict.OK))]


# --- ENQCMD ---------------------------------------------------------------------------------------


def test_a_command_carries_the_host_pasid_to_the_device_and_its_answer_back() -> None:
    kvm = opened(g4=7)
    issued = take(kvm, enqcmd(4, 50), GUEST)
    assert issued.effects == [Send("dsa0", write_of(1, 7, 50))]
    assert issued.facts == [EnqcmdIssued("vm1", "dsa0", 7, 70)]
    retired = take(kvm, EnqcmdWriteGot(1, accepted=False), "dsa0")
    assert retired.effects == [Send(GUEST, GuestEnqcmdGot(50, accepted=False))]
    assert retired.facts == [EnqcmdRetired("vm1", "dsa0", 7, 70)]
    assert kvm == opened(g4=7)


def test_err_without_an_entry_the_command_leaves_the_guest() -> None:
    assert hand(opened(g4=7), enqcmd(5, 50), GUEST) == [(GUEST, VmExit(50, 72))]


def test_err_a_vm_that_is_not_open_runs_no_command() -> None:
    assert hand(fresh(), enqcmd(4, 50), GUEST) == [(GUEST, VmExit(50))]


def test_commands_that_the_block_holds_up_go_by_the_table_as_it_is_then() -> None:
    kvm = opened(g4=7, g5=8)
    hand(kvm, free_of(7))
    for tag, gpasid in ((50, 5), (51, 4), (52, 5)):
        assert hand(kvm, enqcmd(gpasid, tag), GUEST) == []
    assert hand(kvm, RECLAIMED) == [
        ("dsa0", write_of(1, 8, 50)),
        (GUEST, VmExit(51)),
        ("dsa0", write_of(2, 8, 52)),
        OK,
    ]
    assert kvm.waiting == []


# --- Loss -----------------------------------------------------------------------------------------


def test_commands_to_a_lost_device_retire_unaccepted_and_hold_nothing_up() -> None:
    kvm = opened(g4=7)
    hand(kvm, enqcmd(4, 50), GUEST)
    hand(kvm, enqcmd(4, 51, "dsa1"), GUEST)
    hand(kvm, free_of(7))
    assert hand(kvm, HostLost("dsa0"), SUPERVISOR) == [(GUEST, GuestEnqcmdGot(50, accepted=False))]
    assert hand(kvm, EnqcmdWriteGot(2, accepted=True), "dsa1") == [
        (GUEST, GuestEnqcmdGot(51, accepted=True)),
        (CORE, PutPasid(3, 7, 70, "translation")),
    ]


def test_a_lost_device_accepts_nothing_later() -> None:
    kvm = opened(g4=7)
    hand(kvm, HostLost("dsa0"), SUPERVISOR)
    assert hand(kvm, enqcmd(4, 50), GUEST) == [(GUEST, GuestEnqcmdGot(50, accepted=False))]
    assert hand(kvm, enqcmd(4, 51, "dsa1"), GUEST) == [("dsa1", write_of(1, 7, 51))]


def test_no_other_loss_is_kvms() -> None:
    kvm = opened(g4=7)
    assert hand(kvm, HostLost("vm2.kvm"), SUPERVISOR) == []
    assert kvm == opened(g4=7)


@pytest.mark.parametrize("copy", [Done(1), EnqcmdWriteGot(1, accepted=True), RECLAIMED])
def test_a_second_copy_of_an_answer_changes_nothing(copy: Inbox) -> None:
    kvm = opened(g4=7)
    assert hand(kvm, copy) == []
    assert kvm == opened(g4=7)
