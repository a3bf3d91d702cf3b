"""O6: whoever still walks page tables that are freed reads, and writes, anybody's memory."""

from typing import ClassVar

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    EntryCleared,
    EntryWritten,
    Event,
    MmPasidAssigned,
    PageTablesFreed,
    PasidReclaimed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, Thing, named, said, when


class HardwareOffBeforePageTables:
    """CPU page tables go when no entry points to them and no cache has a line of them."""

    name: ClassVar[str] = "hardware-off-before-page-tables"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O6"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, bare metal; Linux 5.15 intel_mm_release"
    observes: ClassVar[tuple[type[Event], ...]] = (
        MmPasidAssigned,
        EntryWritten,
        EntryCleared,
        CacheFilled,
        CacheFlushed,
        PageTablesFreed,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.lives: dict[Pasid, Incarnation] = {}
        """The PASIDs of mms, with their lives."""
        self.there: dict[Pasid, dict[Thing, None]] = {}
        self.ended: dict[Pasid, dict[Name, tuple[int, Thing]]] = {}
        """Per actor the last input in which it took something away, and what."""
        self.freed: dict[Pasid, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if not self.lives and type(fact) is not MmPasidAssigned:
            return None
        if type(fact) is CacheFilled:
            return self._begins(record, fact, ("a line in the {} for {}", fact.cache, fact.device))
        if type(fact) is CacheFlushed:
            self._ends(record, fact, ("a line in the {} for {}", fact.cache, fact.device))
        elif type(fact) is EntryWritten:
            return self._begins(record, fact, ("the entry of {}", fact.device))
        elif type(fact) is EntryCleared:
            self._ends(record, fact, ("the entry of {}", fact.device))
        elif type(fact) is PageTablesFreed:
            return self._freed(record, fact)
        elif type(fact) is MmPasidAssigned:
            self._forget(fact.pasid)
            self.lives[fact.pasid] = fact.incarnation
        elif type(fact) is PasidReclaimed:
            self._forget(fact.pasid)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _forget(self, pasid: Pasid) -> None:
        self.freed.pop(pasid, None)
        for memory in (self.lives, self.there, self.ended):
            memory.pop(pasid, None)

    def _begins(self, record: Record, fact: EntryWritten | CacheFilled, thing: Thing) -> str | None:
        if self.lives.get(fact.pasid) != fact.incarnation:
            return None
        self.there.setdefault(fact.pasid, {})[thing] = None
        if fact.pasid not in self.freed:
            return None
        life = named(fact.pasid, fact.incarnation)
        return f"{said(thing)} of {life} came at {when(record.stamp)}, after its page tables went"

    def _ends(self, record: Record, fact: EntryCleared | CacheFlushed, thing: Thing) -> None:
        there = self.there.get(fact.pasid)
        if there is not None and there.pop(thing, thing) is None:
            stamp = record.stamp
            self.ended.setdefault(fact.pasid, {})[stamp.actor] = (stamp.n, thing)

    def _freed(self, record: Record, fact: PageTablesFreed) -> str | None:
        if self.lives.get(fact.pasid) != fact.incarnation:
            return None  # It has none.
        self.freed[fact.pasid] = None
        gone = f"the page tables of {fact.mm} were freed at {when(record.stamp)}"
        for thing in self.there.get(fact.pasid, {}):
            return f"{gone} with {said(thing)} still there"
        for actor, (n, thing) in self.ended.get(fact.pasid, {}).items():
            if not record.saw(actor, n):
                return f"{gone}, not known to be after {said(thing)} went (input {n} of {actor})"
        return None
