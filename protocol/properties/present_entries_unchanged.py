"""N12: hardware may be reading it."""

from typing import ClassVar

from protocol.facts import EntryWritten, Event
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class PresentEntriesUnchanged:
    """A PASID-table entry is not written while it is present."""

    name: ClassVar[str] = "present-entries-unchanged"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N12"
    source: ClassVar[str] = "Linux 5.15 intel/pasid.c; VT-d specification 5.10"
    observes: ClassVar[tuple[type[Event], ...]] = (EntryWritten,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is EntryWritten and fact.was_present:
            return (
                f"the entry of {fact.device} in {fact.unit} for "
                f"{named(fact.pasid, fact.incarnation)} was written at {when(record.stamp)}, "
                f"while it was present"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
