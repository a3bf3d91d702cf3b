"""I10: after detach or replace nobody can answer what came under the old handle (S19, S20)."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommufd import FaultQueued, HandleFreed, HandleMade
from protocol.facts.iopf import FaultGroupFormed, FaultGroupFreed
from protocol.facts.sva import BondFreed, HandleAllocated
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class NoFaultUnderAFreedHandle:
    """When a handle is freed no group of page requests is left under it, and none comes later."""

    name: ClassVar[str] = "no-fault-under-a-freed-handle"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I10"
    source: ClassVar[str] = "Linux 7.3 iommufd_auto_response_faults; fb21b1568ada and its fix"
    observes: ClassVar[tuple[type[Event], ...]] = (
        FaultGroupFormed,
        FaultGroupFreed,
        FaultQueued,
        HandleMade,
        HandleFreed,
        HandleAllocated,
        BondFreed,
    )

    def __init__(self, machine: Machine) -> None:
        self.groups: dict[int, tuple[Name, str]] = {}
        """The handle of each, and what it is."""
        self.freed: dict[Name, str] = {}
        """When; a handle may be made again."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultGroupFormed:
            what = f"page group {fact.group} of {fact.device}"
            self.groups[fact.id] = (fact.handle, what)
            return self._under(record, what, fact.handle)
        if type(fact) is FaultQueued:
            what = f"page group {fact.number} of {fact.device}"
            return self._under(record, what, fact.handle)
        if type(fact) is FaultGroupFreed:
            self.groups.pop(fact.id, None)
        elif type(fact) is HandleMade or type(fact) is HandleAllocated:
            self.freed.pop(fact.handle, None)
        elif type(fact) is HandleFreed or type(fact) is BondFreed:
            self.freed[fact.handle] = when(record.stamp)
            left = [what for handle, what in self.groups.values() if handle == fact.handle]
            if left:
                more = f" and {len(left) - 1} more" if len(left) > 1 else ""
                return (
                    f"{record.stamp.actor} freed handle {fact.handle} at {when(record.stamp)} "
                    f"with {left[0]}{more} under it"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _under(self, record: Record, what: str, handle: Name) -> str | None:
        freed = self.freed.get(handle)
        if freed is None:
            return None
        return f"{what} came under handle {handle} at {when(record.stamp)}, freed at {freed}"
