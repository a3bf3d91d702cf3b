"""N10: a PASID belongs to the mm of its set, and an attempt by another changes nothing."""

from typing import ClassVar

from protocol.facts import (
    EntryWritten,
    Event,
    FreeRequested,
    MmPasidAssigned,
    PasidAllocated,
    PasidLinked,
    PasidUnlinked,
    ReferenceTaken,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, Owners, when


class OnlyTheOwnerActs:
    """A PASID is referenced for an mm, bound and freed only in the name of its own mm and set."""

    name: ClassVar[str] = "only-the-owner-acts"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N10"
    source: ClassVar[str] = "V4 11/18 ioasid_get_if_owned; v3 01/14 ioasid.rst"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PasidAllocated,
        MmPasidAssigned,
        ReferenceTaken,
        EntryWritten,
        PasidLinked,
        PasidUnlinked,
        FreeRequested,
    )

    def __init__(self, machine: Machine) -> None:
        self.owners = Owners()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken:
            token = fact.token
            if token and token != self.owners.token(fact.pasid, fact.incarnation, token):
                return self._foreign(record, fact, f"{fact.holder} got a reference for {token}")
        elif type(fact) is PasidAllocated:
            self.owners.allocated(fact)
        elif type(fact) is MmPasidAssigned:
            self.owners.assigned(fact)
        elif type(fact) is EntryWritten:
            vm = fact.vm
            if vm != self.owners.token(fact.pasid, fact.incarnation, vm):
                return self._foreign(record, fact, f"{fact.device} got an entry for {vm}")
        elif type(fact) is PasidLinked or type(fact) is PasidUnlinked:
            vm = fact.vm
            # VFIO frees in the name of a set; for whom, only this says.
            if vm != self.owners.token(fact.pasid, fact.incarnation, vm):
                how = "linked" if isinstance(fact, PasidLinked) else "unlinked"
                return self._foreign(record, fact, f"it was {how} for {vm}")
        elif type(fact) is FreeRequested and fact.effective:
            owner = self.owners.of(fact.pasid, fact.incarnation)
            if owner is not None and fact.set != owner[2]:
                return self._foreign(record, fact, f"{fact.by} freed for set {fact.set}")
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _foreign(
        self,
        record: Record,
        fact: ReferenceTaken | EntryWritten | PasidLinked | PasidUnlinked | FreeRequested,
        what: str,
    ) -> str:
        life = self.owners.said(fact.pasid, fact.incarnation)
        return f"{what} at {when(record.stamp)}: {life}"
