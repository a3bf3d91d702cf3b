"""L1 after a loss of memory: who does not find out what it held holds it for ever.

The vCPUs that it keeps out, the chain that called it, the references it has: all wait (5.9).
"""

from typing import ClassVar

from protocol.facts import Event, HostGone
from protocol.facts.amnesia import MemoryLost, MemoryRebuilt
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, Since, since


class LostMemoryIsRebuilt:
    """Whoever lost its memory has asked its peers in the end, and knows what it holds."""

    name: ClassVar[str] = "lost-memory-is-rebuilt"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "L1"
    source: ClassVar[str] = "domain reference of the IOASID era, 5.9"
    observes: ClassVar[tuple[type[Event], ...]] = (MemoryLost, MemoryRebuilt, HostGone)

    def __init__(self, machine: Machine) -> None:
        self.empty: dict[Name, Since] = {}
        """Who does not know yet, since when."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MemoryLost:
            self.empty.setdefault(record.stamp.actor, since(record.stamp))
        else:
            self.empty.pop(record.stamp.actor, None)
        return None

    def unmet(self) -> list[Owed]:
        return [
            Owed(f"{actor} does not know what it held", begun, (actor,))
            for actor, begun in self.empty.items()
        ]
