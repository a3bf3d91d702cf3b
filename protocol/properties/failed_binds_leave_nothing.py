"""I41, of binds: what a failed bind had taken, nobody else will give back."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.sva import (
    BondFreed,
    BondMade,
    HandleAllocated,
    MmHeld,
    MmLetGo,
    SvaBindAnswered,
    SvaDomainLinked,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class FailedBindsLeaveNothing:
    """When a bind is over, its handle is a bond's or freed, and a new domain is listed or gone."""

    name: ClassVar[str] = "failed-binds-leave-nothing"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I41"
    source: ClassVar[str] = "9991a82a3817; iommu_sva_bind_device of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        HandleAllocated,
        BondMade,
        BondFreed,
        MmHeld,
        MmLetGo,
        SvaDomainLinked,
        SvaBindAnswered,
    )

    def __init__(self, machine: Machine) -> None:
        self.pending: dict[Name, str] = {}
        """Handles and domains that are neither used nor given back yet; one bind at a time."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is HandleAllocated:
            self.pending[fact.handle] = "the handle"
        elif type(fact) is MmHeld:
            self.pending[fact.domain] = "the domain"
        elif type(fact) is BondMade or type(fact) is BondFreed:
            self.pending.pop(fact.handle, None)
        elif type(fact) is SvaDomainLinked or type(fact) is MmLetGo:
            self.pending.pop(fact.domain, None)
        elif type(fact) is SvaBindAnswered and self.pending:
            left = [f"{what} {name}" for name, what in self.pending.items()]
            self.pending.clear()
            return (
                f"the bind of {fact.device} and {fact.mm} is over at {when(record.stamp)} "
                f"({fact.errno or 'done'}), and {' and '.join(left)} has been left"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
