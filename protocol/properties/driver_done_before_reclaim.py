"""R9: left-over private data, SPID or cleanup work meets the number's next life (S10)."""

from typing import ClassVar

from protocol.facts import Event, PasidReclaimed, WorkBegun, WorkEnded, WorkQueued
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import INVALID_PASID, NO_DATA
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing, named, when


class DriverDoneBeforeReclaim:
    """A PASID is reclaimed without private data, without SPID, and with no work for it to come."""

    name: ClassVar[str] = "driver-done-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R9"
    source: ClassVar[str] = "V4 14/18 svm.c, read for its order of put and work"
    observes: ClassVar[tuple[type[Event], ...]] = (
        WorkQueued,
        WorkBegun,
        WorkEnded,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.work = BeforeReclaim()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is WorkQueued:
            return self.work.begins(record, fact.pasid, fact.incarnation, _work(record, fact))
        if type(fact) is WorkBegun:
            # Work that runs can be queued again, so the two are told apart.
            self.work.ends(record, fact.pasid, _work(record, fact))
            return self.work.begins(record, fact.pasid, fact.incarnation, _run(record, fact))
        if type(fact) is WorkEnded:
            # Somebody else may have done it before its turn came.
            if not self.work.ends(record, fact.pasid, _run(record, fact)):
                self.work.ends(record, fact.pasid, _work(record, fact))
        elif type(fact) is PasidReclaimed:
            return _left(record, fact) or self.work.reclaimed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _left(record: Record, fact: PasidReclaimed) -> str | None:
    """What the core still had attached to the number."""
    if fact.data == NO_DATA and fact.spid == INVALID_PASID:
        return None
    what = f"private data {fact.data}" if fact.data != NO_DATA else f"SPID {fact.spid}"
    life = named(fact.pasid, fact.incarnation)
    return f"{life} was reclaimed at {when(record.stamp)} with {what} attached"


def _work(record: Record, fact: WorkQueued | WorkBegun | WorkEnded) -> Thing:
    return ("queued work {} of {}", fact.work, record.stamp.actor)


def _run(record: Record, fact: WorkBegun | WorkEnded) -> Thing:
    return ("running work {} of {}", fact.work, record.stamp.actor)
