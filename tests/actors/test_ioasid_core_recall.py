"""What the core tells a subscriber that has forgotten: its references, its blocks, what it owes."""

from protocol.facts.amnesia import PutUnheld
from protocol.messages import NotifyReply, PutPasidGot, Verdict
from protocol.messages.amnesia import HeldReference, RecallLedger, RecallLedgerGot
from tests.actors.core_hands import (
    KVM,
    VDCM,
    attach,
    called,
    empty,
    facts,
    free,
    get,
    hand,
    heard,
    pairs,
    put,
    reply,
)

RECALL = RecallLedger(7)


def test_a_stranger_has_nothing() -> None:
    assert pairs(hand(empty(), RECALL, KVM)) == [(KVM, RecallLedgerGot(7, (), (), ()))]


def test_each_is_told_of_its_own_references_and_blocks_and_nothing_changes() -> None:
    core = heard()
    get(core, "translation", KVM)
    get(core, "vm1:wq", VDCM)
    get(core, "vm1:wq", VDCM)
    before = repr(core)
    mine = HeldReference(1, 1, "translation", 1)
    its = HeldReference(1, 1, "vm1:wq", 2)
    assert pairs(hand(core, RECALL, KVM)) == [(KVM, RecallLedgerGot(7, (mine,), ("vm1",), ()))]
    assert pairs(hand(core, RECALL, VDCM)) == [(VDCM, RecallLedgerGot(7, (its,), ("vm1",), ()))]
    assert repr(core) == before


def test_what_it_was_called_with_is_told_until_it_has_replied() -> None:
    """Whoever is not called yet will be: that is told to nobody."""
    core = heard(data=True)
    out = attach(core)
    ((first, bind),) = called(out)
    assert first == VDCM
    ((_, told),) = pairs(hand(core, RECALL, VDCM))
    assert told == RecallLedgerGot(7, (), ("vm1",), (bind,))  # type: ignore[arg-type]
    ((_, other),) = pairs(hand(core, RECALL, KVM))
    assert other == RecallLedgerGot(7, (), ("vm1",), ())
    reply(core, reply(core, out))
    ((_, told),) = pairs(hand(core, RECALL, VDCM))
    assert told == RecallLedgerGot(7, (), ("vm1",), ())


def test_a_notification_of_a_life_that_is_over_is_still_to_be_replied_to() -> None:
    core = heard((KVM,))
    ((_, notification),) = called(free(core))
    put(core, "svm")
    assert core.lives[1] is None
    ((_, told),) = pairs(hand(core, RECALL, KVM))
    assert told == RecallLedgerGot(7, (), ("vm1",), (notification,))  # type: ignore[arg-type]
    assert pairs(hand(core, NotifyReply(notification.call, Verdict.DONE), KVM)) == []


def test_a_put_of_what_one_does_not_have_is_stated() -> None:
    core = heard()
    out = put(core, "translation", KVM)
    assert pairs(out) == [(KVM, PutPasidGot(9, reclaimed=False))]
    assert facts(out, PutUnheld) == [PutUnheld(1, 1, "vm1.kvm:translation")]
    get(core, "translation", KVM)
    assert facts(put(core, "translation", KVM), PutUnheld) == []
