"""N7: whoever can still make hardware use a PASID keeps the number from being reused."""

from typing import ClassVar, TypeAlias

from msgspec import Struct

from protocol.facts import (
    Event,
    PasidLinked,
    PasidReclaimed,
    PasidUnlinked,
    ReferenceDropped,
    ReferenceTaken,
    SlotCleared,
    SlotProgrammed,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    TranslationWritten,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Open: TypeAlias = TranslationWritten | SlotProgrammed | SvmCreated | PasidLinked
Close: TypeAlias = TranslationCleared | SlotCleared | SvmFreed | PasidUnlinked


class Holding(Struct, gc=False):
    """What one holder has on one life: references and contexts, and where it got the last of each.

    `taken_n` is an input of `taken_by`, `closed_n` one of `closed_by`.
    """

    references: int = 0
    contexts: int = 0
    taken_by: Name = ""
    taken_n: int = 0
    closed_by: Name = ""
    closed_n: int = 0


class ContextsHoldReferences:
    """A context is open only while its holder has a reference, and is closed before its put."""

    name: ClassVar[str] = "contexts-hold-references"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "N7"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, reference counting"
    observes: ClassVar[tuple[type[Event], ...]] = (
        ReferenceTaken,
        ReferenceDropped,
        TranslationWritten,
        TranslationCleared,
        SlotProgrammed,
        SlotCleared,
        SvmCreated,
        SvmFreed,
        PasidLinked,
        PasidUnlinked,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.lives: dict[Pasid, tuple[Incarnation, dict[str, Holding]]] = {}
        """The life of each number in use, and its holders."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceTaken:
            self._taken(record, fact)
        elif type(fact) is ReferenceDropped:
            return self._dropped(record, fact)
        if type(fact) is PasidReclaimed:
            self.lives.pop(fact.pasid, None)
        elif type(fact) is PasidLinked:
            return self._opened(record, fact, "vfio:owner")
        if type(fact) is PasidUnlinked:
            self._closed(record, fact, "vfio:owner")
        elif type(fact) is SvmCreated:
            return self._opened(record, fact, "iommu:svm")
        if type(fact) is SvmFreed:
            self._closed(record, fact, "iommu:svm")
        elif type(fact) is SlotProgrammed:
            return self._opened(record, fact, f"{record.stamp.actor}:{fact.vm}:{fact.slot}")
        if type(fact) is SlotCleared:
            self._closed(record, fact, f"{record.stamp.actor}:{fact.vm}:{fact.slot}")
        elif type(fact) is TranslationWritten:
            return self._opened(record, fact, f"{record.stamp.actor}:translation")
        if type(fact) is TranslationCleared:
            self._closed(record, fact, f"{record.stamp.actor}:translation")
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _taken(self, record: Record, fact: ReferenceTaken) -> None:
        life = self.lives.get(fact.pasid)
        if life is None:
            life = self.lives[fact.pasid] = (fact.incarnation, {})
        holding = life[1].get(fact.holder)
        if holding is None:
            holding = life[1][fact.holder] = Holding()
        holding.references += 1
        holding.taken_by, holding.taken_n = record.stamp.actor, record.stamp.n

    def _dropped(self, record: Record, fact: ReferenceDropped) -> str | None:
        holding = self._holding(fact.pasid, fact.incarnation, fact.holder)
        if holding is None or holding.references == 0:
            return None  # Nothing of it is left: references-add-up says so.
        holding.references -= 1
        if holding.contexts > holding.references:
            return f"{_drop(record, fact)}, while its context was open"
        if holding.closed_n and not record.saw(holding.closed_by, holding.closed_n):
            return (
                f"{_drop(record, fact)}, not known to be after its context was closed "
                f"(input {holding.closed_n} of {holding.closed_by})"
            )
        if holding.references == 0:
            del self.lives[fact.pasid][1][fact.holder]
        return None

    def _opened(self, record: Record, fact: Open, holder: str) -> str | None:
        """`holder` is the ledger entry that the context rests on."""
        holding = self._holding(fact.pasid, fact.incarnation, holder)
        if holding is None or holding.contexts >= holding.references:
            return f"{_opening(record, fact, holder)} without a reference of its own"
        holding.contexts += 1
        if not record.saw(holding.taken_by, holding.taken_n):
            return (
                f"{_opening(record, fact, holder)}, not known to be after its reference "
                f"was granted (input {holding.taken_n} of {holding.taken_by})"
            )
        return None

    def _closed(self, record: Record, fact: Close, holder: str) -> None:
        holding = self._holding(fact.pasid, fact.incarnation, holder)
        if holding is not None and holding.contexts > 0:
            holding.contexts -= 1
            holding.closed_by, holding.closed_n = record.stamp.actor, record.stamp.n

    def _holding(self, pasid: Pasid, incarnation: Incarnation, holder: str) -> Holding | None:
        """What the holder has on that life (ghost 0: on the present one)."""
        life = self.lives.get(pasid)
        if life is None or incarnation not in (0, life[0]):
            return None
        return life[1].get(holder)


def _drop(record: Record, fact: ReferenceDropped) -> str:
    life = named(fact.pasid, fact.incarnation)
    return f"the reference of {fact.holder} on {life} was dropped at {when(record.stamp)}"


def _opening(record: Record, fact: Open, holder: str) -> str:
    life = named(fact.pasid, fact.incarnation)
    return f"a context of {holder} on {life} was opened at {when(record.stamp)}"
