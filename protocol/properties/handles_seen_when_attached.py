"""I08: a page request that is routed to a half-done attach is answered by a user who may vanish."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommu_core import HandleSeen, SlotAttached, SlotReleased
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.modern import SlotKey, homes
from protocol.properties.property import Kind, Owed, when


class HandlesSeenWhenAttached:
    """A look-up finds a handle only where every device of the group has been programmed."""

    name: ClassVar[str] = "handles-seen-when-attached"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I08"
    source: ClassVar[str] = "iommu_attach_handle_get of Linux 7.3; Kevin Tian, 7 Jun 2024"
    observes: ClassVar[tuple[type[Event], ...]] = (SlotAttached, SlotReleased, HandleSeen)

    def __init__(self, machine: Machine) -> None:
        self.group_of = homes(machine)
        self.slots: dict[SlotKey, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is HandleSeen:
            found = self.slots.get((fact.group, fact.pasid))
            if found is None:
                found = self.slots.get((self.group_of.get(fact.group, ""), fact.pasid))
            if found != fact.handle:
                has = "is not attached" if found is None else f"has {found or 'no handle'}"
                return (
                    f"a look-up found {fact.handle} for PASID {fact.pasid} in {fact.group} at "
                    f"{when(record.stamp)}, and that {has}"
                )
        elif type(fact) is SlotAttached:
            self.slots[fact.group, fact.pasid] = fact.handle
        elif type(fact) is SlotReleased:
            self.slots.pop((fact.group, fact.pasid), None)
        return None

    def unmet(self) -> list[Owed]:
        return []
