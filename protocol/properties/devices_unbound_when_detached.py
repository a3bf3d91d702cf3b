"""I36: who unbinds gives the device away, and with it what is attached."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommufd import DeviceUnbound
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, when


class DevicesUnboundWhenDetached:
    """A device is unbound from iommufd with nothing attached, no PASID and not its RID."""

    name: ClassVar[str] = "devices-unbound-when-detached"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I36"
    source: ClassVar[str] = "iommufd_device_unbind of Linux 7.3, its warning"
    observes: ClassVar[tuple[type[Event], ...]] = (DeviceUnbound,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DeviceUnbound and fact.attached:
            left = ", ".join(f"PASID {one}" if one else "its RID" for one in fact.attached)
            return f"{fact.device} was unbound at {when(record.stamp)} with {left} attached"
        return None

    def unmet(self) -> list[Owed]:
        return []
