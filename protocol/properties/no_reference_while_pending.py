"""N3: a freed PASID that can still be taken is never given back (S24)."""

from typing import ClassVar, Final

from protocol.facts import Event, ReferenceTaken, SpidAttached
from protocol.history import Record
from protocol.lifecycle import State
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when

PENDING: Final = State.FREE_PENDING.value


class NoReferenceWhilePending:
    """Nobody gets a reference on a PASID, or an SPID for it, while it is FREE_PENDING."""

    name: ClassVar[str] = "no-reference-while-pending"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N3"
    source: ClassVar[str] = "V4 ioasid.rst; V4 09/18 ioasid_find_by_spid and ioasid_attach_spid"
    observes: ClassVar[tuple[type[Event], ...]] = (ReferenceTaken, SpidAttached)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken and fact.state == PENDING:
            what = f"{fact.holder} got a reference on"
        elif type(fact) is SpidAttached and fact.state == PENDING:
            what = f"SPID {fact.spid} was attached to"
        else:
            return None
        return (
            f"{what} {named(fact.pasid, fact.incarnation)} at {when(record.stamp)}, "
            f"while it was {PENDING}"
        )

    def unmet(self) -> list[Owed]:
        return []
