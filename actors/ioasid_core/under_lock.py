"""The core as it was posted: it holds its lock until a notification chain has run.

Whoever calls the core meanwhile waits, in order of calling; so does the caller whose call it is.
Nobody else comes in but the subscriber that is called at that moment, with `ioasid_get_locked` and
`ioasid_put_locked`, and what takes no lock: `ioasid_find` and `ioasid_queue_work`.  A get or put of
the same PASID that this subscriber had sent from elsewhere just before is taken for its handler's.

Who holds and who waits is stated as the caller's thread, `caller/call` (§1.6).

Kernel: ioasid_allocator_lock in drivers/iommu/ioasid.c, a mutex in v1 (25 Mar 2020), a spinlock
with atomic chains from v2 (21 Aug 2020) to V4 (27 Feb 2021) and in the Intel data-centre kernel.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final

from msgspec import Struct

from actors.ioasid_core import IoasidCore
from actors.ioasid_core.inbox import Inbox
from actors.ioasid_core.state import Block, Notice, Transition
from protocol.effects import Out
from protocol.facts import FreeAnswered, LockReleased, LockTaken, LockWaited
from protocol.messages import (
    AnyMessage,
    Done,
    FindPasid,
    FreeAllInSet,
    GetPasid,
    HostLost,
    NotifyReply,
    PutPasid,
    QueueWork,
    Start,
)
from protocol.names import NO_SET, Incarnation, Name, Pasid

LOCK: Final = "ioasid_allocator_lock"


class Waiting(Struct, frozen=True):
    """A call that waits for the lock."""

    caller: Name
    message: Inbox


class Reply(Struct, frozen=True):
    """An answer that is given when the lock is let go."""

    to: Name
    message: AnyMessage


@dataclass(slots=True)
class IoasidCoreUnderLock(IoasidCore):
    """`holder` is the thread that holds the lock, "" exactly while no chain runs.

    `waiting` are calls, in order.  `returning` are frees and `replies` answers that come with the
    end of the chain, `left` what a free of a whole set has still to free, for `freer` in `freed`.
    """

    KIND: ClassVar[str] = "spinlock"
    RECALLS_NOT: ClassVar[str] = "the core hears nobody while one that it notifies has not answered"

    holder: str = ""
    caller: str = ""
    waiting: list[Waiting] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    returning: list[tuple[Pasid, Incarnation, Name]] = field(default_factory=list)
    left: list[Pasid] = field(default_factory=list)
    freed: int = NO_SET
    freer: Name = ""

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        """In, or in line; then whatever the end of a chain makes possible."""
        if self.holder and not self.enters(message, sender):
            self.waiting.append(Waiting(sender, message))
            out.record(LockWaited(LOCK, self.KIND, thread(sender, message)))
            return

        self.caller = thread(sender, message)
        IoasidCore.handle(self, message, sender, out)
        self.go_on(out)
        self.caller = ""

    def enters(self, message: Inbox, sender: Name) -> bool:
        """What the chain itself brings, and what takes no lock."""
        match message:
            case GetPasid() | PutPasid():
                return self.is_locked_call(message.pasid, sender)
            case NotifyReply() | QueueWork() | FindPasid() | HostLost() | Start():
                return True
            case _:
                return False

    def is_locked_call(self, pasid: Pasid, sender: Name) -> bool:
        """From the handler that runs now, about the PASID that it is called for."""
        chain = self.chains[pasid] if 0 < pasid < len(self.chains) else None
        return chain is not None and chain.subscriber == sender

    def go_on(self, out: Out) -> None:
        """Where no notification is out: the rest of a set, the end, and the next in line."""
        while not self.calls:
            if self.left:
                self.free(self.left.pop(0), self.freed, self.freer, out)
                continue
            if self.holder:
                self.let_lock_go(out)
            if not self.waiting:
                return
            one = self.waiting.pop(0)
            self.caller = thread(one.caller, one.message)
            self.take_lock(out)
            IoasidCore.handle(self, one.message, one.caller, out)

    def take_lock(self, out: Out) -> None:
        """For the caller; a call that tells nobody anything holds it for no time at all."""
        if not self.holder:
            self.holder = self.caller
            out.record(LockTaken(LOCK, self.KIND, self.holder))

    def let_lock_go(self, out: Out) -> None:
        """The call whose chain it was returns."""
        for pasid, incarnation, by in self.returning:
            out.record(FreeAnswered(pasid, incarnation, by))
        out.record(LockReleased(LOCK, self.KIND, self.holder))
        for reply in self.replies:
            out.send(reply.to, reply.message)
        self.holder, self.freed, self.freer = "", NO_SET, ""
        self.returning.clear()
        self.replies.clear()

    def notify(self, pasid: Pasid, notice: Notice, out: Out) -> None:
        """With the lock held."""
        self.take_lock(out)
        IoasidCore.notify(self, pasid, notice, out)

    def reply(self, to: Name, message: AnyMessage, out: Out) -> None:
        """After the chain."""
        if self.holder:
            self.replies.append(Reply(to, message))
        else:
            IoasidCore.reply(self, to, message, out)

    def free_returns(self, pasid: Pasid, incarnation: Incarnation, by: Name, out: Out) -> None:
        """After the chain, too."""
        if self.holder:
            self.returning.append((pasid, incarnation, by))
        else:
            IoasidCore.free_returns(self, pasid, incarnation, by, out)

    def on_free_all_in_set(self, free: FreeAllInSet, sender: Name, out: Out) -> None:
        """One after the other, each with its chain, and the lock is held all the time."""
        self.take_lock(out)
        self.left = [n for n, life in enumerate(self.lives) if life and life.set == free.set]
        self.freed, self.freer = free.set, sender
        self.reply(sender, Done(free.call), out)

    def on_host_lost(self, lost: HostLost, out: Out) -> None:
        """A thread that has died does not wait any more."""
        self.waiting = [one for one in self.waiting if one.caller != lost.name]
        IoasidCore.on_host_lost(self, lost, out)

    def rank(self, block: Block) -> tuple[int, ...]:
        """The global chain is run first, whatever the priorities say; then the set's (S19)."""
        return (block.token != "", -block.priority)

    def lets_in(self, _transition: Transition) -> bool:
        """One order for all transitions."""
        return False


def thread(sender: Name, message: Inbox) -> str:
    """The thread of a caller; what nobody calls needs no lock."""
    return f"{sender}/{getattr(message, 'call', 0)}"
