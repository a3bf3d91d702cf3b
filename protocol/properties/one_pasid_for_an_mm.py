"""N13, of mms: a number that changes under a process leaves others behind with the old one."""

from typing import ClassVar

from protocol.facts import Event, MmFreed, MmPasidAssigned
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class OnePasidForAnMm:
    """An mm gets one PASID, and never another, as long as its struct lives."""

    name: ClassVar[str] = "one-pasid-for-an-mm"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N13"
    source: ClassVar[str] = "J. Pan on x86/mmu PASID allocation, 28 Apr 2020; 2667ed10d9f0"
    observes: ClassVar[tuple[type[Event], ...]] = (MmPasidAssigned, MmFreed)

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MmFreed:
            self.has.pop(fact.mm, None)
        elif type(fact) is MmPasidAssigned:
            before = self.has.get(fact.mm)
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
            if before is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{fact.mm} got {life} at {when(record.stamp)}, after {named(*before)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
