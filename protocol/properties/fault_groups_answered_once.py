"""I21: a device waits for one answer to a group, and takes any for the group's number (S17)."""

from typing import ClassVar, TypeAlias

from protocol.facts import Event
from protocol.facts.iopf import FaultAnswered, FaultTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Asked: TypeAlias = tuple[Name, Pasid, int]


class FaultGroupsAnsweredOnce:
    """The last page request of a group is answered once at most, and no other request ever."""

    name: ClassVar[str] = "fault-groups-answered-once"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I21"
    source: ClassVar[str] = "Linux 7.3 io-pgfault.c, iopf_group_response; 738e6f32e61d"
    observes: ClassVar[tuple[type[Event], ...]] = (FaultTaken, FaultAnswered)

    def __init__(self, machine: Machine) -> None:
        self.owed: dict[Asked, int] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FaultTaken and fact.last:
            asked = (fact.device, fact.pasid, fact.group)
            self.owed[asked] = self.owed.get(asked, 0) + 1
        elif type(fact) is FaultAnswered:
            asked = (fact.device, fact.pasid, fact.group)
            if not self.owed.get(asked):
                return (
                    f"page group {fact.group} of {fact.device} for "
                    f"{named(fact.pasid, fact.incarnation)} was answered at {when(record.stamp)}, "
                    "and no answer was owed"
                )
            self.owed[asked] -= 1
        return None

    def unmet(self) -> list[Owed]:
        return []
