"""Tiny worlds made by chance, and all their schedules, one by one: what a search is held against.

An actor here has a table: what it does with a number that it is sent.  Each delivery sends at most
one message on, and each message can only travel so often, so that all schedules come to an end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import ClassVar, Self, TypeAlias

import msgspec

from clusters.cluster import Actor
from clusters.nemesis import Nemesis
from clusters.sim.run_result import RunResult
from clusters.sim.search.frozen import Plain, plain
from clusters.sim.tape import Begin
from clusters.sim.world import Setup, World
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import MemoryAllocated, MemoryFreed, MemoryUsed
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Start, TimerFired
from protocol.names import Name
from protocol.properties.no_use_after_free import NoUseAfterFree

VALUES = 3
"""What a message says: a number below this, and how often it may still travel."""
STATES = 3
THING = ("thing", "it")
SITE = Site("tiny.step", Errno.ENOMEM)

Rule: TypeAlias = tuple[int, Name, int, str, bool]
"""The next state; to whom, "" nobody; what it says; what happens to the thing; whether it draws."""


@dataclass(slots=True)
class Tabled:
    """Does what its table says; `table` is by state and value."""

    SITES: ClassVar[tuple[Site, ...]] = (SITE,)
    LOSABLE: ClassVar[bool] = True

    name: Name
    opening: tuple[tuple[Name, int], ...]
    table: tuple[tuple[Rule, ...], ...]
    state: int = 0
    heard: dict[Name, int] = field(default_factory=dict)

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        raise NotImplementedError

    def handle(self, message: Start | HostLost | TimerFired | Done, sender: Name, out: Out) -> None:
        if isinstance(message, Start):
            for to, value in self.opening:
                out.send(to, Done(value))
        elif isinstance(message, HostLost):
            self.state = 0
        elif isinstance(message, Done):
            self.on_done(message, sender, out)
        else:
            self.state = (self.state + 1) % STATES

    def on_done(self, done: Done, sender: Name, out: Out) -> None:
        left, value = divmod(done.call, VALUES)
        state, to, says, does, draws = self.table[self.state][value]
        self.heard = dict(sorted({**self.heard, sender: value}.items()))
        if draws:
            says = (says + out.draw(2)) % VALUES
        self.state = state
        match does:
            case "use":
                out.record(MemoryUsed(*THING))
            case "free":
                out.record(MemoryFreed(*THING))
            case "alloc":
                out.record(MemoryAllocated(*THING))
            case "timer":
                out.set_timer("later")
        if to and left:
            out.send(to, Done((left - 1) * VALUES + says))


class Namer(Tabled):
    """Does not treat all alike: one name is special."""

    __slots__ = ()

    def on_done(self, done: Done, sender: Name, out: Out) -> None:
        if sender == "user1":
            out.record(MemoryUsed(*THING))
        Tabled.on_done(self, done, sender, out)


def table(random: Random, others: list[Name]) -> tuple[tuple[Rule, ...], ...]:
    """A table made by chance."""
    return tuple(
        tuple(
            (
                random.randrange(STATES),
                random.choice([*others, *others, ""]),
                random.randrange(VALUES),
                random.choice(["", "", "use", "use", "free", "timer"]),
                random.random() < 0.1,
            )
            for _ in range(VALUES)
        )
        for _ in range(STATES)
    )


def opening(random: Random, others: list[Name], travels: int) -> tuple[tuple[Name, int], ...]:
    """What an actor sends first."""
    count = random.randrange(2)
    return tuple(
        (random.choice(others), travels * VALUES + random.randrange(VALUES)) for _ in range(count)
    )


def tiny(seed: int, travels: int = 2) -> Setup:
    """A world of two or three actors of different kinds."""
    random = Random(seed)
    names = ["a", "b", "c"][: random.choice([2, 3, 3])]
    made = {
        name: Tabled(
            name,
            opening(random, [n for n in names if n != name], travels),
            table(random, [n for n in names if n != name]),
        )
        for name in names
    }
    return setup_of(made)


def alike(seed: int, users: int = 3, travels: int = 2, kind: type[Tabled] = Tabled) -> Setup:
    """A hub, and users that are all alike."""
    random = Random(seed)
    names = [f"user{k}" for k in range(1, users + 1)]
    first = random.randrange(VALUES)
    rules = table(random, ["hub"])
    made: dict[Name, Tabled] = {"hub": Echo("hub", (), table(random, [""]))}
    for name in names:
        made[name] = kind(name, (("hub", travels * VALUES + first),), rules)
    return setup_of(made)


class Echo(Tabled):
    """Answers whoever asks, as its table says."""

    __slots__ = ()

    def on_done(self, done: Done, sender: Name, out: Out) -> None:
        Tabled.on_done(self, done, sender, out)
        left, value = divmod(done.call, VALUES)
        if left:
            out.send(sender, Done((left - 1) * VALUES + (value + self.state) % VALUES))


def setup_of(actors: dict[Name, Tabled]) -> Setup:
    """The setup; its actors are new in every world."""
    stored = {name: (type(actor), plain_fields(actor)) for name, actor in actors.items()}

    def cast() -> dict[Name, Actor]:
        return {name: kind(*parts) for name, (kind, parts) in stored.items()}

    return Setup(Machine((), (), ()), cast=cast, properties=(NoUseAfterFree,), max_steps=1000)


def plain_fields(
    actor: Tabled,
) -> tuple[Name, tuple[tuple[Name, int], ...], tuple[tuple[Rule, ...], ...]]:
    """What an actor is made of."""
    return actor.name, actor.opening, actor.table


# --- All schedules --------------------------------------------------------------------------------


class Counting:
    """A strategy that takes given turns, then the first ones, and notes how many there were."""

    name = "counting"
    seed = 0

    def __init__(self, turns: list[int]) -> None:
        self.turns = turns
        self.taken: list[int] = []
        self.widths: list[int] = []

    def turn(self, width: int) -> int:
        at = len(self.taken)
        turn = self.turns[at] if at < len(self.turns) else 0
        self.taken.append(turn)
        self.widths.append(width)
        return turn

    def choose(self, world: World) -> int:
        enabled = sorted(world.network.enabled)
        faults = [
            Begin("lose", target)
            for target in world.hosts
            if any(n.target == target for n in world.setup.nemeses)
            and world.faults.possible("lose", target)
            and not world.faults.lost
        ]
        turn = self.turn(len(enabled) + len(faults))
        if turn < len(enabled):
            return enabled[turn]
        return world.book.entry(faults[turn - len(enabled)])

    def fails(self, world: World, actor: Name, site: str) -> bool:
        return bool(self.turn(2))

    def draw(self, world: World, actor: Name, bound: int) -> int:
        return self.turn(bound)


def schedules(setup: Setup, at_most: int) -> Iterator[RunResult]:
    """Every schedule; `TooMany` if there are more."""
    turns: list[int] | None = []
    for _ in range(at_most):
        if turns is None:
            return
        strategy = Counting(turns)
        yield World(setup, strategy).run()
        turns = strategy.taken
        while turns and turns[-1] + 1 == strategy.widths[len(turns) - 1]:
            turns.pop()
        turns = [*turns[:-1], turns[-1] + 1] if turns else None
    raise TooManyError


class TooManyError(Exception):
    """More schedules than one wants to wait for."""


def without_ghosts(value: Plain) -> Plain:
    """Nested lists in which a ghost is a number like any other."""
    if not isinstance(value, list):
        return value
    if value[0] == "g":
        return value[1]
    return [value[0], *[without_ghosts(part) for part in value[1:]]]


def ends_of(result: RunResult) -> bytes:
    """All actors as they are at the end of a run, but for the lost."""
    lost = result.world.faults.lost
    return msgspec.msgpack.encode(
        [None if name in lost else plain(host.actor) for name, host in result.world.hosts.items()]
    )


def with_loss(setup: Setup, target: Name) -> Setup:
    """The same, and one actor may be lost once."""
    return replace(setup, nemeses=(Nemesis("lose", target, times=1),))
