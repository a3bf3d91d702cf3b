"""I07: who replaces has something to lose, so the old domain stays in use until all have the new.

A device whose driver will not have the old domain again gets the blocking one; that is excused.
"""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommu_core import (
    DeviceBlocked,
    DeviceUnblocked,
    DevPasidAnswered,
    DevPasidCalled,
    SlotAttached,
    SlotKept,
    SlotReleased,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.modern import DriverBooks, SlotKey
from protocol.properties.property import Kind, Owed, when


class FailedReplaceKeepsTheOld:
    """After a failed replace each device has the old domain, and the slot the old handle."""

    name: ClassVar[str] = "failed-replace-keeps-the-old"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I07"
    source: ClassVar[str] = "iommu_replace_device_pasid of Linux 7.3, its comment"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DevPasidCalled,
        DevPasidAnswered,
        SlotAttached,
        SlotReleased,
        SlotKept,
        DeviceBlocked,
        DeviceUnblocked,
    )

    def __init__(self, machine: Machine) -> None:
        self.books = DriverBooks(machine)
        self.slots: dict[SlotKey, tuple[Name, Name]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DevPasidCalled:
            self.books.called(fact)
        elif type(fact) is DevPasidAnswered:
            self.books.answered(fact)
        elif type(fact) is SlotAttached:
            self.books.ended(fact.group, fact.pasid)
            self.slots[fact.group, fact.pasid] = (fact.domain, fact.handle)
        elif type(fact) is SlotReleased:
            self.books.ended(fact.group, fact.pasid)
            self.slots.pop((fact.group, fact.pasid), None)
        elif type(fact) is SlotKept:
            return self._kept(record, fact)
        elif type(fact) is DeviceBlocked or type(fact) is DeviceUnblocked:
            self.books.reset(fact.device)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _kept(self, record: Record, fact: SlotKept) -> str | None:
        what = f"the replace of PASID {fact.pasid} in {fact.group} has failed"
        changed = self.books.ended(fact.group, fact.pasid)
        different = [] if changed is None else self.books.different(changed, fact.pasid)
        if different:
            return f"{what} at {when(record.stamp)}, and {'; '.join(different)}"
        before = self.slots.get((fact.group, fact.pasid))
        if before is not None and before != (fact.domain, fact.handle):
            return (
                f"{what} at {when(record.stamp)}, and its slot has {fact.domain} "
                f"({fact.handle or 'no handle'}) and had {before[0]} ({before[1] or 'no handle'})"
            )
        return None
