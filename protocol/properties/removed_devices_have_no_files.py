"""I12, at removal: a bond that is left on a device points to what the driver has freed."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import DeviceForgotten, FileOpened, PartGone, PartHeld
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class RemovedDevicesHaveNoFiles:
    """When a driver's remove is through, no file has a bond on the device, and none is opened."""

    name: ClassVar[str] = "removed-devices-have-no-files"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I12"
    source: ClassVar[str] = "80fc671bcc01; 26c08dabe547, CVE-2026-23063"
    observes: ClassVar[tuple[type[Event], ...]] = (PartHeld, PartGone, FileOpened, DeviceForgotten)

    def __init__(self, machine: Machine) -> None:
        self.bonds: dict[Name, dict[int, Name]] = {}
        self.removed: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PartHeld and fact.part == "bond":
            self.bonds.setdefault(fact.device, {})[fact.file] = fact.mm
        elif type(fact) is PartGone and fact.part == "bond":
            self.bonds.get(fact.device, {}).pop(fact.file, None)
        elif type(fact) is FileOpened:
            if fact.device in self.removed:
                return f"{fact.mm} opened {fact.device} at {when(record.stamp)}, after its removal"
        elif type(fact) is DeviceForgotten:
            self.removed[fact.device] = None
            for file, mm in self.bonds.get(fact.device, {}).items():
                at = when(record.stamp)
                return f"{fact.device} was removed at {at}, and {mm} is bound by its file {file}"
        return None

    def unmet(self) -> list[Owed]:
        return []
