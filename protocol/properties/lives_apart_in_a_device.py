"""N16: a device's PASID table is shared by all of its mdevs (S26)."""

from typing import ClassVar

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    Event,
    WqCleared,
    WqProgrammed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, Thing, named, said, when


class LivesApartInADevice:
    """All that one device has of a PASID (work, WQ slots, TLB lines) belongs to one life."""

    name: ClassVar[str] = "lives-apart-in-a-device"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N16"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, VDCM section"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DescriptorAccepted,
        DescriptorEnded,
        WqProgrammed,
        WqCleared,
        CacheFilled,
        CacheFlushed,
    )

    def __init__(self, machine: Machine) -> None:
        self.inside: dict[tuple[Name, Pasid], dict[Incarnation, dict[Thing, None]]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFlushed:
            if fact.cache == "device-tlb":
                self._leaves(fact, ("a device-TLB line",))
        elif type(fact) is CacheFilled:
            if fact.cache == "device-tlb":
                return self._enters(record, fact, ("a device-TLB line",))
        elif type(fact) is DescriptorAccepted:
            return self._enters(record, fact, ("descriptor {}", fact.descriptor))
        if type(fact) is DescriptorEnded:
            self._leaves(fact, ("descriptor {}", fact.descriptor))
        elif type(fact) is WqProgrammed:
            return self._enters(record, fact, ("the {} slot of {}", fact.slot, fact.vm))
        if type(fact) is WqCleared:
            self._leaves(fact, ("the {} slot of {}", fact.slot, fact.vm))
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _enters(
        self, record: Record, fact: DescriptorAccepted | WqProgrammed | CacheFilled, thing: Thing
    ) -> str | None:
        lives = self.inside.setdefault((fact.device, fact.pasid), {})
        lives.setdefault(fact.incarnation, {})[thing] = None
        if len(lives) == 1:
            return None
        other = next(one for one in lives if one != fact.incarnation)
        there = said(next(iter(lives[other])))
        return (
            f"{said(thing)} of {named(fact.pasid, fact.incarnation)} came into {fact.device} "
            f"at {when(record.stamp)}, where life {other} still has {there}"
        )

    def _leaves(self, fact: DescriptorEnded | WqCleared | CacheFlushed, thing: Thing) -> None:
        """Device-TLB lines leave by number, and names are unique in a device: any life's goes."""
        lives = self.inside.get((fact.device, fact.pasid))
        if lives is None:
            return
        for life in list(lives):
            lives[life].pop(thing, None)
            if not lives[life]:
                del lives[life]
        if not lives:
            del self.inside[fact.device, fact.pasid]
