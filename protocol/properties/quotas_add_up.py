"""N9: what is promised to sets is not handed out twice."""

from typing import ClassVar

from protocol.facts import (
    CapacityChanged,
    Event,
    PasidAllocated,
    PasidReclaimed,
    SetAllocated,
    SetFreed,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, when


class QuotasAddUp:
    """A set counts its PASIDs, within its quota; quotas, reserved, available make the capacity."""

    name: ClassVar[str] = "quotas-add-up"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N9"
    source: ClassVar[str] = "V4 09/18 ioasid_set_alloc, ioasid_alloc, ioasid_put"
    observes: ClassVar[tuple[type[Event], ...]] = (
        SetAllocated,
        SetFreed,
        CapacityChanged,
        PasidAllocated,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.quotas: dict[int, int] = {}
        self.counts: dict[int, int] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidAllocated:
            return self._counted(record, fact, 1)
        if type(fact) is PasidReclaimed:
            return self._counted(record, fact, -1)
        if type(fact) is SetAllocated:
            self.quotas[fact.set] = fact.quota
            self.counts[fact.set] = 0
            return self._balanced(record, fact)
        if type(fact) is SetFreed:
            self.quotas.pop(fact.set, None)
            left = self.counts.pop(fact.set, 0)
            if left:
                return f"set {fact.set} was freed at {when(record.stamp)} with {left} PASIDs"
            return self._balanced(record, fact)
        if type(fact) is CapacityChanged:
            return self._balanced(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _counted(
        self, record: Record, fact: PasidAllocated | PasidReclaimed, more: int
    ) -> str | None:
        quota = self.quotas.get(fact.set)
        if quota is None:
            return (
                f"PASID {fact.pasid} came or went at {when(record.stamp)} "
                f"in set {fact.set}, which does not exist"
            )
        count = self.counts[fact.set] = self.counts[fact.set] + more
        if fact.set_count != count:
            return (
                f"the core counts {fact.set_count} PASIDs in set {fact.set} "
                f"at {when(record.stamp)}, there are {count}"
            )
        if count > quota:
            return (
                f"set {fact.set} has {count} PASIDs at {when(record.stamp)}, its quota is {quota}"
            )
        return None

    def _balanced(
        self, record: Record, fact: SetAllocated | SetFreed | CapacityChanged
    ) -> str | None:
        quotas = sum(self.quotas.values())
        if quotas + fact.reserved + fact.available == fact.capacity:
            return None
        return (
            f"quotas of {quotas}, {fact.reserved} reserved and {fact.available} available "
            f"do not make the capacity of {fact.capacity}, at {when(record.stamp)}"
        )
