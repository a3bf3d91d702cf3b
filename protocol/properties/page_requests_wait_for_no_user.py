"""I40: a user who is slow at his own memory must not stop the page requests of all others."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.iommufd import FaultHeldUp, UserMemoryLeft, UserMemoryTouched
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, when


class PageRequestsWaitForNoUser:
    """Who brings a page request waits for no lock under which user memory is touched."""

    name: ClassVar[str] = "page-requests-wait-for-no-user"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I40"
    source: ClassVar[str] = "3d49020a327c, a separate spinlock to protect fault->deliver"
    observes: ClassVar[tuple[type[Event], ...]] = (UserMemoryTouched, UserMemoryLeft, FaultHeldUp)

    def __init__(self, machine: Machine) -> None:
        self.touching: dict[str, str] = {}
        """Who, by the lock that he holds."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is UserMemoryTouched:
            self.touching[fact.lock] = fact.task
        elif type(fact) is UserMemoryLeft:
            self.touching.pop(fact.lock, None)
        elif type(fact) is FaultHeldUp and fact.lock in self.touching:
            return (
                f"page group {fact.number} of {fact.device} waits at {when(record.stamp)} for "
                f"{fact.lock}: {self.touching[fact.lock]} holds it and touches its user's memory"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
