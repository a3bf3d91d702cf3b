"""N17: a guest's mistake is its own; for a shared WQ only KVM's table sees to that (S33)."""

from typing import ClassVar, Final

from protocol.facts import (
    DescriptorAccepted,
    EnqcmdIssued,
    EntryCleared,
    Event,
    FreeRequested,
    MmPasidAssigned,
    PasidAllocated,
    SlotProgrammed,
    TranslationWritten,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, Owners, when

FREE: Final = "free"
"""Why the driver's work clears."""


class DamageConfinedToTheVm:
    """No VM maps, programs, submits with, or clears a PASID that is another VM's.

    Nor does the driver clear, after FREE, a life that nobody has freed (S10b).
    """

    name: ClassVar[str] = "damage-confined-to-the-vm"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N17"
    source: ClassVar[str] = "v3 01/14 ioasid.rst; J. Gunthorpe and J. Pan on V4, Mar 2021"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PasidAllocated,
        MmPasidAssigned,
        TranslationWritten,
        SlotProgrammed,
        EnqcmdIssued,
        DescriptorAccepted,
        EntryCleared,
        FreeRequested,
    )

    def __init__(self, machine: Machine) -> None:
        self.owners = Owners()
        self.freed: dict[Pasid, Incarnation] = {}
        """The last life of a number that was freed."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidAllocated:
            self.owners.allocated(fact)
        elif type(fact) is MmPasidAssigned:
            self.owners.assigned(fact)
        elif type(fact) is TranslationWritten:
            return self._checked(record, fact, fact.vm, "got a translation to")
        if type(fact) is SlotProgrammed:
            return self._checked(record, fact, fact.vm, f"got a {fact.slot} slot with")
        if type(fact) is EnqcmdIssued:
            return self._checked(record, fact, fact.vm, "issued a command with")
        if type(fact) is DescriptorAccepted:
            return self._checked(record, fact, fact.vm, f"got work into {fact.device} with")
        if type(fact) is EntryCleared:
            return self._cleared(record, fact)
        if type(fact) is FreeRequested and fact.effective:
            self.freed[fact.pasid] = fact.incarnation
        return None

    def _cleared(self, record: Record, fact: EntryCleared) -> str | None:
        """After FREE the driver clears on its own behalf, but only what was freed."""
        if fact.why != FREE:
            return self._checked(record, fact, fact.by, f"cleared ({fact.why}) the entry of")
        if fact.incarnation <= self.freed.get(fact.pasid, 0):
            return None
        life = self.owners.said(fact.pasid, fact.incarnation)
        return f"the driver cleared, as if it had been freed, {life}, at {when(record.stamp)}"

    def unmet(self) -> list[Owed]:
        return []

    def _checked(
        self,
        record: Record,
        fact: TranslationWritten
        | SlotProgrammed
        | EnqcmdIssued
        | DescriptorAccepted
        | EntryCleared,
        vm: Name,
        what: str,
    ) -> str | None:
        if vm == self.owners.token(fact.pasid, fact.incarnation, unknown=vm):
            return None
        life = self.owners.said(fact.pasid, fact.incarnation)
        return f"{vm} {what} {life}, at {when(record.stamp)}"
