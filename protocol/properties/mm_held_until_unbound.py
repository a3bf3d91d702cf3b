"""I03, of callers: unbind looks at the mm, so whoever unbinds keeps its struct until it returns."""

from typing import ClassVar

from protocol.facts import Event
from protocol.facts.accelerators import PartGone, PartHeld, PartLeft
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed, when


class MmHeldUntilUnbound:
    """A driver holds the mm that it has bound, from before bind until unbind has returned."""

    name: ClassVar[str] = "mm-held-until-unbound"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I03"
    source: ClassVar[str] = "a9162439ad79, CVE-2026-45931; 06e14c36e20b"
    observes: ClassVar[tuple[type[Event], ...]] = (PartHeld, PartLeft, PartGone)

    def __init__(self, machine: Machine) -> None:
        self.bound: dict[tuple[Name, int], None] = {}
        self.held: dict[tuple[Name, int], None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PartHeld:
            if fact.part == "mm":
                self.held[fact.device, fact.file] = None
            elif fact.part == "bond":
                self.bound[fact.device, fact.file] = None
                if (fact.device, fact.file) not in self.held:
                    return self._said(record, fact, "was bound")
        elif type(fact) is PartLeft and fact.part == "mm":
            self.held.pop((fact.device, fact.file), None)
            if (fact.device, fact.file) in self.bound:
                return self._said(record, fact, "is still bound")
        elif type(fact) is PartGone and fact.part == "bond":
            self.bound.pop((fact.device, fact.file), None)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _said(self, record: Record, fact: PartHeld | PartLeft, what: str) -> str:
        return (
            f"file {fact.file} of {fact.device} {what} to {fact.mm}, whose struct nobody holds for "
            f"it, at {when(record.stamp)}"
        )
