"""I14: threads, entries and descriptors have the number; none of them is told of another."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class MmKeepsItsPasid:
    """From its first bind until its struct goes an mm has one PASID, and gives back that one."""

    name: ClassVar[str] = "mm-keeps-its-pasid"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I14"
    source: ClassVar[str] = "Documentation/arch/x86/sva.rst; 701fac40384f"
    observes: ClassVar[tuple[type[Event], ...]] = (SvaPasidGiven, SvaPasidDropped)

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaPasidGiven:
            before = self.has.get(fact.mm)
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
            if before is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{fact.mm} got {life} at {when(record.stamp)}, after {named(*before)}"
        elif type(fact) is SvaPasidDropped:
            before = self.has.pop(fact.mm, None)
            if before != (fact.pasid, fact.incarnation):
                life = named(fact.pasid, fact.incarnation)
                had = named(*before) if before is not None else "nothing"
                return f"{fact.mm} gave back {life} at {when(record.stamp)}, and had {had}"
        return None

    def unmet(self) -> list[Owed]:
        return []
