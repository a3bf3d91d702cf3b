"""I31: an IOMMU that walks an mm's page table caches the kernel's part of it, too."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import KvaFlushBegun, KvaFlushed, KvaFlushEnded
from protocol.facts.sva import SvaDomainLinked, SvaDomainUnlinked
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class KernelTablesFlushed:
    """Page tables of the kernel are freed when every SVA domain of every mm has been flushed."""

    name: ClassVar[str] = "kernel-tables-flushed"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I31"
    source: ClassVar[str] = "e37d5a2d60a3, CVE-2025-71202"
    observes: ClassVar[tuple[type[Event], ...]] = (
        SvaDomainLinked,
        SvaDomainUnlinked,
        KvaFlushBegun,
        KvaFlushed,
        KvaFlushEnded,
    )

    def __init__(self, machine: Machine) -> None:
        self.domains: dict[Name, Name] = {}
        self.flushed: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is SvaDomainLinked:
            self.domains[fact.domain] = fact.mm
        elif type(fact) is SvaDomainUnlinked:
            self.domains.pop(fact.domain, None)
        elif type(fact) is KvaFlushBegun:
            self.flushed = {}
        elif type(fact) is KvaFlushed:
            self.flushed[fact.domain] = None
        elif type(fact) is KvaFlushEnded:
            for domain, mm in self.domains.items():
                if domain not in self.flushed:
                    at = when(record.stamp)
                    return f"tables of the kernel were freed at {at}, {domain} of {mm} not flushed"
        return None

    def unmet(self) -> list[Owed]:
        return []
