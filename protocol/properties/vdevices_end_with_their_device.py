"""I34: a guest's name for a device that is gone must not become another object's."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.guests import VdeviceBuried, VdeviceMade
from protocol.facts.iommufd import ObjectMade, ObjectRemoved
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class VdevicesEndWithTheirDevice:
    """No vDevice outlives its device, and the id of one that went with it is nobody's again."""

    name: ClassVar[str] = "vdevices-end-with-their-device"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I34"
    source: ClassVar[str] = "iommufd_device_remove_vdev, iommufd_object_tombstone_user of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        VdeviceMade,
        VdeviceBuried,
        ObjectMade,
        ObjectRemoved,
    )

    def __init__(self, machine: Machine) -> None:
        self.devices: dict[tuple[Name, int], int] = {}
        """By context and id of a vDevice that is there, its device."""
        self.buried: dict[tuple[Name, int], None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        ctx = record.stamp.actor
        if type(fact) is ObjectMade:
            if (ctx, fact.id) in self.buried:
                what = f"{fact.kind} {fact.id} was made at {when(record.stamp)}"
                return f"{what}, and its user knows the id as that of a vDevice that went"
        elif type(fact) is ObjectRemoved:
            self.devices.pop((ctx, fact.id), None)
            for (context, at), device in self.devices.items():
                if context == ctx and device == fact.id:
                    what = f"device {fact.id} was removed at {when(record.stamp)}"
                    return f"{what}, and vDevice {at} of it is still there"
        elif type(fact) is VdeviceMade:
            self.devices[ctx, fact.id] = fact.device
        elif type(fact) is VdeviceBuried:
            self.devices.pop((ctx, fact.id), None)
            self.buried[ctx, fact.id] = None
        return None

    def unmet(self) -> list[Owed]:
        return []
