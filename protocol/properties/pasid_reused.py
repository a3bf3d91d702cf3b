"""Witness: without reuse nothing can be confused."""

from typing import ClassVar

from protocol.facts import Event, PasidAllocated, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Pasid
from protocol.properties.property import Kind, Owed, named, when


class PasidReused:
    """A number was handed out again after its reclaim."""

    name: ClassVar[str] = "pasid-reused"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "J. Pan on x86/mmu PASID allocation, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidAllocated, PasidReclaimed)

    def __init__(self, machine: Machine) -> None:
        self.reclaimed: dict[Pasid, Incarnation] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidReclaimed:
            self.reclaimed[fact.pasid] = fact.incarnation
        elif type(fact) is PasidAllocated:
            before = self.reclaimed.pop(fact.pasid, None)
            if before is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{life} was allocated at {when(record.stamp)}, after life {before}"
        return None

    def unmet(self) -> list[Owed]:
        return []
