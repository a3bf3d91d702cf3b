"""What a history costs, as numbers: messages, deliveries from free to reclaim, churn."""

from typing import Final

from msgspec import Struct

from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Lesson, Order, Strategy, make
from clusters.sim.world import Setup, World
from protocol.effects import Send
from protocol.facts import (
    DmaBlocked,
    Event,
    FreeRequested,
    PageSettled,
    PasidAllocated,
    PasidReclaimed,
)
from protocol.messages import AnyMessage
from protocol.names import Incarnation, Name, Pasid

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


class MeasuredWorld(World):
    """A run that takes its own measures.

    They need few facts, and of a message only that it was sent: no history is written for them.
    """

    __slots__ = ("_freed", "measures")

    def __init__(self, setup: Setup, strategy: Strategy) -> None:
        super().__init__(setup, strategy)
        self.measures = Measures(reclaims=[])
        self._freed: dict[tuple[Pasid, Incarnation], int] = {}

    def deliver(self, slot: int) -> None:
        out = self.network.receivers[slot].out
        super().deliver(slot)
        for effect in out.effects:
            if isinstance(effect, Send):
                self.measures.messages += 1
        for fact in out.facts:
            self._measure(fact)

    def tell(self, to: Name, message: AnyMessage) -> None:
        self.measures.messages += 1
        super().tell(to, message)

    def _measure(self, fact: Event) -> None:
        measures = self.measures
        if type(fact) is PasidAllocated:
            measures.lives += 1
        elif type(fact) is FreeRequested:
            if fact.effective:
                self._freed[fact.pasid, fact.incarnation] = self.step
        elif type(fact) is PasidReclaimed:
            freed = self._freed.pop((fact.pasid, fact.incarnation), None)
            if freed is not None:
                measures.reclaims.append(self.step - freed)
        elif type(fact) is DmaBlocked:
            measures.faults += 1
        elif type(fact) is PageSettled:
            measures.invalid += fact.code == INVALID


def measured(setup: Setup, order: Order) -> tuple[RunResult, Lesson, Measures]:
    """One run of a campaign, what it taught, and its measures."""
    scout = make(order.strategy, order.seed, setup.nemeses)
    world = MeasuredWorld(setup, scout)
    return world.run(), scout.lesson(), world.measures
