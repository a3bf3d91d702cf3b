"""O14: one ordered queue, so that cleanups keep the order in which the chain asked for them."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event, HostGone, WorkBegun, WorkDue, WorkEnded, WorkLinedUp
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
    observes: ClassVar[tuple[type[Event], ...]] = (
        WorkLinedUp,
        WorkDue,
        WorkBegun,
        WorkEnded,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.queued: list[Work] = []
        self.running: Work | None = None
        self.gone: dict[Name, None] = {}
        self.ended: tuple[Name, int] = ("", 0)
        """Where the last one that ran has ended."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is WorkLinedUp:
            self.queued.append((fact.owner, fact.work))
        elif type(fact) is WorkDue:
            return self._due(record, (fact.owner, fact.work))
        elif type(fact) is WorkBegun:
            return self._begun(record, (record.stamp.actor, fact.work))
        elif type(fact) is WorkEnded:
            if (record.stamp.actor, fact.work) == self.running:
                self.running, self.ended = None, (record.stamp.actor, record.stamp.n)
        elif type(fact) is HostGone:
            self._gone(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _due(self, record: Record, work: Work) -> str | None:
        """What was queued before by those who were lost meanwhile left the queue without a word."""
        before = self.queued[: self.queued.index(work)]
        passed = [one for one in before if one[0] not in self.gone]
        self.queued = [*passed, *self.queued[len(before) + 1 :]]
        if not passed:
            return None
        return (
            f"the turn of {_named(work)} came before {_named(passed[0])}, at {when(record.stamp)}"
        )

    def _begun(self, record: Record, work: Work) -> str | None:
        """Until a work has ended, the next one's turn has not come."""
        running, self.running = self.running, work
        if running is not None and running != work:
            return f"{_named(work)} began at {when(record.stamp)}, while {_named(running)} ran"
        if not record.saw(*self.ended):
            return f"{_named(work)} began at {when(record.stamp)} without waiting for the last one"
        return None

    def _gone(self, owner: Name) -> None:
        """The queue goes on without what was lost."""
        self.gone[owner] = None
        if self.running is not None and self.running[0] == owner:
            self.running = None
        if self.ended[0] == owner:
            self.ended = ("", 0)


def _named(work: Work) -> str:
    return f"{work[1]} of {work[0]}"
