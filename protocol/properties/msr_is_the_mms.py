"""I16: what a thread submits runs in the address space that its MSR says, not in its own."""

from typing import ClassVar

from protocol.facts import EnqcmdIssued, Event
from protocol.facts.accelerators import EnqcmdFaulted
from protocol.facts.sva import SvaPasidDropped, SvaPasidGiven
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when


class MsrIsTheMms:
    """A thread whose IA32_PASID has been activated has the PASID of its mm in it."""

    name: ClassVar[str] = "msr-is-the-mms"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "I16"
    source: ClassVar[str] = "9bfecd058339; arch/x86/kernel/traps.c of Linux 7.3"
    observes: ClassVar[tuple[type[Event], ...]] = (
        EnqcmdIssued,
        EnqcmdFaulted,
        SvaPasidGiven,
        SvaPasidDropped,
    )

    def __init__(self, machine: Machine) -> None:
        self.has: dict[Name, tuple[Pasid, Incarnation]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is EnqcmdIssued:
            if not self.has:
                return None
            mine = self.has.get(fact.vm)
            if mine is not None and mine != (fact.pasid, fact.incarnation):
                life = named(fact.pasid, fact.incarnation)
                did = f"a thread of {fact.vm} submitted with {life} at {when(record.stamp)}"
                return f"{did}, its mm has {named(*mine)}"
        elif type(fact) is EnqcmdFaulted:
            mine = self.has.get(fact.mm)
            if mine is not None and fact.activated:
                at = when(record.stamp)
                return f"{fact.thread} was activated, and has no PASID in its MSR at {at}"
        elif type(fact) is SvaPasidGiven:
            self.has[fact.mm] = (fact.pasid, fact.incarnation)
        elif type(fact) is SvaPasidDropped:
            self.has.pop(fact.mm, None)
        return None

    def unmet(self) -> list[Owed]:
        return []
