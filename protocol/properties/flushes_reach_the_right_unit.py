"""N20: a flush that goes to another unit flushes nothing (S27)."""

from typing import ClassVar

from protocol.facts import (
    DeviceTornDown,
    DeviceUnbound,
    EntryCleared,
    Event,
    FlushRequested,
    HostGone,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class FlushesReachTheRightUnit:
    """Each teardown flushes its device, and drains one with PRI, through the unit it is behind."""

    name: ClassVar[str] = "flushes-reach-the-right-unit"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N20"
    source: ClassVar[str] = "9ad9f45b3b91, Jan 2021; Linux 5.15 intel_pasid_tear_down_entry"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DeviceUnbound,
        EntryCleared,
        FlushRequested,
        DeviceTornDown,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.unit_of = {device.name: device.unit for device in machine.devices}
        self.wanted: dict[Name, tuple[str, ...]] = {
            device.name: (
                "pasid-cache",
                "iotlb",
                *(("device-tlb",) if device.ats else ()),
                *(("drain",) if machine.has_pri(device) else ()),
            )
            for device in machine.devices
        }
        self.flushed: dict[tuple[Name, Pasid], dict[str, None]] = {}
        """Of each teardown under way, what was asked for; `entry` if one was cleared."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FlushRequested:
            self.flushed.setdefault((fact.device, fact.pasid), {})[fact.flush] = None
            right = self.unit_of[fact.device]
            if fact.unit != right:
                return (
                    f"the {fact.flush} flush of {fact.device} for "
                    f"{named(fact.pasid, fact.incarnation)} went to {fact.unit} at "
                    f"{when(record.stamp)}, the device is behind {right}"
                )
        elif type(fact) is DeviceUnbound:
            self.flushed[fact.device, fact.pasid] = {}
        elif type(fact) is EntryCleared:
            self.flushed.setdefault((fact.device, fact.pasid), {})["entry"] = None
        elif type(fact) is DeviceTornDown:
            return self._torn_down(record, fact)
        if type(fact) is HostGone:
            self.wanted.pop(record.stamp.actor, None)  # A device that is gone answers no flush.
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _torn_down(self, record: Record, fact: DeviceTornDown) -> str | None:
        flushed = self.flushed.pop((fact.device, fact.pasid), {})
        if "entry" not in flushed:
            return None  # It was not present, so nothing can have been cached (§4.3).
        missing = [one for one in self.wanted.get(fact.device, ()) if one not in flushed]
        if not missing:
            return None
        return (
            f"{named(fact.pasid, fact.incarnation)} was torn down on {fact.device} "
            f"at {when(record.stamp)} without {', '.join(missing)}"
        )
