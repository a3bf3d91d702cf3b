"""N14: a sleep under a spinlock, or in an atomic chain, stops a CPU for good (S5, S20).

A caller is still atomic in what it calls: its thread is followed into the core.
"""

from typing import ClassVar, assert_never

from protocol.facts import (
    Event,
    LockReleased,
    LockTaken,
    LockWaited,
    NotificationAnswered,
    NotificationHandled,
    SleepMay,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import CORE
from protocol.properties.property import Kind, Owed, Thing, Thread, said, thread_of, when


class AtomicCodeNeverSleeps:
    """Nobody sleeps, or takes a mutex, in a notification handler or under a spinlock."""

    name: ClassVar[str] = "atomic-code-never-sleeps"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N14"
    source: ClassVar[str] = "v3 01/14 and V4 ioasid.rst, notifications; V4 13/18"
    observes: ClassVar[tuple[type[Event], ...]] = (
        NotificationHandled,
        NotificationAnswered,
        LockTaken,
        LockWaited,
        LockReleased,
        SleepMay,
    )

    def __init__(self, machine: Machine) -> None:
        self.atomic: dict[Thread, dict[Thing, None]] = {}
        """Of a thread, why it may not sleep now."""
        self.blocking = False
        """The core's lock is a mutex: so its chains are blocking ones, and handlers may sleep."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is LockTaken:
            if fact.kind == "mutex":
                self.blocking = self.blocking or record.stamp.actor == CORE
                return self._slept(record, fact) if self.atomic else None
            self._enter(record, fact.task, ("with {} {} held", fact.kind, fact.lock))
        elif type(fact) is LockReleased:
            if fact.kind != "mutex":
                self._leave(record, fact.task, ("with {} {} held", fact.kind, fact.lock))
        elif type(fact) is NotificationHandled and not self.blocking:
            self._enter(record, fact.task, ("in its {} handler", fact.notification))
        elif type(fact) is NotificationAnswered:
            self._leave(record, fact.task, ("in its {} handler", fact.notification))
        elif type(fact) is SleepMay:
            return self._slept(record, fact) if self.atomic else None
        if type(fact) is LockWaited and fact.kind == "mutex":
            return self._slept(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _enter(self, record: Record, task: str, why: Thing) -> None:
        key = thread_of(record.stamp.actor, task)
        reasons = self.atomic.get(key)
        if reasons is None:
            self.atomic[key] = {why: None}
        else:
            reasons[why] = None

    def _leave(self, record: Record, task: str, why: Thing) -> None:
        if not self.atomic:
            return  # A mutex is no reason.
        key = thread_of(record.stamp.actor, task)
        reasons = self.atomic.get(key)
        if reasons is not None:
            reasons.pop(why, None)
            if not reasons:
                del self.atomic[key]

    def _slept(self, record: Record, fact: LockTaken | LockWaited | SleepMay) -> str | None:
        reasons = self.atomic.get(thread_of(record.stamp.actor, fact.task))
        if reasons is None:
            return None
        match fact:
            case LockTaken():
                what = f"took mutex {fact.lock}"
            case LockWaited():
                what = f"waits for mutex {fact.lock}"
            case SleepMay():
                what = f"may sleep ({fact.where})"
            case _:
                assert_never(fact)
        return (
            f"{record.stamp.actor} {what} in task {fact.task} at {when(record.stamp)}, "
            f"{' and '.join(said(why) for why in reasons)}"
        )
