"""I24, I26: a worker that is left behind handles a group that its device's removal has freed."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iopf import (
    FaultDeviceRemoved,
    FaultFlushBegun,
    FaultFlushEnded,
    FaultWorkEnded,
    FaultWorkQueued,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class FaultWorkFlushedBeforeRemoval:
    """A flush ends when the fault work of before has; only then a device leaves its queue."""

    name: ClassVar[str] = "fault-work-flushed-before-removal"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I24, I26"
    source: ClassVar[str] = "f0b9d31c6edd (CVE-2025-38594); Linux 7.3 iopf_queue_flush_dev"
    observes: ClassVar[tuple[type[Event], ...]] = (
        FaultWorkQueued,
        FaultWorkEnded,
        FaultFlushBegun,
        FaultFlushEnded,
        FaultDeviceRemoved,
    )

    def __init__(self, machine: Machine) -> None:
        self.works: dict[int, tuple[Name, Name]] = {}
        """Unit and device of each that is queued or running."""
        self.flushes: dict[str, list[int]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultWorkQueued:
            self.works[fact.work] = (fact.unit, fact.device)
        elif type(fact) is FaultWorkEnded:
            self.works.pop(fact.work, None)
            for waited in self.flushes.values():
                if fact.work in waited:
                    waited.remove(fact.work)
        elif type(fact) is FaultFlushBegun:
            there = [work for work, (unit, _) in self.works.items() if unit == fact.unit]
            self.flushes[fact.by] = there
        elif type(fact) is FaultFlushEnded:
            left = self.flushes.pop(fact.by, [])
            if left:
                device = self.works[left[0]][1]
                return (
                    f"the flush of {fact.by} ended at {when(record.stamp)} "
                    f"with work for {device} still to be done"
                )
        elif type(fact) is FaultDeviceRemoved and fact.device in self._at_work():
            return (
                f"{fact.device} left its fault queue at {when(record.stamp)} "
                "with work for it still to be done"
            )
        return None

    def _at_work(self) -> list[Name]:
        return [device for _, device in self.works.values()]

    def unmet(self) -> list[Owed]:
        return []
