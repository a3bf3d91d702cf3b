"""L4, of processes: whoever pins what waits for him keeps it for ever."""

from typing import ClassVar

from protocol.facts import (
    Event,
    FileDropped,
    FileHeld,
    FileReleased,
    MmFreed,
    MmPasidAssigned,
    PasidReclaimed,
    ProcessExited,
)
from protocol.history import Record
from protocol.machine import IOMMUFD, Machine
from protocol.names import IOMMU, Incarnation, Name, Pasid, uacce_of
from protocol.properties.property import Kind, Owed, Since, named, since


class ExitedProcessesLeaveNothing:
    """After a process has exited its mm and PASID go, unless a living one holds its file."""

    name: ClassVar[str] = "exited-processes-leave-nothing"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "L4"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, bare metal; 2667ed10d9f0 and its discussion"
    observes: ClassVar[tuple[type[Event], ...]] = (
        ProcessExited,
        MmPasidAssigned,
        MmFreed,
        PasidReclaimed,
        FileHeld,
        FileDropped,
        FileReleased,
    )

    def __init__(self, machine: Machine) -> None:
        self.modern = machine.stack == IOMMUFD  # There it is exited-mms-leave-nothing.
        self.exited: dict[Name, Since] = {}
        self.freed: dict[Name, None] = {}
        """Exited processes whose mm is gone."""
        self.pasids: dict[Pasid, tuple[Name, Incarnation]] = {}
        self.files: dict[tuple[Name, Name], list[Name]] = {}
        """By device and opener, who has a descriptor."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FileHeld:
            self.files.setdefault((fact.device, fact.opener), []).append(fact.holder)
        elif type(fact) is FileDropped:
            self.files.get((fact.device, fact.opener), []).remove(fact.holder)
        elif type(fact) is FileReleased:
            self.files.pop((fact.device, fact.opener), None)
        elif type(fact) is ProcessExited and not self.modern:
            self.exited[fact.process] = since(record.stamp)
        elif type(fact) is MmPasidAssigned:
            self.pasids[fact.pasid] = (fact.mm, fact.incarnation)
        elif type(fact) is MmFreed:
            self.freed[fact.mm] = None
        elif type(fact) is PasidReclaimed:
            self.pasids.pop(fact.pasid, None)
        return None

    def unmet(self) -> list[Owed]:
        return [
            owed
            for process, exit_ in self.exited.items()
            if not self._held(process)
            for owed in self._left(process, exit_)
        ]

    def _held(self, process: Name) -> bool:
        """Whether a file of its own is in the hands of somebody who lives: the mm waits for him."""
        return any(
            holder not in self.exited
            for (_, opener), holders in self.files.items()
            if opener == process
            for holder in holders
        )

    def _left(self, process: Name, exit_: Since) -> list[Owed]:
        whose = f"of {process}, which has exited,"
        pasids = [
            Owed(f"{named(pasid, incarnation)} {whose} is not reclaimed", exit_, (process, IOMMU))
            for pasid, (mm, incarnation) in self.pasids.items()
            if mm == process
        ]
        files = [
            Owed(f"the file {whose} on {device} is not released", exit_, (uacce_of(device),))
            for device, opener in self.files
            if opener == process
        ]
        mm = Owed(f"the mm {whose} is not freed", exit_, (process,))
        return [*pasids, *files, *([] if process in self.freed else [mm])]
