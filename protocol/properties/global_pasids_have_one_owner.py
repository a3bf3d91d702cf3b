"""I01: two address spaces behind one number are one to a device."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommu_core import GlobalPasidAllocated, GlobalPasidFreed
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class GlobalPasidsHaveOneOwner:
    """A number that is out is one mm's, or a kernel user's; a live mm has no more than one."""

    name: ClassVar[str] = "global-pasids-have-one-owner"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I01, I14"
    source: ClassVar[str] = "iommu_alloc_mm_data, mm_pasid_drop; 701fac40384f, 82e69a121be4"
    observes: ClassVar[tuple[type[Event], ...]] = (
        GlobalPasidAllocated,
        GlobalPasidFreed,
        SvaPasidGiven,
        SvaPasidDropped,
    )

    def __init__(self, machine: Machine) -> None:
        self.out: dict[Pasid, Incarnation] = {}
        self.owners: dict[Pasid, Name] = {}
        """Of the numbers that are an mm's."""
        self.mms: dict[Name, tuple[Pasid, Incarnation]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is GlobalPasidAllocated:
            before = self.out.get(fact.pasid)
            self.out[fact.pasid] = fact.incarnation
            if before is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{life} was handed out at {when(record.stamp)}, and life {before} is out"
        elif type(fact) is SvaPasidGiven:
            return self._given(record, fact)
        elif type(fact) is SvaPasidDropped:
            self.mms.pop(fact.mm, None)
            self.owners.pop(fact.pasid, None)
        elif type(fact) is GlobalPasidFreed:
            self.out.pop(fact.pasid, None)
            owner = self.owners.get(fact.pasid)
            if owner is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{life} was freed at {when(record.stamp)}, and {owner} has it"
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _given(self, record: Record, fact: SvaPasidGiven) -> str | None:
        life, here = named(fact.pasid, fact.incarnation), when(record.stamp)
        had, owner = self.mms.get(fact.mm), self.owners.get(fact.pasid)
        self.mms[fact.mm] = (fact.pasid, fact.incarnation)
        self.owners[fact.pasid] = fact.mm
        if had is not None:
            return f"{fact.mm} got {life} at {here}, and has {named(*had)}"
        if owner is not None:
            return f"{fact.mm} got {life} at {here}, and {owner} has the number"
        if self.out.get(fact.pasid) != fact.incarnation:
            return f"{fact.mm} got {life} at {here}, and that is not out"
        return None
