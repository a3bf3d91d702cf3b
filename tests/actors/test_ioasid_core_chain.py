"""Notification chains of the IOASID core."""

import msgspec
import pytest

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.state import Block
from protocol.errors import Errno
from protocol.facts import (
    MemoryFreed,
    MemoryUsed,
    NotificationSent,
    NotifierUnregistered,
    PasidReclaimed,
    SubscriberAnswered,
    SubscriberCalled,
)
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AttachSpid,
    DetachSpid,
    Done,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    HostLost,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    Priority,
    PutPasid,
    Refused,
    RegisterNotifierMm,
    UnregisterNotifier,
    Verdict,
)
from protocol.names import CORE, INVALID_PASID, IOMMU, SUPERVISOR, VFIO, Name
from tests.actors.core_hands import (
    ANY,
    KVM,
    MACHINE,
    VDCM,
    attach,
    called,
    empty,
    facts,
    free,
    get,
    hand,
    heard,
    is_at_rest,
    life,
    names,
    pairs,
    put,
    register,
    replies,
    reply,
)

ALL = (KVM, VDCM, IOMMU)


# --- Chains ---------------------------------------------------------------------------------------


def test_free_calls_one_after_the_other_by_priority_over_both_chains() -> None:
    """The global chain was registered first; CPU, DEVICE, IOMMU is the order all the same (S19)."""
    core = heard(ALL, data=True)
    first = free(core)
    payload = (1, 1, INVALID_PASID, 1, "vm1", 77)
    assert pairs(first) == [(KVM, NotifyFree(1, *payload)), (VFIO, Done(5))]
    assert first.facts[4:7] == [
        NotificationSent("FREE", 1, 1, 1, "vm1"),
        MemoryUsed("notifier", f"{KVM}/vm1"),
        SubscriberCalled("FREE", 1, 1, KVM, "vm1", 3),
    ]

    second = reply(core, first, Verdict.DONE)
    assert pairs(second) == [(VDCM, NotifyFree(1, *payload))]
    assert second.facts[0] == SubscriberAnswered("FREE", 1, 1, KVM, "DONE")
    third = reply(core, second)
    assert pairs(third) == [(IOMMU, NotifyFree(1, *payload))]
    assert facts(third, SubscriberCalled) == [SubscriberCalled("FREE", 1, 1, IOMMU, "", 1)]
    assert pairs(reply(core, third)) == []
    assert is_at_rest(core)


def test_bind_calls_in_the_opposite_order() -> None:
    """KVM lets the guest in: by then each VDCM has the right to submit, and will drain (R8)."""
    core = heard()
    told = [name for step in replies(core, attach(core)) for name in names(step)]
    assert told == [(VDCM, "NotifyBind"), (KVM, "NotifyBind")]
    told = [name for step in replies(core, hand(core, DetachSpid(7, 1, 1))) for name in names(step)]
    assert told == [(KVM, "NotifyUnbind"), (VDCM, "NotifyUnbind")]


def test_alloc_bind_and_unbind_go_to_the_set_only() -> None:
    core = heard((KVM, IOMMU))
    for message in (AllocPasid(1, 1, *ANY), AttachSpid(6, 1, 1, 33), DetachSpid(7, 1, 1)):
        outs = replies(core, hand(core, message))
        assert [name for out in outs for name, _ in called(out)] == [KVM]


def test_equal_priorities_are_called_in_the_order_of_registration_over_both_chains() -> None:
    core = empty()
    register(core, "b", Priority.LAST)
    hand(core, RegisterNotifierMm(1, "vm1", Priority.LAST), "a")
    register(core, "c", Priority.LAST)
    hand(core, AllocSet(1, "vm1", 4))
    replies(core, hand(core, AllocPasid(1, 1, *ANY)))
    get(core, "svm")
    told = [name for step in replies(core, free(core)) for name, _ in called(step)]
    assert told == ["b", "a", "c"]


def test_a_subscriber_hears_nothing_of_another_mms_set() -> None:
    core = heard((KVM, VDCM))
    hand(core, AllocSet(1, "vm2", 2))
    assert called(hand(core, AllocPasid(1, 2, *ANY))) == []


@pytest.mark.parametrize("verdict", list(Verdict))
def test_no_verdict_stops_the_chain(verdict: Verdict) -> None:
    core = heard()
    assert names(reply(core, free(core), verdict)) == [(VDCM, "NotifyFree")]


def test_a_transition_waits_until_the_chain_before_it_is_through() -> None:
    core = heard()
    bind = attach(core)
    freed = free(core)
    assert pairs(freed) == [(VFIO, Done(5))]
    assert facts(freed, NotificationSent) == []

    last = replies(core, reply(core, bind))
    told = [(name, kind) for out in last for name, kind in names(out)]
    assert told == [(KVM, "NotifyBind"), (KVM, "NotifyFree"), (VDCM, "NotifyFree")]
    assert [fact.spid for out in last for fact in facts(out, NotificationSent)] == [33]


def test_who_is_on_a_chain_is_settled_when_its_turn_comes() -> None:
    core = heard()
    bind = attach(core)
    free(core)
    register(core, IOMMU, Priority.IOMMU)
    hand(core, UnregisterNotifier(2, "vm1"), VDCM)
    told = [(name, kind) for out in replies(core, bind) for name, kind in names(out)]
    assert told == [
        (VDCM, "NotifyBind"),
        (KVM, "NotifyBind"),
        (KVM, "NotifyFree"),
        (IOMMU, "NotifyFree"),
    ]


def test_who_unregisters_in_the_middle_of_a_chain_is_not_called_by_it() -> None:
    core = heard()
    out = free(core)
    hand(core, UnregisterNotifier(2, "vm1"), VDCM)
    assert called(reply(core, out)) == []
    assert is_at_rest(core)


def test_chains_of_two_pasids_run_at_once_each_under_its_own_call() -> None:
    core = heard((KVM,))
    two = hand(core, AllocPasid(1, 1, *ANY))
    freed = free(core)
    three = hand(core, AllocPasid(1, 1, *ANY))
    assert [message.call for out in (two, freed, three) for _, message in called(out)] == [1, 2, 3]
    reply(core, freed)
    assert core.calls == [2, 0, 3]
    bind = hand(core, AttachSpid(6, 1, 1, 5), IOMMU)
    assert pairs(bind) == [(IOMMU, Refused(6, Errno.EBUSY))]
    get(core, "svm")
    four = hand(core, AllocPasid(1, 1, *ANY))
    assert [message.call for _, message in called(four)] == [2]
    for out in (three, two, four):
        reply(core, out)
    assert core.calls == []


def test_the_private_data_told_is_that_of_the_instant_of_the_call() -> None:
    core = heard()
    out = free(core)
    life(core, 1).data = 77
    assert [message.data for _, message in called(out)] == [0]
    assert [message.data for _, message in called(reply(core, out))] == [77]


# --- A life that ends while its chain is under way ------------------------------------------------


def ended() -> tuple[IoasidCore, Name, NotifyReply]:
    """KVM held PASID 1 alone, was told FREE, and put before it replied; its reply is still out."""
    core = heard(ALL)
    get(core, "translation", KVM)
    put(core, "svm")
    ((_, notification),) = called(free(core))
    out = put(core, "translation", KVM)
    assert len(facts(out, PasidReclaimed)) == 1
    assert called(out) == []
    return core, KVM, NotifyReply(notification.call, Verdict.OK)


def test_subscribers_that_are_left_are_not_told_of_a_life_that_is_over() -> None:
    core, kvm, answer = ended()
    out = hand(core, answer, kvm)
    assert pairs(out) == []
    assert out.facts == [SubscriberAnswered("FREE", 1, 1, KVM, "OK")]
    assert is_at_rest(core)


def test_the_next_life_of_the_number_is_told_of_after_the_reply_that_is_still_out() -> None:
    core, kvm, answer = ended()
    out = hand(core, AllocPasid(1, 1, *ANY))
    assert pairs(out) == [(VFIO, AllocPasidGot(1, 1, 2))]
    get(core, "svm")
    bind = attach(core)
    assert called(out) == called(bind) == []

    first = hand(core, answer, kvm)
    assert first.facts[:2] == [
        SubscriberAnswered("FREE", 1, 1, KVM, "OK"),
        NotificationSent("ALLOC", 1, 2, 1, "vm1", 33),
    ]
    outs = replies(core, first)
    told = [(name, kind) for step in outs for name, kind in names(step)]
    assert told == [
        (KVM, "NotifyAlloc"),
        (VDCM, "NotifyAlloc"),
        (VDCM, "NotifyBind"),
        (KVM, "NotifyBind"),
    ]
    assert pairs(outs[-1]) == [(IOMMU, Done(6))]


def test_a_second_life_may_end_before_the_reply_of_the_first_comes() -> None:
    core, kvm, answer = ended()
    hand(core, AllocPasid(1, 1, *ANY))
    attach(core)
    out = hand(core, FreePasid(5, 1, 1, 2))
    assert pairs(out) == [(IOMMU, Refused(6, Errno.ENOENT)), (VFIO, Done(5))]
    assert pairs(hand(core, answer, kvm)) == []
    assert is_at_rest(core)


def test_err_who_waits_for_bind_or_unbind_is_answered_when_the_life_ends() -> None:
    """None of them holds a reference, which a driver does: nobody is left without an answer."""
    core = heard()
    put(core, "svm")
    bind = attach(core)
    assert pairs(hand(core, DetachSpid(7, 1, 1), IOMMU)) == []
    out = free(core)
    assert pairs(out) == [
        (IOMMU, Refused(6, Errno.ENOENT)),
        (IOMMU, Done(7)),
        (VFIO, Done(5)),
    ]
    assert [fact.spid for fact in facts(out, PasidReclaimed)] == [33]
    assert pairs(reply(core, bind)) == []


def test_the_last_pasid_of_a_set_may_go_while_somebody_is_told_of_it() -> None:
    core, kvm, answer = ended()
    hand(core, FreeSet(1, 1))
    hand(core, AllocSet(1, "vm2", 4))
    hand(core, answer, kvm)
    assert is_at_rest(core)


# --- Losses ---------------------------------------------------------------------------------------


def test_a_lost_subscriber_is_bad_now_and_called_no_more_but_holds_what_it_held() -> None:
    core = heard(ALL)
    get(core, "translation", KVM)
    free(core)
    out = hand(core, HostLost(KVM), SUPERVISOR)
    assert out.facts[:3] == [
        NotifierUnregistered(KVM, "vm1"),
        MemoryFreed("notifier", f"{KVM}/vm1"),
        SubscriberAnswered("FREE", 1, 1, KVM, "BAD"),
    ]
    assert names(out) == [(VDCM, "NotifyFree")]
    assert names(reply(core, out)) == [(IOMMU, "NotifyFree")]

    put(core, "svm")
    assert life(core, 1).ledger == {f"{KVM}:translation": 1}


def test_all_notifications_that_the_lost_one_has_are_bad_in_order_of_their_numbers() -> None:
    core = heard((KVM,))
    hand(core, AllocPasid(1, 1, *ANY))
    hand(core, AllocPasid(1, 1, *ANY))
    attach(core)
    out = hand(core, HostLost(KVM), SUPERVISOR)
    assert [fact.pasid for fact in facts(out, SubscriberAnswered)] == [1, 2, 3]
    assert is_at_rest(core)


def test_a_loss_ends_the_waiting_of_a_life_that_is_over() -> None:
    core, _, _ = ended()
    hand(core, HostLost(KVM), SUPERVISOR)
    assert is_at_rest(core)


def test_what_a_lost_one_had_sent_comes_too_late() -> None:
    """Its reply must not be taken for the reply of who has its call now."""
    core = heard()
    free(core)
    out = hand(core, HostLost(KVM), SUPERVISOR)
    for call in (-1, 0, 1, 2):
        assert hand(core, NotifyReply(call, Verdict.OK), KVM).facts == []
    assert called(reply(core, out)) == []

    out = hand(core, RegisterNotifierMm(1, "vm2", Priority.CPU), KVM)
    assert out.facts == []
    assert [block.subscriber for block in core.blocks] == [VDCM]


def test_a_put_of_a_lost_one_that_was_under_way_still_counts() -> None:
    core = heard((KVM,))
    get(core, "translation", KVM)
    hand(core, HostLost(KVM), SUPERVISOR)
    hand(core, PutPasid(1, 1, 1, "translation"), KVM)
    assert life(core, 1).ledger == {"iommu:svm": 1}


# --- Flaws that were published --------------------------------------------------------------------


class GlobalFirst(IoasidCore):
    """The global chain before the set's, whatever the priorities."""

    def rank(self, block: Block) -> tuple[int, ...]:
        return (block.token != "", -block.priority)

    def stops_chain(self, verdict: Verdict) -> bool:
        return verdict is Verdict.BAD


def test_a_defect_can_bring_back_the_order_of_chains_and_the_veto() -> None:
    core = GlobalFirst.of(MACHINE, CORE)
    hand(core, RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    register(core, IOMMU, Priority.IOMMU)
    hand(core, AllocSet(1, "vm1", 4))
    replies(core, hand(core, AllocPasid(1, 1, *ANY)))
    get(core, "svm")
    out = free(core)
    assert names(out) == [(IOMMU, "NotifyFree")]
    assert called(reply(core, out, Verdict.BAD)) == []


def test_everything_under_way_survives_being_stored() -> None:
    core = heard(ALL)
    hand(core, AllocPasid(1, 1, *ANY))
    bind = attach(core)
    hand(core, DetachSpid(7, 1, 1), IOMMU)
    free(core)
    hand(core, HostLost("vm2.kvm"), SUPERVISOR)
    restored = msgspec.msgpack.decode(msgspec.msgpack.encode(core), type=IoasidCore)
    assert restored == core
    assert isinstance(called(bind)[0][1], NotifyBind)

    answer = NotifyReply(called(bind)[0][1].call, Verdict.OK)
    for one in (core, restored):
        hand(one, answer, KVM)
        hand(one, FreeAllInSet(1, 1))
    assert restored == core
