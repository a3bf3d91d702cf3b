"""I27, I29: what an mm has taken away is cached wherever one of its domains is attached."""

from typing import ClassVar

from protocol.facts import CacheFilled, CacheFlushed, Event, HostGone
from protocol.facts.intel_iommu import (
    DevPasidSet,
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
        DevPasidSet,
        DomainMade,
        SecondaryTlbsFlushBegun,
        SecondaryTlbsFlushed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.lines: dict[Line, None] = {}
        self.domains: dict[tuple[Name, Pasid], Name] = {}
        self.parents: dict[Name, Name] = {}
        self.wanted: dict[str, dict[Line, tuple[Name, int]]] = {}
        """Of each flush, what is to go, and the input in which it went."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is CacheFilled:
            if fact.cache in CACHES:
                self.lines[fact.cache, fact.device, fact.pasid] = None
        elif type(fact) is CacheFlushed:
            line = (fact.cache, fact.device, fact.pasid)
            self.lines.pop(line, None)
            for wanted in self.wanted.values():
                if line in wanted:
                    wanted[line] = (record.stamp.actor, record.stamp.n)
        elif type(fact) is DevPasidSet:
            self.domains[fact.device, fact.pasid] = fact.domain
        elif type(fact) is DomainMade:
            self.parents[fact.domain] = fact.parent
        elif type(fact) is SecondaryTlbsFlushBegun:
            self._begun(fact)
        elif type(fact) is SecondaryTlbsFlushed:
            return self._flushed(record, fact)
        elif type(fact) is HostGone:
            self._gone(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _begun(self, fact: SecondaryTlbsFlushBegun) -> None:
        """A flush of one page may leave the others."""
        if fact.page != 0:
            return
        self.wanted[fact.task] = {
            line: ("", 0) for line in self.lines if self._is_of(fact.domain, (line[1], line[2]))
        }

    def _is_of(self, domain: Name, tag: tuple[Name, Pasid]) -> bool:
        """Whether it is attached there, itself or under another."""
        there = self.domains.get(tag, "")
        return domain in (there, self.parents.get(there, ""))

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
        self.lines = {line: None for line in self.lines if line[1] != device}
        for task, wanted in self.wanted.items():
            self.wanted[task] = {line: at for line, at in wanted.items() if line[1] != device}
