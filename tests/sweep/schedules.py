"""The schedules of the sweep: a run without faults, and the same run struck at one place.

A place is a number of choices of the first run: the fault comes right after them.
"""

from dataclasses import dataclass
from functools import cache

from clusters.cluster import names
from clusters.sim.replay import Recorded
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Choice, Deliver, Fire, Heal, Tape
from clusters.sim.world import Setup, World, simulate
from protocol.facts import Event, HostCrashed, HostStarted
from protocol.history import Record
from protocol.names import SUPERVISOR, Name
from tests.sweep.scripts import SCRIPTS
from tests.worlds import assert_fine, world_of

Told = list[tuple[Name, int, Event]]
"""What the actors got, sent and stated: who, at which of its inputs, and what."""


@dataclass(frozen=True, slots=True)
class Base:
    """A run without faults."""

    setup: Setup
    tape: Tape
    told: Told
    places: dict[Name, tuple[int, ...]]


def actors_of(script: str) -> list[Name]:
    """All that take part in a script."""
    return list(names(world_of(SCRIPTS[script]).machine))


@cache
def base_of(script: str) -> Base:
    """One run of a script, by the random walk."""
    setup = world_of(SCRIPTS[script])
    history: list[Record] = []
    result = simulate(setup, 1, history=history.append)
    assert_fine(result, script)
    tape = result.tape
    return Base(setup, tape, told_in(history), places_in(tape.choices, list(result.world.hosts)))


def told_in(history: list[Record]) -> Told:
    """All but what the world says, which has crashes in it."""
    return [
        (record.stamp.actor, record.stamp.n, record.fact)
        for record in history
        if record.stamp.actor != SUPERVISOR
        and not isinstance(record.fact, HostCrashed | HostStarted)
    ]


def places_in(choices: tuple[Choice, ...], actors: list[Name]) -> dict[Name, tuple[int, ...]]:
    """For each actor the places right after its inputs, the first of which is its `Start`.

    What an actor draws belongs to its input.  After the last input of all nothing is chosen.
    """
    taken = [at for at, choice in enumerate(choices) if isinstance(choice, Deliver | Fire)]
    ends = [*taken[1:], len(choices)]
    places: dict[Name, list[int]] = {actor: [taken[0]] for actor in actors}
    for at, end in zip(taken[:-1], ends, strict=False):
        match choices[at]:
            case Deliver(destination=actor) | Fire(actor=actor):
                places[actor].append(end)
            case _:
                pass
    return {actor: tuple(found) for actor, found in places.items()}


class Struck:
    """A strategy: the tape up to a place, there a fault, and from there on at random.

    A fault that lasts is healed when nothing else can happen any more: the world sees to that.
    """

    name = "struck"

    __slots__ = ("_fault", "_left", "_tape", "_walk", "seed")

    def __init__(self, tape: Tape, place: int, fault: Begin, seed: int = 0) -> None:
        self.seed = seed
        self._fault = fault
        self._left = place
        self._tape = Recorded(tape)
        self._walk = RandomWalk(place << 8 | seed)

    def choose(self, world: World) -> int:
        self._left -= 1
        if self._left == -1:
            return world.book.entry(self._fault)
        return self._turn().choose(world)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        self._left -= 1
        return self._turn().fails(world, actor, site)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        self._left -= 1
        return self._turn().draw(world, actor, bound)

    def _turn(self) -> Recorded | RandomWalk:
        return self._tape if self._left >= 0 else self._walk


class Blinking:
    """A strategy: the whole tape, and at each place a fault that is over before anything else."""

    name = "blinking"

    __slots__ = ("_fault", "_passed", "_places", "_tape", "seed")

    def __init__(self, tape: Tape, places: tuple[int, ...], fault: Begin) -> None:
        self.seed = tape.seed
        self._fault = fault
        self._passed = 0
        self._places = list(places)
        self._tape = Recorded(tape)

    def choose(self, world: World) -> int:
        fault, target = self._fault.fault, self._fault.target
        if (fault, target) in world.faults.active:
            return world.book.entry(Heal(fault, target))
        if self._places[:1] == [self._passed]:
            self._places.pop(0)
            return world.book.entry(self._fault)
        self._passed += 1
        return self._tape.choose(world)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        self._passed += 1
        return self._tape.fails(world, actor, site)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        self._passed += 1
        return self._tape.draw(world, actor, bound)
