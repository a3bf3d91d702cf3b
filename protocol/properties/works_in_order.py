"""O14: one ordered queue, so that cleanups keep the order in which the chain asked for them."""

from collections import deque
from typing import ClassVar, TypeAlias

from protocol.facts import Event, HostGone, WorkDue, WorkFinished, WorkLinedUp
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when

Work: TypeAlias = tuple[Name, str]
"""Its owner, and its name there."""


class WorksInOrder:
    """The works of the ordered queue run one at a time, in the order in which they were queued.

    What is queued, or runs, for an owner that was lost leaves the queue without a word.
    """

    name: ClassVar[str] = "works-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O14"
    source: ClassVar[str] = "V4 13/18 ioasid_queue_work"
    observes: ClassVar[tuple[type[Event], ...]] = (WorkLinedUp, WorkDue, WorkFinished, HostGone)

    def __init__(self, machine: Machine) -> None:
        self.queued: deque[Work] = deque()
        self.running: list[Work] = []
        self.gone: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is WorkLinedUp:
            self.queued.append((fact.owner, fact.work))
        elif type(fact) is WorkDue:
            return self._due(record, (fact.owner, fact.work))
        elif type(fact) is WorkFinished:
            self.running.remove((fact.owner, fact.work))
        elif type(fact) is HostGone:
            self.gone[record.stamp.actor] = None
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _due(self, record: Record, work: Work) -> str | None:
        passed: list[Work] = []
        while (first := self.queued.popleft()) != work:
            if first[0] not in self.gone:
                passed.append(first)
        self.queued.extendleft(reversed(passed))
        running = [one for one in self.running if one[0] not in self.gone]
        self.running = [*running, work]
        if not passed and not running:
            return None
        why = f"before {_named(passed[0])}" if passed else f"while {_named(running[0])} runs"
        return f"the turn of {_named(work)} came {why}, at {when(record.stamp)}"


def _named(work: Work) -> str:
    return f"{work[1]} of {work[0]}"
