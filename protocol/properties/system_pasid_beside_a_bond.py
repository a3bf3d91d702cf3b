"""Witness: the kernel and a process use a device, each with a PASID of its own (S29)."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import SystemPasidLive
from protocol.facts.sva import BondMade
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class SystemPasidBesideABond:
    """A process was bound to a device that has a PASID of the kernel's own."""

    name: ClassVar[str] = "system-pasid-beside-a-bond"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "drivers/dma/idxd/init.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (SystemPasidLive, BondMade)

    def __init__(self, machine: Machine) -> None:
        self.own: dict[Name, Pasid] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SystemPasidLive:
            self.own[fact.device] = fact.pasid
        elif type(fact) is BondMade and fact.device in self.own:
            life, own = named(fact.pasid, fact.incarnation), self.own[fact.device]
            at = when(record.stamp)
            return f"{fact.mm} has {life} on {fact.device} at {at}, beside PASID {own}"
        return None

    def unmet(self) -> list[Owed]:
        return []
