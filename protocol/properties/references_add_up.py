"""N6: one put too many, and somebody else's reference is gone (S25)."""

from typing import ClassVar

from protocol.facts import Event, PasidReclaimed, ReferenceDropped, ReferenceTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Ledger, Owed, named, when


class ReferencesAddUp:
    """The count is the sum of what holders took and did not put; nobody puts more than it took."""

    name: ClassVar[str] = "references-add-up"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N6"
    source: ClassVar[str] = "V4 09/18 ioasid_get and ioasid_put"
    observes: ClassVar[tuple[type[Event], ...]] = (
        ReferenceTaken,
        ReferenceDropped,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.ledger = Ledger()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken:
            self.ledger.taken(fact)
            return self._compare(record, fact)
        if type(fact) is ReferenceDropped:
            if not self.ledger.dropped(fact):
                life = named(fact.pasid, fact.incarnation)
                return (
                    f"{fact.holder} put a reference on {life} that it did not hold, "
                    f"at {when(record.stamp)}"
                )
            return self._compare(record, fact)
        if type(fact) is PasidReclaimed:
            left, total = self.ledger.held_by(fact.pasid), self.ledger.total(fact.pasid)
            self.ledger.reclaimed(fact)
            if fact.refs != total:  # With the right count, it is unreferenced-at-reclaim's.
                return (
                    f"{named(fact.pasid, fact.incarnation)} was reclaimed at "
                    f"{when(record.stamp)} with a count of {fact.refs}, "
                    f"but {', '.join(left) or 'nobody'} had not put"
                )
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _compare(self, record: Record, fact: ReferenceTaken | ReferenceDropped) -> str | None:
        total = self.ledger.total(fact.pasid)
        if fact.refs == total:
            return None
        return (
            f"the core counts {fact.refs} references on {named(fact.pasid, fact.incarnation)} "
            f"at {when(record.stamp)}, its holders have {total}"
        )
