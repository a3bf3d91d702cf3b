"""I17: the contents of an entry outlive all that may still be fetched or found through it."""

from typing import ClassVar

from protocol.facts import CacheFlushed, EntryCleared, Event, FlushRequested, HostGone
from protocol.facts.intel_iommu import EntrySilenced, EntryZeroed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Flushed = dict[str, tuple[Name, int]]


class EntriesZeroedWhenFlushed:
    """An entry is zeroed after P and its flushes, and drained after that."""

    name: ClassVar[str] = "entries-zeroed-when-flushed"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I17"
    source: ClassVar[str] = "Linux 7.3 intel_pasid_tear_down_entry; 75ed00055c05"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EntryCleared,
        CacheFlushed,
        EntryZeroed,
        EntrySilenced,
        FlushRequested,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.wanted = {
            one.name: ("pasid-cache", "iotlb", *(("device-tlb",) if one.ats else ()))
            for one in machine.devices
        }
        self.flushed: dict[tuple[Name, Pasid], Flushed] = {}
        """Of each entry that is cleared and not zeroed, which flushes are complete."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFlushed:
            flushed = self.flushed.get((fact.device, fact.pasid))
            if flushed is not None:  # The first that came will do.
                flushed.setdefault(fact.cache, (record.stamp.actor, record.stamp.n))
        elif type(fact) is EntryCleared:
            self.flushed[fact.device, fact.pasid] = {}
        elif type(fact) is EntryZeroed or type(fact) is EntrySilenced:
            return self._zeroed(record, fact)
        elif type(fact) is HostGone:
            self.wanted.pop(record.stamp.actor, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _zeroed(self, record: Record, fact: EntryZeroed | EntrySilenced) -> str | None:
        flushed = self.flushed.pop((fact.device, fact.pasid), None)
        if flushed is None:
            return None  # Zeroed once already, but for FPD.
        for cache in self.wanted.get(fact.device, ()):
            actor, n = flushed.get(cache, ("", 0))
            if n == 0 or not record.saw(actor, n):
                return (
                    f"the entry of {fact.device} for {named(fact.pasid, fact.incarnation)} was "
                    f"zeroed at {when(record.stamp)}, before its {cache} was flushed"
                )
        return None
