"""I37: a new owner of a device would have the PASIDs of the one before."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommu_core import DmaOwnerChanged, SlotAttached, SlotReleased, SlotReserved
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.modern import SlotKey, homes
from protocol.properties.property import Kind, Owed, when


class OwnersChangeWhenNothingIsAttached:
    """A group gets an owner, or loses its last claim, only when none of its slots is taken."""

    name: ClassVar[str] = "owners-change-when-nothing-is-attached"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I37"
    source: ClassVar[str] = "iommu_device_claim_dma_owner of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        SlotReserved,
        SlotAttached,
        SlotReleased,
        DmaOwnerChanged,
    )

    def __init__(self, machine: Machine) -> None:
        self.group_of = homes(machine)
        self.taken: dict[SlotKey, None] = {}
        self.claims: dict[Name, int] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SlotAttached or type(fact) is SlotReserved:
            self.taken[fact.group, fact.pasid] = None
        elif type(fact) is SlotReleased:
            self.taken.pop((fact.group, fact.pasid), None)
        elif type(fact) is DmaOwnerChanged:
            before = self.claims.get(fact.group, 0)
            self.claims[fact.group] = fact.claims
            left = [p for at, p in self.taken if self.group_of.get(at, at) == fact.group]
            if left and 0 in (before, fact.claims):
                slots = ", ".join(f"PASID {one}" if one else "its RID" for one in left)
                who = f"was claimed by {fact.owner}" if fact.claims else "was released"
                return f"{fact.group} {who} at {when(record.stamp)} with {slots} attached"
        return None

    def unmet(self) -> list[Owed]:
        return []
