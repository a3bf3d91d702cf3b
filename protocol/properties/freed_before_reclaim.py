"""R11: a put too many reclaims what its owner still uses (S25)."""

from typing import ClassVar

from protocol.facts import Event, FreeRequested, PasidReclaimed
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Pasid
from protocol.properties.property import Kind, Owed, named, when


class FreedBeforeReclaim:
    """A PASID is reclaimed only after its owner has freed it."""

    name: ClassVar[str] = "freed-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R11"
    source: ClassVar[str] = "V4 09/18, state table of ioasid_free and ioasid_put"
    observes: ClassVar[tuple[type[Event], ...]] = (FreeRequested, PasidReclaimed)

    def __init__(self, machine: Machine) -> None:
        self.freed: dict[Pasid, Incarnation] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is FreeRequested and fact.effective:
            self.freed[fact.pasid] = fact.incarnation
        if type(fact) is PasidReclaimed and self.freed.pop(fact.pasid, None) != fact.incarnation:
            life = named(fact.pasid, fact.incarnation)
            return f"{life} was reclaimed at {when(record.stamp)}, but nobody had freed it"
        return None

    def unmet(self) -> list[Owed]:
        return []
