"""R10: a CPU with a valid IA32_PASID submits with it from user space, and asks nobody."""

from typing import ClassVar

from protocol.facts import Event, MsrCleared, MsrLoaded, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed


class MsrClearedBeforeReclaim:
    """A PASID is reclaimed only when no CPU has it valid in IA32_PASID."""

    name: ClassVar[str] = "msr-cleared-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R10"
    source: ClassVar[str] = "T. Gleixner on x86/mmu PASID allocation, Apr 2020; 2667ed10d9f0"
    observes: ClassVar[tuple[type[Event], ...]] = (MsrLoaded, MsrCleared, PasidReclaimed)

    def __init__(self, machine: Machine) -> None:
        self.loaded = BeforeReclaim()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MsrLoaded:
            msr = ("IA32_PASID of {}", fact.cpu)
            return self.loaded.begins(record, fact.pasid, fact.incarnation, msr)
        if type(fact) is MsrCleared:
            self.loaded.ends(record, fact.pasid, ("IA32_PASID of {}", fact.cpu))
        elif type(fact) is PasidReclaimed:
            return self.loaded.reclaimed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []
