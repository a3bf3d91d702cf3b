"""Witness: a device ran on after its process's address space had gone (S13)."""

from typing import ClassVar

from protocol.facts import DmaBlocked, Event, PageTablesFreed, PasidReclaimed, RequestAutoAnswered
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class FaultsAfterExit:
    """A device faulted with the PASID of a process whose page tables had been freed."""

    name: ClassVar[str] = "faults-after-exit"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "v3 01/14 ioasid.rst, abnormal exit of a process"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PageTablesFreed,
        RequestAutoAnswered,
        DmaBlocked,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.gone: dict[Pasid, Name] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageTablesFreed and fact.pasid:
            self.gone[fact.pasid] = fact.mm
        elif type(fact) is PasidReclaimed:
            self.gone.pop(fact.pasid, None)
        elif type(fact) is RequestAutoAnswered or type(fact) is DmaBlocked:
            mm = self.gone.get(fact.pasid)
            if mm is not None:
                life = named(fact.pasid, fact.incarnation)
                return f"{fact.device} faulted with {life} of {mm} at {when(record.stamp)}"
        return None

    def unmet(self) -> list[Owed]:
        return []
