"""Witness: a number in the hands of another mm, the moment everything hangs on (S16)."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.sva import SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class MmPasidReused:
    """An mm got a PASID that another mm had before."""

    name: ClassVar[str] = "mm-pasid-reused"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "iommu_alloc_global_pasid of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (SvaPasidGiven,)

    def __init__(self, machine: Machine) -> None:
        self.had: dict[Pasid, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaPasidGiven:
            before = self.had.get(fact.pasid)
            self.had[fact.pasid] = fact.mm
            if before is not None and before != fact.mm:
                life = named(fact.pasid, fact.incarnation)
                return f"{fact.mm} got {life} at {when(record.stamp)}, which {before} had before"
        return None

    def unmet(self) -> list[Owed]:
        return []
