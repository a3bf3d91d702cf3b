"""O13, L1: a number that never comes back is lost to everybody (S9, S17, S25b)."""

from typing import ClassVar

from protocol.facts import (
    Event,
    FreeRequested,
    HostGone,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import CORE, Incarnation, Name, Pasid
from protocol.properties.property import (
    Kind,
    Ledger,
    Owed,
    Since,
    actor_of,
    named,
    only_lost,
    since,
)


class FreedPasidsAreReclaimed:
    """A freed PASID comes back to the pool, unless only actors that were lost hold it.

    In whatever order works, notifications and puts come after the free: the outcome is this (O13).
    One that only frozen actors hold cannot come back either (see `Owed`); one that somebody else
    holds must, although he may wait for a frozen one: a chain that hangs hangs them all.
    """

    name: ClassVar[str] = "freed-pasids-are-reclaimed"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "O13, L1"
    source: ClassVar[str] = "v3 01/14 ioasid.rst"
    observes: ClassVar[tuple[type[Event], ...]] = (
        FreeRequested,
        PasidReclaimed,
        ReferenceTaken,
        ReferenceDropped,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.pending: dict[Pasid, tuple[Incarnation, Since]] = {}
        """Numbers freed and not back, with their life, since when."""
        self.ledger = Ledger()
        self.gone: dict[Name, None] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken:
            self.ledger.taken(fact)
        elif type(fact) is ReferenceDropped:
            self.ledger.dropped(fact)
        elif type(fact) is FreeRequested and fact.effective:
            self.pending[fact.pasid] = (fact.incarnation, since(record.stamp))
        elif type(fact) is PasidReclaimed:
            self.pending.pop(fact.pasid, None)
            self.ledger.reclaimed(fact)
        elif type(fact) is HostGone:
            self.gone[record.stamp.actor] = None
        return None

    def unmet(self) -> list[Owed]:
        owed: list[Owed] = []
        for pasid, (incarnation, begun) in self.pending.items():
            holders = self.ledger.held_by(pasid)
            if only_lost(holders, self.gone):
                continue
            what = f"{named(pasid, incarnation)} FREE_PENDING"
            if holders:
                living = [one for one in holders if actor_of(one) not in self.gone]
                owed.append(Owed(what, begun, tuple(living), "held by"))
            else:
                owed.append(Owed(f"{what}, and nobody holds it,", begun, (CORE,)))
        return owed
