"""Witness: an unbind that finds nothing left to do (S11)."""

from typing import ClassVar

from protocol.facts import Event, PasidUnlinked, UnbindRequested
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class LateUnbind:
    """A guest unbound a PASID that it had freed."""

    name: ClassVar[str] = "late-unbind"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "v3 01/14 ioasid.rst, free before unbind"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidUnlinked, UnbindRequested)

    def __init__(self, machine: Machine) -> None:
        self.freed: dict[tuple[Name, Pasid], None] = {}
        """What each VM has freed, ever: an unbind of another's PASID is not late."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidUnlinked:
            self.freed[fact.vm, fact.pasid] = None
        elif (
            type(fact) is UnbindRequested
            and not fact.linked
            and (fact.vm, fact.pasid) in self.freed
        ):
            life = named(fact.pasid, fact.incarnation)
            return f"{fact.vm} unbound {life} at {when(record.stamp)}, after its free"
        return None

    def unmet(self) -> list[Owed]:
        return []
