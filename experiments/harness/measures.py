"""What a history costs, as numbers: messages, deliveries from free to reclaim, churn."""

from typing import Final

from msgspec import Struct

from protocol.facts import (
    DmaBlocked,
    FreeRequested,
    MessageSent,
    PageSettled,
    PasidAllocated,
    PasidReclaimed,
)
from protocol.history import Record
from protocol.names import Incarnation, Pasid

INVALID: Final = 1
"""The response code of a page request that nobody serves."""


class Measures(Struct):
    """`reclaims`: deliveries from each effective free to its reclaim.

    `faults`: accesses of devices that were blocked; `invalid`: page requests answered INVALID.
    Both are the churn of a cleanup in the wrong order (S19): nothing is corrupted, but devices run
    into what is being taken away.
    """

    lives: int = 0
    messages: int = 0
    faults: int = 0
    invalid: int = 0
    reclaims: list[int] = []

    def add(self, other: "Measures") -> None:
        """Those of another history, too."""
        self.lives += other.lives
        self.messages += other.messages
        self.faults += other.faults
        self.invalid += other.invalid
        self.reclaims += other.reclaims


class Measuring:
    """Takes the measures of a history, record by record."""

    def __init__(self) -> None:
        self.measures = Measures()
        self._freed: dict[tuple[Pasid, Incarnation], int] = {}

    def __call__(self, record: Record) -> None:
        fact, measures = record.fact, self.measures
        if type(fact) is MessageSent:
            measures.messages += 1
        elif type(fact) is PasidAllocated:
            measures.lives += 1
        elif type(fact) is FreeRequested:
            if fact.effective:
                self._freed[fact.pasid, fact.incarnation] = record.stamp.step
        elif type(fact) is PasidReclaimed:
            freed = self._freed.pop((fact.pasid, fact.incarnation), None)
            if freed is not None:
                measures.reclaims.append(record.stamp.step - freed)
        elif type(fact) is DmaBlocked:
            measures.faults += 1
        elif type(fact) is PageSettled:
            measures.invalid += fact.code == INVALID
