"""O5: what an svm of an mm rests on goes in one order, each when the one before has gone."""

from typing import ClassVar, Final, TypeAlias

from protocol.facts import (
    DataDetached,
    DeviceTornDown,
    Event,
    MmNotifierRegistered,
    MmNotifierUnregistered,
    MsrCleared,
    PasidReclaimed,
    ReferenceDropped,
)
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Incarnation, Name, Pasid
from protocol.properties.property import Kind, Owed, named, when

Life: TypeAlias = tuple[Pasid, Incarnation]
STAGES: Final = (
    "torn down on a device",
    "off the mm's notifier list",
    "cleared in IA32_PASID",
    "without its private data",
    "put by the driver",
)


class UnbindOfAnMmInOrder:
    """An mm is unbound first; then notifier, MSR, private data and PASID go, in this order."""

    name: ClassVar[str] = "unbind-of-an-mm-in-order"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "O5"
    source: ClassVar[str] = "Linux 5.15 intel_svm_unbind_mm"
    observes: ClassVar[tuple[type[Event], ...]] = (
        MmNotifierRegistered,
        DeviceTornDown,
        MmNotifierUnregistered,
        MsrCleared,
        DataDetached,
        ReferenceDropped,
        PasidReclaimed,
    )

    def __init__(self, machine: Machine) -> None:
        self.passed: dict[Life, dict[int, tuple[Name, int]]] = {}
        """Of each bound life of an mm, the stages that are over, and in which input of whom."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is ReferenceDropped:
            if fact.holder == "iommu:svm":
                return self._at(record, (fact.pasid, fact.incarnation), 4)
        elif type(fact) is DeviceTornDown:
            return self._at(record, (fact.pasid, fact.incarnation), 0)
        elif type(fact) is DataDetached:
            return self._at(record, (fact.pasid, fact.incarnation), 3)
        elif type(fact) is MsrCleared:
            if fact.why == "unbind":  # A task that exits clears its own.
                return self._at(record, (fact.pasid, fact.incarnation), 2)
        elif type(fact) is MmNotifierUnregistered:
            return self._at(record, (fact.pasid, fact.incarnation), 1)
        elif type(fact) is PasidReclaimed:
            self.passed.pop((fact.pasid, fact.incarnation), None)
        elif type(fact) is MmNotifierRegistered:
            self.passed[fact.pasid, fact.incarnation] = {}
        return None

    def unmet(self) -> list[Owed]:
        return []

    def _at(self, record: Record, life: Life, stage: int) -> str | None:
        passed = self.passed.get(life)
        if passed is None:
            return None  # A guest's; or of an svm that is gone.
        stamp = record.stamp
        here = f"{named(*life)} was {STAGES[stage]} at {when(stamp)}"
        for other, (actor, n) in passed.items():
            if other > stage:
                return f"{here}, after it was {STAGES[other]}"
            if other < stage and not record.saw(actor, n):
                return f"{here}, not known to be after it was {STAGES[other]} ({actor}, input {n})"
        passed[stage] = (stamp.actor, stamp.n)
        return None
