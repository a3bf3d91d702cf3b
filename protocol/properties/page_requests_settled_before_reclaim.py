"""R5: a request that is left over is looked up under the number's next owner (S12)."""

from typing import ClassVar

from protocol.facts import (
    Event,
    HostGone,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    PasidReclaimed,
    RequestRinged,
    RequestTaken,
)
from protocol.facts.iommu_core import GlobalPasidFreed
from protocol.history import Record
from protocol.machine import Machine
from protocol.properties.property import BeforeReclaim, Kind, Owed, Thing


class PageRequestsSettledBeforeReclaim:
    """A PASID is reclaimed only when no ring, no driver and no device has a page request of it."""

    name: ClassVar[str] = "page-requests-settled-before-reclaim"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "R5"
    source: ClassVar[str] = "VT-d specification 5.10, 7.11; Linux 5.15 intel_svm_drain_prq"
    observes: ClassVar[tuple[type[Event], ...]] = (
        PageRequested,
        PageSettled,
        RequestRinged,
        RequestTaken,
        PageReported,
        PageAnswered,
        PasidReclaimed,
        GlobalPasidFreed,
        HostGone,
    )

    def __init__(self, machine: Machine) -> None:
        self.requests = BeforeReclaim(machine)

    def observe(self, record: Record) -> str | None:
        fact = record.fact
        if type(fact) is PageRequested:
            return self.requests.begins(record, fact.pasid, fact.incarnation, _owed(fact))
        if type(fact) is PageSettled:
            self.requests.ends(record, fact.pasid, _owed(fact))
        elif type(fact) is RequestRinged:
            return self.requests.begins(record, fact.pasid, fact.incarnation, _ringed(fact))
        if type(fact) is RequestTaken:
            # A group may have several requests in the ring.
            self.requests.ends_once(record, fact.pasid, _ringed(fact))
        elif type(fact) is PageReported:
            return self.requests.begins(record, fact.pasid, fact.incarnation, _reported(fact))
        if type(fact) is PageAnswered:
            self.requests.ends(record, fact.pasid, _reported(fact))
        elif type(fact) is PasidReclaimed or type(fact) is GlobalPasidFreed:
            return self.requests.reclaimed(record, fact)
        if type(fact) is HostGone:
            self.requests.lost(record.stamp.actor)
        return None

    def unmet(self) -> list[Owed]:
        return []


def _owed(fact: PageRequested | PageSettled) -> Thing:
    return ("page group {} owed to {}", fact.group, fact.device)


def _ringed(fact: RequestRinged | RequestTaken) -> Thing:
    return ("page group {} of {} in the ring of {}", fact.group, fact.device, fact.unit)


def _reported(fact: PageReported | PageAnswered) -> Thing:
    return ("page group {} of {} reported and not answered", fact.group, fact.device)
