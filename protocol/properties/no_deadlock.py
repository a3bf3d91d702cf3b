"""L5: whoever waits for a lock gets it, so the holders of locks wait in no circle (S4).

The core's chain runs in the thread of whoever called it, so a handler that waits for a lock keeps
that thread waiting, and with it everybody who waits for the core's lock.
"""

from typing import ClassVar

from protocol.facts import Event, LockReleased, LockTaken, LockWaited, ThreadEntered
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import CORE
from protocol.properties.property import Kind, Owed, Thread, thread_of, when


class NoDeadlock:
    """No thread waits for a lock whose holder, at the end of a chain of waits, waits for it."""

    name: ClassVar[str] = "no-deadlock"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "L5"
    source: ClassVar[str] = "J.-P. Brucker on v1, 1 Apr 2020; v1 08/10 and 10/10, their two locks"
    observes: ClassVar[tuple[type[Event], ...]] = (
        LockTaken,
        LockReleased,
        LockWaited,
        ThreadEntered,
    )

    def __init__(self, machine: Machine) -> None:
        self.holders: dict[str, Thread] = {}
        self.waiting: dict[Thread, str] = {}
        self.callers = Callers()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is LockTaken:
            thread = self.callers.thread(record, fact)
            self.holders[fact.lock] = thread
            if thread in self.waiting:
                del self.waiting[thread]
        elif type(fact) is LockReleased:
            self.callers.let_go(record)
            self.holders.pop(fact.lock, None)
        elif type(fact) is LockWaited:
            thread = self.callers.thread(record, fact)
            self.waiting[thread] = fact.lock
            return self._circle(record, thread)
        elif type(fact) is ThreadEntered:
            self.callers.entered(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _circle(self, record: Record, first: Thread) -> str | None:
        """From a thread to the lock that it waits for, to who holds that, and so on."""
        words: list[str] = []
        thread = first
        while len(words) <= len(self.waiting):
            lock = self.waiting.get(thread)
            holder = None if lock is None else self.holders.get(lock)
            if lock is None or holder is None:
                return None
            words.append(f"{thread} waits for {lock}, held by {holder}")
            if holder == first:
                return f"deadlock at {when(record.stamp)}: {'; '.join(words)}"
            thread = holder
        return None  # A circle of others, which was said when it closed.


class Callers:
    """In whose thread a subscriber's handler runs: who holds the core's lock while chains run.

    One chain runs at a time then.  A core that holds no lock meanwhile lends nobody a thread.
    In the modern stack an actor says whose thread a task of its own runs in.
    """

    __slots__ = ("holder", "threads")

    def __init__(self) -> None:
        self.holder: Thread = ""
        self.threads: dict[Thread, Thread] = {}

    def entered(self, record: Record, fact: ThreadEntered) -> None:
        """Until the task of that number is another."""
        whose = thread_of(record.stamp.actor, fact.thread)
        task = thread_of(record.stamp.actor, fact.task)
        self.threads[task] = self.threads.get(whose, whose)

    def thread(self, record: Record, fact: LockTaken | LockWaited | LockReleased) -> Thread:
        """Who does this; who holds the core's lock is remembered on the way."""
        actor = record.stamp.actor
        thread = thread_of(actor, fact.task)
        if actor == CORE and type(fact) is LockTaken:
            self.holder = thread
        elif self.holder and fact.task.startswith("notify:"):
            return self.holder
        return self.threads.get(thread, thread) if self.threads else thread

    def let_go(self, record: Record) -> None:
        """After the core's lock nobody's handler runs in anybody's thread."""
        if self.holder and record.stamp.actor == CORE:
            self.holder = ""
