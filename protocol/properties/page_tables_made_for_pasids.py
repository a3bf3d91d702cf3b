"""I32: with PASIDs the driver needs a format of page tables that not every one has."""

from typing import ClassVar, TypeAlias

from protocol.domains import NO_PASID
from protocol.facts import Event
from protocol.facts.iommufd import PtAttached, PtDetached, PtReplaced
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, when

Group: TypeAlias = tuple[Name, Name]
"""Context and group."""


class PageTablesMadeForPasids:
    """While a group has PASIDs attached, all its page tables are made for PASIDs, the RID's too."""

    name: ClassVar[str] = "page-tables-made-for-pasids"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I32"
    source: ClassVar[str] = "iommufd_hwpt_pasid_compat of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (PtAttached, PtReplaced, PtDetached)

    def __init__(self, machine: Machine) -> None:
        self.fits: dict[Group, dict[Pasid, bool]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PtAttached or type(fact) is PtReplaced:
            fits = self.fits.setdefault((record.stamp.actor, fact.group), {})
            fits[fact.pasid] = fact.compatible
            if any(pasid != NO_PASID for pasid in fits) and not all(fits.values()):
                wrong = ", ".join(
                    f"PASID {pasid}" if pasid else "the RID" for pasid in fits if not fits[pasid]
                )
                return (
                    f"{fact.group} has PASIDs attached at {when(record.stamp)}, and {wrong} has "
                    "a page table that is not made for them"
                )
        elif type(fact) is PtDetached and fact.last:
            self.fits.get((record.stamp.actor, fact.group), {}).pop(fact.pasid, None)
        return None

    def unmet(self) -> list[Owed]:
        return []
