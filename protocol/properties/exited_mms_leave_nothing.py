"""I42, of processes of a modern kernel: whoever holds what waits for him keeps it for ever."""

from typing import ClassVar

from protocol.facts import Event, MmFreed, ProcessExited
from protocol.facts.accelerators import (
    FileGone,
    FileLeft,
    FileOpened,
    FileShared,
    MmMade,
    PartGone,
    PartHeld,
)
from protocol.facts.sva import BondFreed, BondMade, SvaPasidDropped, SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import IOMMU, SVA_CORE, Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, Since, named, since


class ExitedMmsLeaveNothing:
    """An mm that no process lives in goes with its PASID, unless somebody living keeps it bound."""

    name: ClassVar[str] = "exited-mms-leave-nothing"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "I42"
    source: ClassVar[str] = "2667ed10d9f0; kernel/exit.c, fs/exec.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        MmMade,
        ProcessExited,
        MmFreed,
        SvaPasidGiven,
        SvaPasidDropped,
        FileOpened,
        FileShared,
        FileLeft,
        FileGone,
        PartHeld,
        PartGone,
        BondMade,
        BondFreed,
    )

    def __init__(self, machine: Machine) -> None:
        self.lives_in: dict[Name, Name] = {}
        """By process, its mm."""
        self.left: dict[Name, Since] = {}
        """Mms that their process has left, by an exec or its exit."""
        self.exited: dict[Name, None] = {}
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}
        self.files: dict[tuple[Name, int], Name] = {}
        """The mm that each file is bound to."""
        self.holders: dict[tuple[Name, int], list[Name]] = {}
        self.parts: dict[tuple[Name, int], None] = {}
        """Files with a bond: any other bond is a caller's."""
        self.bonds: dict[Name, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MmMade:
            before = self.lives_in.get(fact.process)
            if before is not None:
                self.left[before] = since(record.stamp)
            self.lives_in[fact.process] = fact.mm
        elif type(fact) is ProcessExited:
            self.exited[fact.process] = None
            if fact.process in self.lives_in:
                self.left[self.lives_in[fact.process]] = since(record.stamp)
        elif type(fact) is MmFreed:
            self.left.pop(fact.mm, None)
        elif type(fact) is SvaPasidGiven:
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
        elif type(fact) is SvaPasidDropped:
            self.has.pop(fact.mm, None)
        elif type(fact) is BondMade:
            self.bonds[fact.handle] = fact.mm
        elif type(fact) is BondFreed:
            self.bonds.pop(fact.handle, None)
        else:
            self._of_file(fact)
        return None

    def _of_file(self, fact: object) -> None:
        if type(fact) is FileOpened:
            self.files[fact.device, fact.file] = fact.mm
        elif type(fact) is FileShared:
            self.holders.setdefault((fact.device, fact.file), []).append(fact.holder)
        elif type(fact) is FileLeft:
            holders = self.holders.get((fact.device, fact.file), [])
            if fact.holder in holders:
                holders.remove(fact.holder)
        elif type(fact) is FileGone:
            self.files.pop((fact.device, fact.file), None)
            self.holders.pop((fact.device, fact.file), None)
        elif type(fact) is PartHeld and fact.part == "bond":
            self.parts[fact.device, fact.file] = None
        elif type(fact) is PartGone and fact.part == "bond":
            self.parts.pop((fact.device, fact.file), None)

    def unmet(self) -> list[Owed]:
        return [
            self._owed(mm, gone)
            for mm, gone in self.left.items()
            if not self._kept(mm) and not self._bound_by_a_caller(mm)
        ]

    def _kept(self, mm: Name) -> bool:
        """Whether a file of its is in the hands of somebody who lives."""
        return any(
            holder not in self.exited
            for file, whose in self.files.items()
            if whose == mm
            for holder in self.holders.get(file, [])
        )

    def _bound_by_a_caller(self, mm: Name) -> bool:
        files = [file for file, whose in self.files.items() if whose == mm and file in self.parts]
        return mm in self.bonds.values() and not files

    def _owed(self, mm: Name, gone: Since) -> Owed:
        life = self.has.get(mm)
        if life is None:
            return Owed(f"{mm}, which nobody lives in, is not freed", gone, (mm, IOMMU))
        what = f"{named(*life)} of {mm}, which nobody lives in, is not given back"
        return Owed(what, gone, (mm, SVA_CORE, IOMMU))
