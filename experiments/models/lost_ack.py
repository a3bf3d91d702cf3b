"""Model B with one acknowledgement that does not come, or comes twice: models D and E.

Model D: a wire loses or doubles one answer, whichever, and asks again for a lost one.  The actors
of model B count a put twice then, and the PASID's count goes below zero; or a get, and it never
comes down to zero.  `careful` actors know what they have done.

Model E: the wire loses the last answer of all.  If it does not ask again, the PASID is never
retired; if it does, it is.  A wire that loses each answer asks for ever.
"""

from dataclasses import replace
from typing import ClassVar, Final

from clusters.cluster import Actor
from clusters.nemesis import Nemesis
from clusters.sim.world import Setup
from experiments.models.careful import CarefulAllocator, CarefulUser, TellingAllocator
from experiments.models.refcount import (
    ALLOCATOR,
    NOTHING,
    ROUNDS_B,
    USERS,
    NoBindAfterRetire,
    User,
)
from experiments.models.wire import DOUBLE, LOSE, USER, WIRE, FinalWire, Wire
from protocol.facts import Event, PasidReclaimed, ReferenceDropped
from protocol.history import Record
from protocol.machine import Machine
from protocol.names import Name
from protocol.properties.property import Kind, Owed


class CountNotNegative:
    """More is never put than was got."""

    name: ClassVar[str] = "count-not-negative"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "B2"
    source: ClassVar[str] = "model D of the yardsticks"
    observes: ClassVar[tuple[type[Event], ...]] = (ReferenceDropped,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        match record.fact:
            case ReferenceDropped(holder=holder, refs=refs) if refs < 0:
                return f"a put of {holder} left {refs} references"
        return None

    def unmet(self) -> list[Owed]:
        return []


class RetiredAtLast:
    """The PASID is retired when all have said good-bye, which all do at last."""

    name: ClassVar[str] = "retired-at-last"
    kind: ClassVar[Kind] = Kind.EVENTUALLY
    invariant: ClassVar[str] = "B3"
    source: ClassVar[str] = "model E of the yardsticks"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidReclaimed,)

    def __init__(self, machine: Machine) -> None:
        self.retired = False

    def observe(self, record: Record) -> str | None:
        self.retired = True
        return None

    def unmet(self) -> list[Owed]:
        return (
            []
            if self.retired
            else [Owed("the PASID is not retired", (0, ALLOCATOR, 0), (ALLOCATOR,))]
        )


def at_least_once() -> dict[Name, Actor]:
    """Model D: the actors of model B, one of them behind the wire."""
    actors: dict[Name, Actor] = {ALLOCATOR: TellingAllocator(USERS), WIRE: Wire()}
    actors[USER] = User(ROUNDS_B, WIRE)
    return actors | {f"user{k}": User(ROUNDS_B) for k in range(2, USERS + 1)}


def careful(wire: Wire) -> dict[Name, Actor]:
    """The same, who know what they have done."""
    actors: dict[Name, Actor] = {ALLOCATOR: CarefulAllocator(USERS), WIRE: wire}
    actors[USER] = CarefulUser(ROUNDS_B, WIRE)
    return actors | {f"user{k}": CarefulUser(ROUNDS_B) for k in range(2, USERS + 1)}


def mended() -> dict[Name, Actor]:
    """Model D without its mistake."""
    return careful(Wire())


def unasked() -> dict[Name, Actor]:
    """Model E: nobody asks again."""
    return careful(FinalWire(retry=False))


def retried() -> dict[Name, Actor]:
    """Model E without its mistake."""
    return careful(FinalWire())


def endless() -> dict[Name, Actor]:
    """Model E, where asking again is no use."""
    return careful(FinalWire(heals=False))


JUDGED: Final = (CountNotNegative, NoBindAfterRetire, RetiredAtLast)
EITHER: Final = tuple(Nemesis("fail", site=site.name, probability=0.1) for site in (LOSE, DOUBLE))
MODEL_D: Final = Setup(
    NOTHING, cast=at_least_once, properties=JUDGED, nemeses=EITHER, experiment="model D"
)
MENDED_D: Final = replace(MODEL_D, cast=mended)
MODEL_E: Final = Setup(NOTHING, cast=unasked, properties=JUDGED, experiment="model E")
RETRIED_E: Final = replace(MODEL_E, cast=retried)
ENDLESS_E: Final = replace(MODEL_E, cast=endless, max_steps=500, quiet_steps=500)
