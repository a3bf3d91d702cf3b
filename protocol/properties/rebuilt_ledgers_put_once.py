"""N6 after a loss of memory: a reference that was forgotten is put once, neither twice nor never.

A put of what one does not have changes nothing in the sound core.  In the core as posted it takes
somebody else's reference, and in this one, too, if the same holder has got one anew meanwhile.
"""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.amnesia import MemoryLost, PutUnheld
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, named, when


class RebuiltLedgersPutOnce:
    """Whoever has lost its memory puts only what the core counts for it."""

    name: ClassVar[str] = "rebuilt-ledgers-put-once"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N6"
    source: ClassVar[str] = "domain reference of the IOASID era, 5.9"
    observes: ClassVar[tuple[type[Event], ...]] = (MemoryLost, PutUnheld)

    def __init__(self, machine: Machine) -> None:
        self.forgetful: dict[Name, None] = {}
        """Who has ever lost its memory."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is MemoryLost:
            self.forgetful[record.stamp.actor] = None
        elif type(fact) is PutUnheld and fact.holder.partition(":")[0] in self.forgetful:
            life = named(fact.pasid, fact.incarnation)
            return (
                f"{fact.holder} put a reference on {life} that it does not have,"
                f" after a loss of memory, at {when(record.stamp)}"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
