"""N13, of mms: a number that changes under a process leaves others behind with the old one."""

from typing import ClassVar

from protocol.facts import Event, MmFreed, MmPasidAssigned, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class OnePasidForAnMm:
    """An mm that has got a PASID keeps it until its struct goes, and never gets another."""

    name: ClassVar[str] = "one-pasid-for-an-mm"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N13"
    source: ClassVar[str] = "J. Pan on x86/mmu PASID allocation, 28 Apr 2020; 2667ed10d9f0"
    observes: ClassVar[tuple[type[Event], ...]] = (MmPasidAssigned, MmFreed, PasidReclaimed)

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}
        self.mm_of: dict[Pasid, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MmPasidAssigned:
            before = self.has.get(fact.mm)
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
            self.mm_of[fact.pasid] = fact.mm
            if before is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{fact.mm} got {life} at {when(record.stamp)}, after {named(*before)}"
        elif type(fact) is MmFreed:
            pasid, _ = self.has.pop(fact.mm, (0, 0))
            self.mm_of.pop(pasid, None)
        elif type(fact) is PasidReclaimed and fact.pasid in self.mm_of:
            mm = self.mm_of[fact.pasid]
            if self.has[mm] == (fact.pasid, fact.incarnation):
                life = named(fact.pasid, fact.incarnation)
                return f"{life} was reclaimed at {when(record.stamp)}, and {mm} still lives"
        return None

    def unmet(self) -> list[Owed]:
        return []
