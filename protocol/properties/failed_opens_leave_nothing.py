"""I41: an error path that undoes too much, too little, or says that all went well."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import (
    FileOpened,
    OpenRefused,
    PartGone,
    PartHeld,
    PartLeft,
    SystemPasidOff,
)
from protocol.facts.iommu_core import GlobalPasidAllocated, GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class FailedOpensLeaveNothing:
    """A file's parts go once each; a refused open leaves none, one that succeeds has its bond."""

    name: ClassVar[str] = "failed-opens-leave-nothing"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I41"
    source: ClassVar[str] = "0642287e3ecd; CVE-2026-74574; drivers/dma/idxd/cdev.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PartHeld,
        PartLeft,
        PartGone,
        FileOpened,
        OpenRefused,
        GlobalPasidAllocated,
        GlobalPasidFreed,
        SystemPasidOff,
    )

    def __init__(self, machine: Machine) -> None:
        self.parts: dict[tuple[Name, int], list[str]] = {}
        self.leaving: dict[tuple[Name, int], str] = {}
        self.out: dict[Pasid, Incarnation] = {}
        """Numbers in use."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is GlobalPasidAllocated:
            self.out[fact.pasid] = fact.incarnation
        elif type(fact) is GlobalPasidFreed:
            self.out.pop(fact.pasid, None)
        elif type(fact) is PartHeld:
            self.parts.setdefault((fact.device, fact.file), []).append(fact.part)
        elif type(fact) is PartLeft:
            return self._left(record, fact)
        elif type(fact) is PartGone:
            parts = self.parts.get((fact.device, fact.file), [])
            if fact.part in parts:
                parts.remove(fact.part)
        elif type(fact) is OpenRefused:
            left = self.parts.pop((fact.device, fact.file), [])
            if left:
                at = when(record.stamp)
                return f"an open of {fact.device} failed at {at}, and left its {left[0]}"
        elif type(fact) is FileOpened:
            if "bond" not in self.parts.get((fact.device, fact.file), []):
                at = when(record.stamp)
                return f"file {fact.file} of {fact.device} was opened at {at}, with nothing in it"
        elif type(fact) is SystemPasidOff and self.out.get(fact.pasid) == fact.incarnation:
            life = named(fact.pasid, fact.incarnation)
            return f"{fact.device} has given up {life} at {when(record.stamp)}, and not freed it"
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _left(self, record: Record, fact: PartLeft) -> str | None:
        """It must be there: what others share loses a user that it does not have."""
        if fact.part in self.parts.get((fact.device, fact.file), []):
            return None
        return (
            f"file {fact.file} of {fact.device} gave up its {fact.part} at {when(record.stamp)}, "
            "and had none"
        )
