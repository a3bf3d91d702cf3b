"""I04: a number that goes back while a slot has it is attached for whoever gets it next."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommu_core import (
    GlobalPasidFreed,
    SlotAttached,
    SlotReleased,
    SlotReserved,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class NumbersReturnWhenDetached:
    """When a PASID's number goes back, no group has anything attached for it, or is about to."""

    name: ClassVar[str] = "numbers-return-when-detached"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I04"
    source: ClassVar[str] = "iommu_free_global_pasid of Linux 7.3, which looks at no slot"
    observes: ClassVar[tuple[type[Event], ...]] = (
        SlotReserved,
        SlotAttached,
        SlotReleased,
        GlobalPasidFreed,
    )

    def __init__(self, machine: Machine) -> None:
        self.slots: dict[Pasid, dict[Name, None]] = {}
        """By PASID, the groups that have it."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is GlobalPasidFreed:
            groups = self.slots.get(fact.pasid)
            if groups:
                life = named(fact.pasid, fact.incarnation)
                where = ", ".join(groups)
                return f"the number of {life} went back at {when(record.stamp)}, and {where} has it"
        elif type(fact) is SlotReleased:
            self.slots.get(fact.pasid, {}).pop(fact.group, None)
        elif type(fact) is SlotReserved or type(fact) is SlotAttached:
            self.slots.setdefault(fact.pasid, {})[fact.group] = None
        return None

    def unmet(self) -> list[Owed]:
        return []
