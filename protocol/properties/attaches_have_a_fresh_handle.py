"""I09: faults under the old handle cannot be told from those under the new if they are one."""

from typing import ClassVar

from protocol.domains import NULL
from protocol.facts import Event
from protocol.facts.iommu_core import SlotAttached, SlotReleased
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.modern import SlotKey
from protocol.properties.property import Kind, Owed, when


class AttachesHaveAFreshHandle:
    """What is attached or put in place of another has a handle that is in no slot."""

    name: ClassVar[str] = "attaches-have-a-fresh-handle"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I09"
    source: ClassVar[str] = "iommu_replace_device_pasid of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (SlotAttached, SlotReleased)

    def __init__(self, machine: Machine) -> None:
        self.places: dict[Name, SlotKey] = {}
        self.handles: dict[SlotKey, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SlotReleased:
            self.places.pop(self.handles.pop((fact.group, fact.pasid), NULL), None)
        elif type(fact) is SlotAttached:
            key = (fact.group, fact.pasid)
            before = self.places.get(fact.handle)
            self.places.pop(self.handles.pop(key, NULL), None)
            if fact.handle != NULL:
                self.places[fact.handle], self.handles[key] = key, fact.handle
            if before is not None:
                return (
                    f"PASID {fact.pasid} in {fact.group} got {fact.handle} at "
                    f"{when(record.stamp)}, the handle of PASID {before[1]} in {before[0]}"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []
