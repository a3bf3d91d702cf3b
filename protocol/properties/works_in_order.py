"""O14: one ordered queue, so that cleanups keep the order in which the chain asked for them."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event, HostGone, WorkBegun, WorkEnded, WorkLinedUp
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when

Work: TypeAlias = tuple[Name, str]
"""Its owner, and its name there."""


class WorksInOrder:
    """The works of the ordered queue run one at a time, in the order in which they were queued."""

    name: ClassVar[str] = "works-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O14"
    source: ClassVar[str] = "V4 13/18 ioasid_queue_work"
    observes: ClassVar[tuple[type[Event], ...]] = (WorkLinedUp, WorkBegun, WorkEnded, HostGone)

    def __init__(self, machine: Machine) -> None:
        self.queued: list[Work] = []
        self.idle: dict[Work, None] = {}
        """Works on their way to the queue for which there is nothing left to do."""
        self.running: Work | None = None
        self.ended: tuple[Name, int] = ("", 0)
        """Where the last one that ran has ended."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is WorkLinedUp:
            lined = (fact.owner, fact.work)
            if lined in self.idle:
                del self.idle[lined]
            else:
                self.queued.append(lined)
        elif type(fact) is WorkBegun:
            return self._begun(record, (record.stamp.actor, fact.work))
        elif type(fact) is WorkEnded:
            work = (record.stamp.actor, fact.work)
            if work == self.running:
                self.running, self.ended = None, (record.stamp.actor, record.stamp.n)
            elif work in self.queued:
                self.queued.remove(work)  # There is nothing left for it to do.
            else:
                self.idle[work] = None
        elif type(fact) is HostGone:
            self._gone(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _begun(self, record: Record, work: Work) -> str | None:
        running, first = self.running, self.queued[0] if self.queued else work
        self.running = work
        if work in self.queued:
            self.queued.remove(work)
        if running is not None:
            return f"{_named(work)} began at {when(record.stamp)}, while {_named(running)} ran"
        if not record.saw(*self.ended):
            return f"{_named(work)} began at {when(record.stamp)} without waiting for the last one"
        if first != work:
            return f"{_named(work)} began at {when(record.stamp)}, before {_named(first)}"
        return None

    def _gone(self, owner: Name) -> None:
        """The queue goes on without what was lost."""
        self.queued = [work for work in self.queued if work[0] != owner]
        self.idle = {work: None for work in self.idle if work[0] != owner}
        if self.running is not None and self.running[0] == owner:
            self.running = None
        if self.ended[0] == owner:
            self.ended = ("", 0)


def _named(work: Work) -> str:
    return f"{work[1]} of {work[0]}"
