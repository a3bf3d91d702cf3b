"""O10, O11: whoever keeps the guest out goes first, and nobody can slip in behind (S19)."""

from typing import ClassVar, Final

from protocol.facts import Event, NotificationSent, StateChanged, SubscriberCalled
from protocol.history import Record
from protocol.lifecycle import State
from protocol.machine import Machine
from protocol.names import IOMMU, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

PENDING: Final = State.FREE_PENDING.value


class SubscribersCalledInOrder:
    """FREE is told once it is FREE_PENDING; CPU before DEVICE before IOMMU, for BIND the reverse.

    Judged by who is called, not by the priority that it was registered with.
    """

    name: ClassVar[str] = "subscribers-called-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O10, O11"
    source: ClassVar[str] = "v2 and v3 ioasid.rst, notification order; protocol/README.md §3.5"
    observes: ClassVar[tuple[type[Event], ...]] = (
        StateChanged,
        NotificationSent,
        SubscriberCalled,
    )

    def __init__(self, machine: Machine) -> None:
        self.ranks: dict[Name, int] = {IOMMU: 0}
        self.ranks |= {f"vdcm.{device.name}": 1 for device in machine.devices}
        self.ranks |= {f"{vm.name}.kvm": 2 for vm in machine.vms}
        self.pending: dict[Pasid, None] = {}
        self.last: dict[Pasid, Name] = {}
        """Whom the notification that is under way has come to."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is StateChanged:
            if fact.after == PENDING:
                self.pending[fact.pasid] = None
            elif fact.pasid in self.pending:
                del self.pending[fact.pasid]
        elif type(fact) is SubscriberCalled:
            return self._called(record, fact)
        elif type(fact) is NotificationSent:
            self.last.pop(fact.pasid, None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _called(self, record: Record, fact: SubscriberCalled) -> str | None:
        if fact.notification == "FREE" and fact.pasid not in self.pending:
            return _said(record, fact, "before the PASID is FREE_PENDING")
        before = self.last.get(fact.pasid)
        self.last[fact.pasid] = fact.subscriber
        if before is None:
            return None
        one, other = self.ranks.get(before), self.ranks.get(fact.subscriber)
        if one is None or other is None:
            return None
        wrong = one > other if fact.notification == "BIND" else one < other
        return _said(record, fact, f"after {before}") if wrong else None


def _said(record: Record, fact: SubscriberCalled, wrong: str) -> str:
    life = named(fact.pasid, fact.incarnation)
    return (
        f"{fact.notification} of {life} came to {fact.subscriber} {wrong}, at {when(record.stamp)}"
    )
