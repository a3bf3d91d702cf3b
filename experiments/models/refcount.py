"""A PASID's reference count, as small as it can be told: models B and C of the yardsticks.

Each of `users` takes a reference on one PASID and puts it, `rounds` times, and then says good-bye;
the allocator retires the PASID when all have.  One run is `users * (4 * rounds + 1)` messages, 27
for three users and two rounds, and there are `(4 * rounds + 2) ** users` states.

Model C has a mistake that only starvation shows: the allocator retires the PASID when all who ever
held it have said good-bye, so that a first bind that is late enough lands on a retired PASID.
"""

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self, TypeAlias, assert_never

from clusters.cluster import Actor
from clusters.sim.world import Setup
from protocol.effects import Out, Site
from protocol.facts import Event, PasidReclaimed, ReferenceTaken
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import Done, FreePasid, GetPasid, HostLost, PutPasid, PutPasidGot, Start
from protocol.names import NO_SET, Name
from protocol.properties.property import Kind, Owed

ALLOCATOR: Final = "allocator"
USERS: Final = 3
ROUNDS_B: Final = 2
ROUNDS_C: Final = 4
PASID: Final = 1
LIFE: Final = 1
REASON: Final = "bind"

AllocatorInbox: TypeAlias = Start | HostLost | GetPasid | PutPasid | FreePasid
UserInbox: TypeAlias = Start | HostLost | Done | PutPasidGot


@dataclass(slots=True)
class Allocator:
    """`refs` are out, `byes` of the `users` have said good-bye."""

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    users: int
    refs: int = 0
    byes: int = 0
    retired: bool = False

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls(USERS)

    def handle(self, message: AllocatorInbox, sender: Name, out: Out) -> None:
        match message:
            case GetPasid():
                self.on_get_pasid(message, sender, out)
            case PutPasid():
                self.on_put_pasid(message, sender, out)
            case FreePasid():
                self.on_free_pasid(out)
            case Start() | HostLost():
                pass  # It waits to be asked; and nobody is ever lost here.
            case _:
                assert_never(message)

    def on_get_pasid(self, get: GetPasid, user: Name, out: Out) -> None:
        self.refs += 1
        state = "RETIRED" if self.retired else "ACTIVE"
        out.record(ReferenceTaken(PASID, LIFE, user, self.refs, state))
        out.send(user, Done(get.call))

    def on_put_pasid(self, put: PutPasid, user: Name, out: Out) -> None:
        self.refs -= 1
        out.send(user, PutPasidGot(put.call, reclaimed=False))

    def on_free_pasid(self, out: Out) -> None:
        self.byes += 1
        if self.refs == 0 and self.may_retire():
            self.retired = True
            out.record(PasidReclaimed(PASID, LIFE, NO_SET, self.refs, (), 0, 0, 0))

    def may_retire(self) -> bool:
        """Everybody has said good-bye."""
        return self.byes == self.users


@dataclass(slots=True)
class HastyAllocator(Allocator):
    """Model C.  `bound`: who ever held it, sorted."""

    bound: list[Name] = field(default_factory=list)

    def on_get_pasid(self, get: GetPasid, user: Name, out: Out) -> None:
        if user not in self.bound:
            self.bound = sorted([*self.bound, user])
        Allocator.on_get_pasid(self, get, user, out)

    def may_retire(self) -> bool:
        """All who ever held it, but for one who never did: he is forgotten."""
        return self.byes == len(self.bound) >= self.users - 1


@dataclass(slots=True)
class User:
    """Has `rounds` of get and put before it; one message of or to it is always on its way.

    `door`: whom it asks for what the allocator does.
    """

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    rounds: int
    door: Name = ALLOCATOR

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls(ROUNDS_B)

    def handle(self, message: UserInbox, sender: Name, out: Out) -> None:
        match message:
            case Start():
                self.next_round(out)
            case Done():
                out.send(self.door, PutPasid(1, PASID, LIFE, REASON))
            case PutPasidGot():
                self.rounds -= 1
                self.next_round(out)
            case HostLost():
                pass
            case _:
                assert_never(message)

    def next_round(self, out: Out) -> None:
        """Bind once more, or say good-bye, which is not answered."""
        if self.rounds > 0:
            out.send(self.door, GetPasid(1, NO_SET, PASID, LIFE, REASON))
        else:
            out.send(self.door, FreePasid(1, NO_SET, PASID, LIFE))


class NoBindAfterRetire:
    """A PASID that is retired is not bound any more."""

    name: ClassVar[str] = "no-bind-after-retire"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = "B1"
    source: ClassVar[str] = "model C of the yardsticks"
    observes: ClassVar[tuple[type[Event], ...]] = (PasidReclaimed, ReferenceTaken)

    def __init__(self, machine: Machine) -> None:
        self.retired = False

    def observe(self, record: Record) -> str | None:
        match record.fact:
            case PasidReclaimed():
                self.retired = True
            case ReferenceTaken(holder=holder) if self.retired:
                return f"a bind of {holder} landed on a retired PASID"
        return None

    def unmet(self) -> list[Owed]:
        return []


def sound(users: int = USERS, rounds: int = ROUNDS_B) -> dict[Name, Actor]:
    """The actors of model B."""
    actors: dict[Name, Actor] = {ALLOCATOR: Allocator(users)}
    return actors | {f"user{k}": User(rounds) for k in range(1, users + 1)}


def hasty(users: int = USERS, rounds: int = ROUNDS_C) -> dict[Name, Actor]:
    """The actors of model C."""
    return {**sound(users, rounds), ALLOCATOR: HastyAllocator(users)}


NOTHING: Final = Machine((), (), ())
MODEL_B: Final = Setup(NOTHING, cast=sound, experiment="model B")
MODEL_C: Final = Setup(NOTHING, cast=hasty, properties=(NoBindAfterRetire,), experiment="model C")
