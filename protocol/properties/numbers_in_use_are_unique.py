"""N8: one number, one life, one set; one guest's number, one host number."""

from typing import ClassVar

from protocol.facts import (
    Event,
    PasidAllocated,
    PasidReclaimed,
    SpidAttached,
    SpidDetached,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import (
    INVALID_PASID,
    PASID_COUNT,
    PASID_MIN,
    Gpasid,
    Incarnation,
    Pasid,
)
from protocol.properties.property import Kind, Owed, named, when


class NumbersInUseAreUnique:
    """A number handed out is in range and free, in one set; an SPID names one PASID of its set."""

    name: ClassVar[str] = "numbers-in-use-are-unique"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N8"
    source: ClassVar[str] = "v3 01/14 ioasid.rst; V4 09/18 ioasid_alloc and ioasid_attach_spid"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PasidAllocated,
        PasidReclaimed,
        SpidAttached,
        SpidDetached,
    )

    def __init__(self, machine: Machine) -> None:
        self.last = min(machine.pasids, PASID_COUNT - 1)
        self.used: dict[Pasid, tuple[Incarnation, int]] = {}
        """Numbers in use, with their life and set."""
        self.spids: dict[tuple[int, Gpasid], Pasid] = {}
        self.spid_of: dict[Pasid, tuple[int, Gpasid]] = {}

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PasidAllocated:
            return self._allocated(record, fact)
        if type(fact) is SpidAttached:
            return self._attached(record, fact)
        if type(fact) is SpidDetached:
            self._detached(fact.pasid)
        elif type(fact) is PasidReclaimed:
            self.used.pop(fact.pasid, None)
            self._detached(fact.pasid)
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _allocated(self, record: Record, fact: PasidAllocated) -> str | None:
        used = self.used.get(fact.pasid)
        self.used[fact.pasid] = (fact.incarnation, fact.set)
        if used is None and PASID_MIN <= fact.pasid <= self.last:
            return None
        life = named(fact.pasid, fact.incarnation)
        if not PASID_MIN <= fact.pasid <= self.last:
            return (
                f"{life} was allocated at {when(record.stamp)}, "
                f"outside of {PASID_MIN} to {self.last}"
            )
        assert used is not None
        return (
            f"{life} was allocated at {when(record.stamp)}, "
            f"while life {used[0]} of the number was in use in set {used[1]}"
        )

    def _attached(self, record: Record, fact: SpidAttached) -> str | None:
        place = (fact.set, fact.spid)
        other = self.spids.get(place, fact.pasid)
        used = self.used.get(fact.pasid)
        self.spids[place] = fact.pasid
        self.spid_of[fact.pasid] = place
        owned = used is not None and used[1] == fact.set
        if owned and other == fact.pasid and fact.spid != INVALID_PASID:
            return None
        where = f"{named(fact.pasid, fact.incarnation)} at {when(record.stamp)}"
        if fact.spid == INVALID_PASID:
            return f"the invalid SPID was attached to {where}"
        if other != fact.pasid:
            return f"SPID {fact.spid} of set {fact.set} was attached to {where}, and names {other}"
        owner = "no set" if used is None else f"set {used[1]}"
        return f"SPID {fact.spid} of set {fact.set} was attached to {where}, which is in {owner}"

    def _detached(self, pasid: Pasid) -> None:
        place = self.spid_of.pop(pasid, None)
        if place is not None:
            self.spids.pop(place, None)
