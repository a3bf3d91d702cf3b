"""I06: a driver that refuses has changed nothing, so whoever undoes leaves that device alone."""

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
from protocol.properties.modern import DriverBooks
from protocol.properties.property import Kind, Owed, when


class FailedAttachChangesNothing:
    """After a failed attach each device has what it had; only those that succeeded are undone."""

    name: ClassVar[str] = "failed-attach-changes-nothing"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I06"
    source: ClassVar[str] = "b025dea63cde; contract of set_dev_pasid"
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

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DevPasidCalled:
            changing = self.books.called(fact)
            if changing.failed and fact.device not in changing.made:
                return (
                    f"after {changing.failed} refused, {fact.device} is told to put {fact.domain} "
                    f"in place of {fact.old or 'nothing'} for PASID {fact.pasid} at "
                    f"{when(record.stamp)}, and it had not changed"
                )
        elif type(fact) is DevPasidAnswered:
            self.books.answered(fact)
        elif type(fact) is SlotReleased:
            changed = self.books.ended(fact.group, fact.pasid)
            if changed is not None and fact.why == "failed":
                different = self.books.different(changed, fact.pasid)
                if different:
                    return (
                        f"the attach of PASID {fact.pasid} in {fact.group} has failed at "
                        f"{when(record.stamp)}, and {'; '.join(different)}"
                    )
        elif type(fact) is SlotAttached or type(fact) is SlotKept:
            self.books.ended(fact.group, fact.pasid)
        elif type(fact) is DeviceBlocked or type(fact) is DeviceUnblocked:
            self.books.reset(fact.device)
        return None

    def unmet(self) -> list[Owed]:
        return []
