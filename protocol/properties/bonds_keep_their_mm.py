"""I03: a PASID that goes before its bonds comes back as somebody else's, with work still under way.

An mm's struct is kept by its users, by drivers and notifiers, and by each SVA domain.
"""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import MmCounted
from protocol.facts.sva import BondFreed, BondMade, BondUsed, MmHeld, MmLetGo, SvaPasidDropped
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, named, when


class BondsKeepTheirMm:
    """A PASID is given back when nobody keeps its mm's struct, and no bond of the mm has users."""

    name: ClassVar[str] = "bonds-keep-their-mm"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I03"
    source: ClassVar[str] = "2667ed10d9f0; drivers/iommu/iommu-sva.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        MmCounted,
        MmHeld,
        MmLetGo,
        BondMade,
        BondUsed,
        BondFreed,
        SvaPasidDropped,
    )

    def __init__(self, machine: Machine) -> None:
        self.counts: dict[Name, int] = {}
        self.held: dict[Name, dict[Name, None]] = {}
        """Of each mm, the domains that hold it."""
        self.bonds: dict[Name, Name] = {}
        """Handles whose bond has users, with their mm."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MmCounted:
            self.counts[fact.mm] = fact.count
        elif type(fact) is BondMade:
            self.bonds[fact.handle] = fact.mm
        elif type(fact) is BondUsed:
            if not fact.users:
                self.bonds.pop(fact.handle, None)
        elif type(fact) is BondFreed:
            self.bonds.pop(fact.handle, None)
        elif type(fact) is MmHeld:
            self.held.setdefault(fact.mm, {})[fact.domain] = None
        elif type(fact) is MmLetGo:
            self.held.get(fact.mm, {}).pop(fact.domain, None)
        elif type(fact) is SvaPasidDropped:
            return self._dropped(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _dropped(self, record: Record, fact: SvaPasidDropped) -> str | None:
        life = named(fact.pasid, fact.incarnation)
        gone = f"{life} of {fact.mm} was given back at {when(record.stamp)}"
        for handle, mm in self.bonds.items():
            if mm == fact.mm:
                return f"{gone}, while the bond {handle} had users"
        for domain in self.held.get(fact.mm, {}):
            return f"{gone}, while {domain} held its struct"
        count = self.counts.get(fact.mm, 0)
        return f"{gone}, while its mm_count was {count}" if count > 0 else None
