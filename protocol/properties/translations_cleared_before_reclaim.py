"""R6: KVM's table is all that stands between a vCPU and a number that is no longer its own."""

from typing import ClassVar

from protocol.facts import (
    EnqcmdIssued,
    EnqcmdRetired,
    Event,
    PasidReclaimed,
    TranslationCleared,
    TranslationWritten,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing


class TranslationsClearedBeforeReclaim:
    """A PASID is reclaimed only when no vCPU can reach it, by table or by a command under way."""

    name: ClassVar[str] = "translations-cleared-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R6"
    source: ClassVar[str] = "v3 01/14 ioasid.rst, KVM section; DCP arch/x86/kvm/vmx/vmx.c"
    observes: ClassVar[tuple[type[Event], ...]] = (
        TranslationWritten,
        TranslationCleared,
        EnqcmdIssued,
        EnqcmdRetired,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.ways = BeforeReclaim()

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is TranslationWritten:
            return self.ways.begins(record, fact.pasid, fact.incarnation, _entry(fact))
        if type(fact) is TranslationCleared:
            self.ways.ends(record, fact.pasid, _entry(fact))
        elif type(fact) is EnqcmdIssued:
            return self.ways.begins(record, fact.pasid, fact.incarnation, _command(fact))
        if type(fact) is EnqcmdRetired:
            self.ways.ends_once(record, fact.pasid, _command(fact))
        elif type(fact) is PasidReclaimed:
            return self.ways.reclaimed(record, fact)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _entry(fact: TranslationWritten | TranslationCleared) -> Thing:
    return ("guest PASID {} in KVM's table of {}", fact.spid, fact.vm)


def _command(fact: EnqcmdIssued | EnqcmdRetired) -> Thing:
    return ("a command of {} on its way to {}", fact.vm, fact.device)
