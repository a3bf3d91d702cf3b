"""I34: an id that goes while somebody uses its object is a pointer to nothing."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event
from protocol.facts.iommufd import (
    ObjectBusy,
    ObjectRemoved,
    PtAttached,
    PtDetached,
    PtReplaced,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

Place: TypeAlias = tuple[Name, Name, Pasid]


class DestroyedWhenUnused:
    """An object is destroyed if only its id uses it, and no device has it; else it is refused."""

    name: ClassVar[str] = "destroyed-when-unused"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I34"
    source: ClassVar[str] = "drivers/iommu/iommufd/main.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        ObjectRemoved,
        ObjectBusy,
        PtAttached,
        PtReplaced,
        PtDetached,
    )

    def __init__(self, machine: Machine) -> None:
        self.attached: dict[Place, int] = {}
        """By context, group and PASID, the page table."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        ctx = record.stamp.actor
        if type(fact) is ObjectRemoved:
            return self._removed(record, fact)
        if type(fact) is PtAttached or type(fact) is PtReplaced:
            self.attached[ctx, fact.group, fact.pasid] = fact.hwpt
        elif type(fact) is PtDetached:
            if fact.last:
                self.attached.pop((ctx, fact.group, fact.pasid), None)
        elif type(fact) is ObjectBusy and fact.users == 1:
            return f"{fact.kind} {fact.id} was kept at {when(record.stamp)}, though nobody uses it"
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _removed(self, record: Record, fact: ObjectRemoved) -> str | None:
        what = f"{fact.kind} {fact.id} was removed at {when(record.stamp)}"
        for (ctx, group, pasid), hwpt in self.attached.items():
            if ctx == record.stamp.actor and hwpt == fact.id:
                return f"{what}, and {group} has it for PASID {pasid}"
        return f"{what}, with {fact.users} users" if fact.users != 1 else None
