"""N13: a FREE or a page request must find the svm that was bound, not another (S15)."""

from typing import ClassVar

from protocol.facts import DataAttached, Event
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import NO_DATA
from protocol.properties.property import Kind, Owed, named, when


class PrivateDataKept:
    """Private data stays the same from the first bind of a PASID to its last unbind."""

    name: ClassVar[str] = "private-data-kept"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N13"
    source: ClassVar[str] = "T. Gleixner and J. Pan on x86/mmu PASID allocation, Apr 2020"
    observes: ClassVar[tuple[type[Event], ...]] = (DataAttached,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DataAttached and fact.before != NO_DATA:
            return (
                f"private data {fact.data} was attached to "
                f"{named(fact.pasid, fact.incarnation)} at {when(record.stamp)} "
                f"in place of {fact.before}"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
