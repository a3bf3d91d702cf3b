"""Small actors and properties for tests of the worlds: users of one counter, and what it owes them.

A user takes a ticket, gives it back, and takes the next, `rounds` times.  The counter has `count`
tickets; who finds none left is refused, and tries again at a timer.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Self, TypeAlias, assert_never

from clusters.cluster import Actor
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import Event, MemoryAllocated, PasidAllocated, PasidReclaimed, SiteFailed
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    Done,
    FreePasid,
    HostLost,
    Refused,
    Start,
    TimerFired,
)
from protocol.names import Name
from protocol.properties.property import Kind, Owed, since

NOTHING = Machine((), (), ())
COUNTER = "counter"
NO_MEMORY = Site("counter.alloc.memory", Errno.ENOMEM)

CounterInbox: TypeAlias = Start | HostLost | AllocPasid | FreePasid
UserInbox: TypeAlias = Start | HostLost | TimerFired | AllocPasidGot | Done | Refused


@dataclass(slots=True)
class Counter:
    """`lives` counts how often each ticket went out."""

    SITES: ClassVar[tuple[Site, ...]] = (NO_MEMORY,)
    LOSABLE: ClassVar[bool] = False

    count: int
    holders: dict[int, Name] = field(default_factory=dict)
    lives: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls(machine.pasids)

    def handle(self, message: CounterInbox, sender: Name, out: Out) -> None:
        match message:
            case Start():
                pass
            case HostLost():
                for ticket in [t for t, holder in self.holders.items() if holder == message.name]:
                    self.reclaim(ticket, out)
            case AllocPasid():
                self.on_alloc_pasid(message, sender, out)
            case FreePasid():
                self.reclaim(message.pasid, out)
                out.send(sender, Done(message.call))
            case _:
                assert_never(message)

    def on_alloc_pasid(self, alloc: AllocPasid, sender: Name, out: Out) -> None:
        if errno := out.may_fail(NO_MEMORY):
            out.send(sender, Refused(alloc.call, errno))
            return
        free = [t for t in range(1, self.count + 1) if t not in self.holders]
        if not free:
            out.send(sender, Refused(alloc.call, Errno.ENOSPC))
            return
        ticket = free[out.draw(len(free))]
        self.holders[ticket] = sender
        self.lives[ticket] = life = self.lives.get(ticket, 0) + 1
        out.record(PasidAllocated(ticket, life, 0, sender, len(self.holders)))
        out.send(sender, AllocPasidGot(alloc.call, ticket, life))

    def reclaim(self, ticket: int, out: Out) -> None:
        del self.holders[ticket]
        life = self.lives[ticket]
        out.record(PasidReclaimed(ticket, life, 0, 0, (), 0, 0, len(self.holders)))


@dataclass(slots=True)
class User:
    """`ticket` is the one it holds, 0: none."""

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = True

    rounds: int
    ticket: int = 0
    life: int = 0

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls(machine.quota)

    def handle(self, message: UserInbox, sender: Name, out: Out) -> None:
        match message:
            case Start() | TimerFired():
                out.send(COUNTER, AllocPasid(1, 0, 1, 8))
            case HostLost():
                pass  # Whoever it was, the counter knows.
            case Refused():
                out.set_timer("again")
            case AllocPasidGot():
                self.ticket, self.life = message.pasid, message.incarnation
                out.send(COUNTER, FreePasid(1, 0, self.ticket, self.life))
            case Done():
                self.on_done(out)
            case _:
                assert_never(message)

    def on_done(self, out: Out) -> None:
        self.ticket = self.life = 0
        self.rounds -= 1
        if self.rounds:
            out.send(COUNTER, AllocPasid(1, 0, 1, 8))


@dataclass(slots=True)
class ForgetfulUser(User):
    """Every second ticket is never given back."""

    def on_done(self, out: Out) -> None:
        User.on_done(self, out)
        if self.rounds == 1:
            self.rounds = 0


def cast(users: int = 3, rounds: int = 2, tickets: int = 2) -> dict[Name, Actor]:
    actors: dict[Name, Actor] = {COUNTER: Counter(tickets)}
    return actors | {f"user{k}": User(rounds) for k in range(1, users + 1)}


class NoThirdLife:
    """A ticket is not given out a third time."""

    name: ClassVar[str] = "no-third-life"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T1"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidAllocated,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if isinstance(fact, PasidAllocated) and fact.incarnation > 2:
            return f"ticket {fact.pasid} was given out a third time"
        return None

    def unmet(self) -> list[Owed]:
        return []


class AllComeBack:
    """Every ticket comes back."""

    name: ClassVar[str] = "all-come-back"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "T2"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidAllocated, PasidReclaimed)

    def __init__(self, machine: Machine) -> None:
        self.out: dict[int, tuple[Record, PasidAllocated]] = {}

    def observe(self, record: Record) -> str | None:
        match record.fact:
            case PasidAllocated(ticket) as fact:
                self.out[ticket] = (record, fact)
            case PasidReclaimed(ticket):
                del self.out[ticket]
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"ticket {ticket} is out", since(record.stamp), (fact.token,))
            for ticket, (record, fact) in self.out.items()
        ]


class NoFailure:
    """There is always memory."""

    name: ClassVar[str] = "no-failure"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "T3"
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (SiteFailed,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        return f"{record.stamp.actor} found no memory"

    def unmet(self) -> list[Owed]:
        return []


class Shortage:
    """Somebody found no memory."""

    name: ClassVar[str] = "shortage"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "none"
    observes: ClassVar[tuple[type[Event], ...]] = (SiteFailed, MemoryAllocated)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        return f"at {record.stamp.actor}"

    def unmet(self) -> list[Owed]:
        return []
