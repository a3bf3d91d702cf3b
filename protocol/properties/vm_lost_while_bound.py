"""Witness: QEMU died with PASIDs still bound, so that closing its files had to clean up."""

from typing import ClassVar

from protocol.facts import DeviceUnbound, Event, FdsReleased
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import VFIO, Name, Pasid
from protocol.properties.property import Kind, Owed, when


class VmLostWhileBound:
    """VFIO's release of a VM's files unbound a PASID."""

    name: ClassVar[str] = "vm-lost-while-bound"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "v3 01/14 ioasid.rst, exception handling; VFIO v7 vfio_pasid.c"
    observes: ClassVar[tuple[type[Event], ...]] = (DeviceUnbound, FdsReleased)

    def __init__(self, machine: Machine) -> None:
        self.released: dict[Name, list[Pasid]] = {}
        """Per VM, what was unbound because its files were being closed."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DeviceUnbound and fact.why == "release":
            self.released.setdefault(fact.vm, []).append(fact.pasid)
        elif type(fact) is FdsReleased and record.stamp.actor == VFIO:
            vm = fact.vm
            pasids = self.released.pop(vm, [])
            if pasids:
                return f"closing {vm}'s files unbound PASID {pasids[0]}, {when(record.stamp)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
