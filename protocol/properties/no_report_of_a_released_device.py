"""I39: who reports a page request of a device that goes uses what is being freed."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.intel_iommu import DeviceProbed, DeviceReleased, ReportBegun, ReportEnded
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class NoReportOfAReleasedDevice:
    """A release waits for the report that is being made, and none is made of a released device."""

    name: ClassVar[str] = "no-report-of-a-released-device"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I39"
    source: ClassVar[str] = "def054b01a86, CVE-2024-35843"
    observes: ClassVar[tuple[type[Event], ...]] = (
        ReportBegun,
        ReportEnded,
        DeviceReleased,
        DeviceProbed,
    )

    def __init__(self, machine: Machine) -> None:
        self.reporting: dict[str, Name] = {}
        """By thread, the device whose request it reports."""
        self.released: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReportBegun:
            self.reporting[fact.thread] = fact.device
            if fact.device in self.released:
                return (
                    f"{fact.thread} reports a page request of {fact.device}, which was released, "
                    f"at {when(record.stamp)}"
                )
        elif type(fact) is ReportEnded:
            self.reporting.pop(fact.thread, None)
        elif type(fact) is DeviceReleased:
            self.released[fact.device] = None
            for thread, device in self.reporting.items():
                if device == fact.device:
                    return (
                        f"{device} was released at {when(record.stamp)}, while {thread} was "
                        "reporting a page request of it"
                    )
        elif type(fact) is DeviceProbed:
            self.released.pop(fact.device, None)
        return None

    def unmet(self) -> list[Owed]:
        return []
