"""Witness: free came before unbind, the disorder that the FREE notification is for."""

from typing import ClassVar

from protocol.facts import DeviceBound, DeviceUnbound, Event, FreeRequested, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class FreeWhileBound:
    """A PASID was freed while it was bound to a device."""

    name: ClassVar[str] = "free-while-bound"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = 'V4 ioasid.rst "Life cycle", patterns 3 and 4'
    observes: ClassVar[tuple[type[Event], ...]] = (
        DeviceBound,
        DeviceUnbound,
        FreeRequested,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.bound: dict[Pasid, dict[Name, tuple[Name, int]]] = {}
        """Devices bound, and in which input of whom."""

    def observe(self, record: Record) -> str | None:
        stamp = record.stamp
        fact = record.fact
        if type(fact) is DeviceBound:
            self.bound.setdefault(fact.pasid, {})[fact.device] = (stamp.actor, stamp.n)
        elif type(fact) is DeviceUnbound:
            self.bound.get(fact.pasid, {}).pop(fact.device, None)
        elif type(fact) is PasidReclaimed:
            self.bound.pop(fact.pasid, None)
        elif type(fact) is FreeRequested and fact.effective:
            for device, (actor, n) in self.bound.get(fact.pasid, {}).items():
                if record.saw(actor, n):
                    life = named(fact.pasid, fact.incarnation)
                    return f"{fact.by} freed {life} at {when(stamp)}, bound to {device}"
        return None

    def unmet(self) -> list[Owed]:
        return []
