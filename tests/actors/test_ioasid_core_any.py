"""What holds of the IOASID core whatever it is handed, in any order."""

from random import Random

import msgspec
import pytest

from actors.ioasid_core import Inbox, IoasidCore
from protocol.facts import (
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
    SubscriberAnswered,
    SubscriberCalled,
)
from protocol.lifecycle import State
from protocol.messages import (
    AllocPasid,
    AllocSet,
    AttachData,
    AttachSpid,
    DetachData,
    DetachSpid,
    FindBySpid,
    FindPasid,
    FreeAllInSet,
    FreePasid,
    FreeSet,
    GetIfOwned,
    GetPasid,
    HostLost,
    Notification,
    NotifyReply,
    Priority,
    PutPasid,
    RegisterNotifier,
    RegisterNotifierMm,
    UnregisterNotifier,
    Verdict,
)
from protocol.names import CORE, INVALID_PASID, IOMMU, NO_SET, SUPERVISOR, VFIO, Name
from tests.actors.core_hands import ANY, KVM, MACHINE, VDCM, facts, hand, is_at_rest, pairs

STEPS = 250
SUBSCRIBERS = (KVM, VDCM, IOMMU)


class Any:
    """A core among callers without manners, and what is known of it from its messages and facts."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.core = IoasidCore.of(MACHINE, CORE)
        self.told: list[tuple[Name, Notification]] = []
        self.owed: list[tuple[Name, int]] = []
        self.ledger: dict[int, dict[str, int]] = {}
        self.calls = 0

    def request(self) -> Inbox:
        """Any request at all, of few PASIDs, sets and SPIDs."""
        pick = self.random.randint
        self.calls += 1
        call, number, pasid, spid = self.calls, pick(0, 3), pick(1, 4), pick(30, 31)
        reason, mm = self.random.choice(("svm", "owner")), self.random.choice(("vm1", "vm2"))
        many: list[Inbox] = [
            AllocSet(call, mm, pick(0, 3)),
            FreeSet(call, number),
            FreePasid(call, number, pasid, 0),
            FreeAllInSet(call, number),
            GetIfOwned(call, mm, pasid, 0, reason),
            FindPasid(call, number, pasid),
            FindBySpid(call, mm, spid, reason),
            DetachSpid(call, pasid, 0),
            AttachData(call, pasid, 0, 5),
            DetachData(call, pasid, 0),
            RegisterNotifier(call, NO_SET, Priority.IOMMU),
            RegisterNotifierMm(call, mm, Priority.CPU),
            UnregisterNotifier(call, self.random.choice(("", mm))),
            *[AllocPasid(call, number or 1, *ANY)] * 3,
            *[GetPasid(call, NO_SET, pasid, 0, reason)] * 3,
            *[PutPasid(call, pasid, 0, reason)] * 5,
            *[AttachSpid(call, pasid, 0, spid)] * 2,
        ]
        return self.random.choice(many)

    def step(self) -> None:
        """A reply, or a request of somebody."""
        if self.told and self.random.random() < 0.5:
            name, notification = self.told.pop(self.random.randrange(len(self.told)))
            verdict = self.random.choice(list(Verdict))
            self.hand(NotifyReply(notification.call, verdict), name)
            return

        sender = self.random.choice((*SUBSCRIBERS, VFIO))
        request = self.request()
        self.owed.append((sender, self.calls))
        self.hand(request, sender)

    def hand(self, message: Inbox, sender: Name) -> None:
        """The same from the core and from a copy of it that was stored."""
        copy = restored(self.core)
        out = hand(self.core, message, sender)
        again = hand(copy, message, sender)
        assert (again.effects, again.facts) == (out.effects, out.facts)
        assert copy == self.core

        for to, sent in pairs(out):
            if isinstance(sent, Notification):
                self.told.append((to, sent))
            else:
                self.owed.remove((to, sent.call))  # type: ignore[union-attr]
        for fact in out.facts:
            match fact:
                case PasidAllocated():
                    assert fact.pasid not in self.ledger
                    self.ledger[fact.pasid] = {}
                case ReferenceTaken():
                    held = self.ledger[fact.pasid]
                    held[fact.holder] = held.get(fact.holder, 0) + 1
                    assert fact.refs == sum(held.values())
                    assert fact.state != State.FREE_PENDING.value
                case ReferenceDropped():
                    held = self.ledger[fact.pasid]
                    held[fact.holder] -= 1
                    assert held[fact.holder] >= 0
                    assert fact.refs == sum(held.values())
                case StateChanged():
                    assert fact.refs == sum(self.ledger[fact.pasid].values())
                case PasidReclaimed():
                    assert sum(self.ledger.pop(fact.pasid).values()) == fact.refs == 0
        self.check()

    def check(self) -> None:
        """Sums, and one place for everything."""
        core = self.core
        taken = [n for n in range(1, 9) if not core.numbers[0][0] >> n & 1]
        assert taken == sorted(self.ledger) == [n for n in range(9) if core.lives[n]]
        quotas = sum(ioasids.quota for ioasids in core.sets.values())
        assert quotas + core.reserved + core.available == core.capacity
        for number, ioasids in core.sets.items():
            members = [life for life in core.lives if life and life.set == number]
            assert ioasids.count == len(members) <= ioasids.quota
            assert ioasids.spids == sorted(ioasids.spids)
            assert [spid for spid, _ in ioasids.spids] == sorted(
                life.spid for life in members if life.spid != INVALID_PASID
            )
        assert sorted(call for _, sent in self.told for call in [sent.call]) == [
            index + 1 for index, pasid in enumerate(core.calls) if pasid
        ]

    def calm_down(self) -> None:
        """Every subscriber replies; then nobody waits for anything."""
        while self.told:
            name, notification = self.told.pop(0)
            self.hand(NotifyReply(notification.call, Verdict.DONE), name)
        assert self.owed == []
        assert is_at_rest(self.core)


def restored(core: IoasidCore) -> IoasidCore:
    """As from a journal's snapshot."""
    stored = msgspec.msgpack.encode(core)
    copy = msgspec.msgpack.decode(stored, type=IoasidCore)
    assert copy == core
    assert msgspec.msgpack.encode(copy) == stored
    return copy


@pytest.mark.parametrize("seed", range(6))
def test_every_request_is_answered_once_and_the_sums_hold(seed: int) -> None:
    world = Any(seed)
    for _ in range(STEPS):
        world.step()
    world.calm_down()


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_in_the_middle_leaves_nobody_waiting(seed: int) -> None:
    world = Any(seed)
    for _ in range(STEPS):
        world.step()
    for lost in (KVM, VDCM):
        out = hand(world.core, HostLost(lost), SUPERVISOR)
        world.told = [(name, sent) for name, sent in world.told if name != lost]
        world.told += [(to, sent) for to, sent in pairs(out) if isinstance(sent, Notification)]
        answered = [(to, sent) for to, sent in pairs(out) if not isinstance(sent, Notification)]
        for to, sent in answered:
            world.owed.remove((to, sent.call))  # type: ignore[union-attr]
        called = [fact.subscriber for fact in facts(out, SubscriberCalled)]
        assert lost not in called
        assert {fact.verdict for fact in facts(out, SubscriberAnswered)} <= {"BAD"}
    world.calm_down()
