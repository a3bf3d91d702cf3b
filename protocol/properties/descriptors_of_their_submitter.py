"""I43: whoever can have a descriptor run with another's PASID reads and writes another's memory."""

from typing import ClassVar

from protocol.facts import DescriptorAccepted, Event
from protocol.facts.accelerators import DescriptorWritten
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class DescriptorsOfTheirSubmitter:
    """A descriptor runs only with the PASID of the address space that submitted it."""

    name: ClassVar[str] = "descriptors-of-their-submitter"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I43"
    source: ClassVar[str] = "8dfa57aabff6, idxd: Fix allowing write() from different address spaces"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DescriptorAccepted,
        DescriptorWritten,
        SvaPasidGiven,
        SvaPasidDropped,
    )

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}
        self.mms: dict[Pasid, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DescriptorAccepted:
            if self.mms:
                return self._of(record, fact.vm, (fact.pasid, fact.incarnation))
        elif type(fact) is DescriptorWritten:
            return self._of(record, fact.mm, (fact.pasid, fact.incarnation))
        elif type(fact) is SvaPasidGiven:
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
            self.mms[fact.pasid] = fact.mm
        elif type(fact) is SvaPasidDropped:
            self.has.pop(fact.mm, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _of(self, record: Record, mm: Name, life: tuple[Pasid, Incarnation]) -> str | None:
        if life[0] not in self.mms or self.has.get(mm) == life:
            return None
        whose = self.mms[life[0]]
        return f"a descriptor of {mm} runs with {named(*life)} of {whose} at {when(record.stamp)}"
