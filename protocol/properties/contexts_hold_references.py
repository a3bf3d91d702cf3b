"""N7: whoever can still make hardware use a PASID keeps the number from being reused."""

from dataclasses import dataclass
from typing import ClassVar, TypeAlias, assert_never

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


@dataclass(slots=True)
class Holding:
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
        match record.fact:
            case ReferenceTaken() as fact:
                self._taken(record, fact)
            case ReferenceDropped() as fact:
                return self._dropped(record, fact)
            case PasidReclaimed() as fact:
                self.lives.pop(fact.pasid, None)
            case PasidLinked() | SlotProgrammed() | SvmCreated() | TranslationWritten() as fact:
                return self._opened(record, fact)
            case PasidUnlinked() | SlotCleared() | SvmFreed() | TranslationCleared() as fact:
                self._closed(record, fact)
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

    def _opened(self, record: Record, fact: Open) -> str | None:
        holder = _holder(record, fact)
        holding = self._holding(fact.pasid, fact.incarnation, holder)
        if holding is None or holding.contexts >= holding.references:
            return f"{_opening(record, fact)} without a reference of its own"
        holding.contexts += 1
        if not record.saw(holding.taken_by, holding.taken_n):
            return (
                f"{_opening(record, fact)}, not known to be after its reference "
                f"was granted (input {holding.taken_n} of {holding.taken_by})"
            )
        return None

    def _closed(self, record: Record, fact: Close) -> None:
        holding = self._holding(fact.pasid, fact.incarnation, _holder(record, fact))
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


def _opening(record: Record, fact: Open) -> str:
    life = named(fact.pasid, fact.incarnation)
    return f"a context of {_holder(record, fact)} on {life} was opened at {when(record.stamp)}"


def _holder(record: Record, fact: Open | Close) -> str:
    """The ledger entry that the context rests on."""
    match fact:
        case PasidLinked() | PasidUnlinked():
            return "vfio:owner"
        case SlotProgrammed() | SlotCleared():
            return f"{record.stamp.actor}:{fact.vm}:{fact.slot}"
        case SvmCreated() | SvmFreed():
            return "iommu:svm"
        case TranslationWritten() | TranslationCleared():
            return f"{record.stamp.actor}:translation"
        case _:
            assert_never(fact)
