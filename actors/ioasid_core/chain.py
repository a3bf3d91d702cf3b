"""Notification chains: one transition at a time per PASID, one subscriber at a time (§3.5, §3.6).

The core stays free meanwhile, so a chain outlives many other messages; sometimes it outlives the
PASID.  Then the subscribers that are left hold nothing and are not told; the one that has it
already is waited for, before anything is told of the number's next life.

Kernel: ioasid_notify and the atomic notifier chains of drivers/iommu/ioasid.c, "[PATCH V4 00/18]";
as posted they ran under the allocator's spinlock.
"""

from __future__ import annotations

from bisect import insort
from typing import TYPE_CHECKING, Final

from actors.ioasid_core.notifiers import block_of
from actors.ioasid_core.state import Chain, Notice, Transition, block_object, life_of
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import MemoryUsed, NotificationSent, SubscriberAnswered, SubscriberCalled
from protocol.messages import (
    Done,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyReply,
    NotifyUnbind,
    Refused,
    Verdict,
)
from protocol.names import INVALID_PASID, Call, Gpasid, Name, Pasid

if TYPE_CHECKING:
    from actors.ioasid_core import IoasidCore

NOTIFICATIONS: Final[
    dict[Transition, type[NotifyAlloc | NotifyFree | NotifyBind | NotifyUnbind]]
] = {
    Transition.ALLOC: NotifyAlloc,
    Transition.FREE: NotifyFree,
    Transition.BIND: NotifyBind,
    Transition.UNBIND: NotifyUnbind,
}


def notify(core: IoasidCore, pasid: Pasid, notice: Notice, out: Out) -> None:
    """The chain begins now, or when those of the same number that came before are through."""
    chain = core.chains[pasid]
    if chain is None:
        run(core, pasid, [notice], out)
    else:
        chain.waiting.append(notice)


def run(core: IoasidCore, pasid: Pasid, waiting: list[Notice], out: Out) -> None:
    """Chains begin, one after the other, until one has a subscriber to wait for."""
    while waiting:
        notice = waiting.pop(0)
        if notice.transition is Transition.UNBIND and life_of(core, pasid).spid == INVALID_PASID:
            answer(notice, None, out)  # None attached, or the detach before this one took it.
            continue
        if notice.transition is Transition.BIND and not core.may_bind(pasid):
            core.clear_spid(pasid, out)
            answer(notice, Errno.ENODEV, out)
            continue

        chain = begin(core, pasid, notice, out)
        if call_next(core, pasid, chain, out):
            chain.waiting = waiting
            core.chains[pasid] = chain
            return
        core.chain_done(pasid, chain, out)


def begin(core: IoasidCore, pasid: Pasid, notice: Notice, out: Out) -> Chain:
    """Who is on the chain is settled now, when its turn has come."""
    spid = core.told_spid(pasid, notice.transition, out)
    life = life_of(core, pasid)
    token = core.sets[life.set].token
    name = notice.transition._value_
    out.record(NotificationSent(name, pasid, life.incarnation, life.set, token, spid))

    hearing = [b for b in core.blocks if core.hears(b, notice.transition, life.set)]
    opens = core.lets_in(notice.transition)
    left = [(b.subscriber, b.token) for b in sorted(hearing, key=core.rank, reverse=opens)]
    return Chain(notice, life.incarnation, life.set, token, spid, left)


def lets_in(_core: IoasidCore, transition: Transition) -> bool:
    """Lowest priority first: who lets the guest in is told last, who keeps it out first (R8)."""
    return transition is Transition.BIND


def told_spid(core: IoasidCore, pasid: Pasid, _transition: Transition, _out: Out) -> Gpasid:
    """UNBIND still names the SPID that BIND named (N5)."""
    return life_of(core, pasid).spid


def call_next(core: IoasidCore, pasid: Pasid, chain: Chain, out: Out) -> bool:
    """The next subscriber whose block is still there is called; False if none is left."""
    while chain.left:
        subscriber, token = chain.left.pop(0)
        block = block_of(core, subscriber, token)
        if block is None:
            continue  # Unregistered or lost while the others were called.

        chain.subscriber, chain.call = subscriber, take_call(core, pasid)
        name, life = chain.notice.transition._value_, chain.incarnation
        out.record(MemoryUsed("notifier", block_object(subscriber, token)))
        out.record(SubscriberCalled(name, pasid, life, subscriber, token, int(block.priority)))
        notification = NOTIFICATIONS[chain.notice.transition]
        payload = (chain.spid, chain.set, chain.token, life_of(core, pasid).data)
        out.send(subscriber, notification(chain.call, pasid, life, *payload))
        return True
    return False


def on_notify_reply(core: IoasidCore, reply: NotifyReply, sender: Name, out: Out) -> None:
    """The one before has replied: the next is called."""
    known = 0 < reply.call <= len(core.calls)
    pasid = core.calls[reply.call - 1] if known else 0
    chain = core.chains[pasid]
    if chain is None or chain.subscriber != sender:
        return  # From one who was lost meanwhile: BAD has been taken for it.

    core.answered(pasid, chain, reply.verdict, out)


def answered(core: IoasidCore, pasid: Pasid, chain: Chain, verdict: Verdict, out: Out) -> None:
    """The verdict is remembered, and stops nobody (mends S41)."""
    name, who = chain.notice.transition._value_, chain.subscriber
    out.record(SubscriberAnswered(name, pasid, chain.incarnation, who, verdict._value_))
    give_call(core, chain.call)
    chain.bad = chain.bad or verdict is Verdict.BAD
    if core.stops_chain(verdict):
        chain.left.clear()
    if call_next(core, pasid, chain, out):
        return

    core.chains[pasid] = None
    if not chain.over:
        core.chain_done(pasid, chain, out)
    run(core, pasid, chain.waiting, out)


def stops_chain(_core: IoasidCore, _verdict: Verdict) -> bool:
    """A notification cannot be refused (§1.8)."""
    return False


def chain_done(core: IoasidCore, pasid: Pasid, chain: Chain, out: Out) -> None:
    """Everybody has been told: an SPID goes now, and who asked is answered (§3.6)."""
    if chain.notice.transition is Transition.UNBIND:
        core.clear_spid(pasid, out)
    failed = chain.bad and chain.notice.transition is Transition.BIND
    answer(chain.notice, Errno.ENOMEM if failed else None, out)


def end_chain(core: IoasidCore, pasid: Pasid, out: Out) -> None:
    """The life is over: nobody is told any more, and whoever waits is answered.

    An SPID that was to go has gone, one that was to come cannot.  A reply that is out is still
    awaited, because the number may soon live again.
    """
    chain = core.chains[pasid]
    if chain is None:
        return

    for notice in (chain.notice, *chain.waiting):
        answer(notice, Errno.ENOENT if notice.transition is Transition.BIND else None, out)
    chain.notice.asker = ""
    chain.left.clear()
    chain.waiting.clear()
    chain.over = True


def answer(notice: Notice, errno: Errno | None, out: Out) -> None:
    """One answer to whoever asked for the transition, if anybody waits for it."""
    if notice.asker:
        out.send(notice.asker, Done(notice.call) if errno is None else Refused(notice.call, errno))


def take_call(core: IoasidCore, pasid: Pasid) -> Call:
    """The smallest number that no notification on its way has."""
    if core.unused:
        call = core.unused.pop(0)
        core.calls[call - 1] = pasid
        return call
    core.calls.append(pasid)
    return len(core.calls)


def give_call(core: IoasidCore, call: Call) -> None:
    """It is free; free ones at the end leave nothing behind."""
    core.calls[call - 1] = 0
    insort(core.unused, call)
    while core.calls and core.calls[-1] == 0:
        core.calls.pop()
        core.unused.pop()
