"""R8: work in a device goes on accessing memory with the number it was submitted with."""

from typing import ClassVar

from protocol.facts import DescriptorAccepted, DescriptorEnded, Event, HostGone, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing


class DescriptorsEndedBeforeReclaim:
    """A PASID is reclaimed only after all work that is tagged with it has left every device."""

    name: ClassVar[str] = "descriptors-ended-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R8"
    source: ClassVar[str] = "v3 01/14 ioasid.rst; J. Pan, 28 Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DescriptorAccepted,
        DescriptorEnded,
        PasidReclaimed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.work = BeforeReclaim()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DescriptorAccepted:
            return self.work.begins(record, fact.pasid, fact.incarnation, _descriptor(fact))
        if type(fact) is DescriptorEnded:
            self.work.ends(record, fact.pasid, _descriptor(fact))
        elif type(fact) is PasidReclaimed:
            return self.work.reclaimed(record, fact)
        if type(fact) is HostGone:
            self.work.lost(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _descriptor(fact: DescriptorAccepted | DescriptorEnded) -> Thing:
    return ("descriptor {} in {}", fact.descriptor, fact.device)
