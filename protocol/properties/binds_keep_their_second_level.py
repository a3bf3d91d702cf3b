"""N11: a PASID-table entry has one second level, so one bind at a time (seed 000, S7)."""

from typing import ClassVar

from protocol.facts import (
    DeviceUnbound,
    DomainBound,
    DomainFreed,
    DomainUnbound,
    EnqcmdIssued,
    EntryCleared,
    Event,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class BindsKeepTheirSecondLevel:
    """What was bound through an aux domain works by that domain's second level until unbound."""

    name: ClassVar[str] = "binds-keep-their-second-level"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N11"
    source: ClassVar[str] = "E. Auger on v3 7/7 Disable multiple GPASID-dev bind"
    observes: ClassVar[tuple[type[Event], ...]] = (
        DomainBound,
        DomainUnbound,
        DomainFreed,
        DeviceUnbound,
        EntryCleared,
        EnqcmdIssued,
    )

    def __init__(self, machine: Machine) -> None:
        self.parents = machine.parents
        self.bound: dict[tuple[Name, Pasid], dict[Name, None]] = {}
        """Through which mdevs."""
        self.entries: dict[tuple[Name, Pasid], tuple[Name, Name]] = {}
        """The VM and the mdev whose second level each present entry points to."""

    def observe(self, record: Record) -> str | None:
        if not self.parents:
            return None
        fact = record.fact
        if type(fact) is EnqcmdIssued:
            return self._submitted(record, fact)
        if type(fact) is DomainBound:
            thing = (fact.device, fact.pasid)
            self.bound.setdefault(thing, {})[fact.domain] = None
            self.entries[thing] = (fact.vm, fact.second_level)
        elif type(fact) is DomainUnbound:
            self.bound.get((fact.device, fact.pasid), {}).pop(fact.domain, None)
        elif type(fact) is DeviceUnbound:
            return self._unbound(record, fact)
        if type(fact) is EntryCleared:
            self.entries.pop((fact.device, fact.pasid), None)
        elif type(fact) is DomainFreed:
            return self._freed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _submitted(self, record: Record, fact: EnqcmdIssued) -> str | None:
        """A command names the mdev that it was written to."""
        device = self.parents.get(fact.device, fact.device)
        if fact.device not in self.bound.get((device, fact.pasid), {}):
            return None
        level = self.entries.get((device, fact.pasid), (fact.vm, "nobody"))[1]
        if level == fact.device:
            return None
        return (
            f"{fact.vm} submitted {named(fact.pasid, fact.incarnation)} through {fact.device}, "
            f"bound, at {when(record.stamp)}, and the entry of {device} has the second level "
            f"of {level}"
        )

    def _unbound(self, record: Record, fact: DeviceUnbound) -> str | None:
        """After FREE all go."""
        left = self.bound.pop((fact.device, fact.pasid), {})
        if not left or fact.why == "free":
            return None
        return (
            f"{named(fact.pasid, fact.incarnation)} was taken off {fact.device} at "
            f"{when(record.stamp)} ({fact.why}), still bound through {', '.join(left)}"
        )

    def _freed(self, record: Record, fact: DomainFreed) -> str | None:
        for (device, pasid), level in self.entries.items():
            if level == (fact.vm, fact.domain):
                return (
                    f"the second level of {fact.vm} on {fact.domain} was freed at "
                    f"{when(record.stamp)}, and the entry of {device} for PASID {pasid} "
                    "points to it"
                )
        return None
