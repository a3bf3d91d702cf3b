"""I27, I29: what an mm has taken away is cached wherever one of its domains is attached."""

from typing import ClassVar

from protocol.facts import CacheFilled, CacheFlushed, EntryWritten, Event, HostGone
from protocol.facts.intel_iommu import (
    CacheTagAssigned,
    DomainMade,
    SecondaryTlbsFlushBegun,
    SecondaryTlbsFlushed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

Line = tuple[str, Name, Pasid]
CACHES = ("iotlb", "device-tlb")


class FlushesReachEveryCache:
    """A flush of a whole domain is answered when no IOTLB and no device TLB has what it had."""

    name: ClassVar[str] = "flushes-reach-every-cache"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I27, I29"
    source: ClassVar[str] = "Linux 7.3 cache_tag_flush_all; 04b1b069f151"
    observes: ClassVar[tuple[type[Event], ...]] = (
        CacheFilled,
        CacheFlushed,
        EntryWritten,
        CacheTagAssigned,
        DomainMade,
        SecondaryTlbsFlushBegun,
        SecondaryTlbsFlushed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.lines: dict[Line, Name] = {}
        """Which domain's entry each was filled from."""
        self.newest: dict[tuple[Name, Pasid], Name] = {}
        """The domain that got its tags last, so the one whose entry will be written."""
        self.owners: dict[tuple[Name, Pasid], Name] = {}
        """The domain whose entry was written last."""
        self.parents: dict[Name, Name] = {}
        self.wanted: dict[str, dict[Line, tuple[Name, int]]] = {}
        """Of each flush, what is to go, and the input in which it went."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFilled:
            if fact.cache in CACHES:
                line = (fact.cache, fact.device, fact.pasid)
                self.lines[line] = self.owners.get((fact.device, fact.pasid), "")
        elif type(fact) is CacheFlushed:
            line = (fact.cache, fact.device, fact.pasid)
            self.lines.pop(line, None)
            for wanted in self.wanted.values():
                if wanted.get(line, ("", 1))[1] == 0:
                    wanted[line] = (record.stamp.actor, record.stamp.n)
        elif type(fact) is EntryWritten:
            tag = (fact.device, fact.pasid)
            self.owners[tag] = self.newest.get(tag, "")
        elif type(fact) is CacheTagAssigned:
            if fact.kind == "iotlb":
                self.newest[fact.device, fact.pasid] = fact.domain
        elif type(fact) is SecondaryTlbsFlushBegun:
            self._begun(fact)
        elif type(fact) is SecondaryTlbsFlushed:
            return self._flushed(record, fact)
        elif type(fact) is DomainMade:
            self.parents[fact.domain] = fact.parent
        elif type(fact) is HostGone:
            self._gone(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _begun(self, fact: SecondaryTlbsFlushBegun) -> None:
        """A flush of one page may leave the others, and one of a first level what is below it."""
        if fact.page != 0:
            return
        nested = self.parents.get(fact.domain, "") != ""
        self.wanted[fact.task] = {
            line: ("", 0)
            for line, owner in self.lines.items()
            if fact.domain in (owner, self.parents.get(owner, ""))
            and not (nested and line[0] == "iotlb")
        }

    def _flushed(self, record: Record, fact: SecondaryTlbsFlushed) -> str | None:
        for (cache, device, pasid), (actor, n) in self.wanted.pop(fact.task, {}).items():
            if n == 0 or not record.saw(actor, n):
                return (
                    f"the flush of {fact.domain} was answered at {when(record.stamp)}, and PASID "
                    f"{pasid} of {device} is in the {cache}"
                )
        return None

    def _gone(self, device: Name) -> None:
        """Nobody translates for it any more."""
        self.lines = {line: owner for line, owner in self.lines.items() if line[1] != device}
        for task, wanted in self.wanted.items():
            self.wanted[task] = {line: at for line, at in wanted.items() if line[1] != device}
