"""Witness: the drain had something to drain (S12)."""

from typing import ClassVar

from protocol.facts import DrainScanned, Event
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import Kind, Owed, named, when


class DrainWithRequestInRing:
    """A drain found page requests of its PASID in the ring."""

    name: ClassVar[str] = "drain-with-request-in-ring"
    kind: ClassVar[Kind] = Kind.SOMETIMES
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "Linux 5.15 intel_svm_drain_prq"
    observes: ClassVar[tuple[type[Event], ...]] = (DrainScanned,)

    def __init__(self, machine: Machine) -> None:
        """It remembers nothing."""

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is DrainScanned and fact.found > 0:
            life = named(fact.pasid, fact.incarnation)
            return (
                f"a drain of {life} on {fact.device} found {fact.found} requests in the ring "
                f"at {when(record.stamp)}"
            )
        return None

    def unmet(self) -> list[Owed]:
        return []
