"""The stage of the scenarios: a script, what is kept waiting until when, and the history of it.

Everything that is not kept waiting happens in any order, another one with each seed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import pytest

from clusters.cluster import ActorClass, Role
from clusters.nemesis import Nemesis
from clusters.sim.run_result import RunResult
from clusters.sim.tape import words
from clusters.sim.world import World
from protocol.facts import Event
from protocol.history import Record
from protocol.messages import AnyMessage
from protocol.names import Name
from tests.worlds import assert_fine, with_faults, world_of

F = TypeVar("F", bound=Event)

any_order = pytest.mark.parametrize("seed", range(8))
"""Several schedules, all of which keep waiting what the scenario says."""


@dataclass(frozen=True)
class Mark:
    """A moment of a history: this kind of fact, with these fields, for the `count`-th time."""

    kind: type[Event]
    fields: Mapping[str, object]
    by: Name = ""
    count: int = 1


def when(kind: type[Event], by: Name = "", count: int = 1, **fields: object) -> Mark:
    """The moment of the `count`-th such fact; of this actor, if one is named."""
    return Mark(kind, fields, by, count)


def fits(record: Record, mark: Mark) -> bool:
    """Whether it is such a fact."""
    return (
        isinstance(record.fact, mark.kind)
        and mark.by in {"", record.stamp.actor}
        and all(getattr(record.fact, key) == value for key, value in mark.fields.items())
    )


@dataclass(frozen=True)
class Hold:
    """No `message` is delivered to `to` before the mark; what is behind it on its link waits.

    A hold with `since` begins only there.
    """

    to: Name
    message: type[AnyMessage]
    until: Mark
    sender: Name = ""
    since: Mark | None = None


class Countdown:
    """How often a mark has still to come."""

    def __init__(self, mark: Mark | None) -> None:
        self._mark = mark
        self._left = 0 if mark is None else mark.count

    @property
    def is_over(self) -> bool:
        """Whether the moment has come."""
        return self._left <= 0

    def look(self, record: Record) -> None:
        """One more record."""
        if self._mark is not None and fits(record, self._mark):
            self._left -= 1


class Director:
    """A strategy: at random, but what is held waits for its mark."""

    name = "director"

    def __init__(self, seed: int, holds: tuple[Hold, ...], history: list[Record]) -> None:
        self.seed = seed
        self._random = Random(seed)
        self._history = history
        self._read = 0
        self._holds = [(hold, Countdown(hold.since), Countdown(hold.until)) for hold in holds]

    def choose(self, world: World) -> int:
        self._look()
        enabled = world.network.enabled
        possible = [slot for slot in enabled if not self._is_held(world, slot)]
        if not possible:
            held = "; ".join(words(world.network.names[slot]) for slot in enabled)
            pytest.fail(f"the scenario cannot go on, all that is left is kept waiting: {held}")
        return self._random.choice(possible)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        """As the fault plan says, which for a scenario is always the n-th passage."""
        passage = (site, actor, world.passages[actor, site])
        return any((one.site, one.target, one.nth) == passage for one in world.setup.nemeses)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        return self._random.randrange(bound)

    def _look(self) -> None:
        """What has come to pass since the last choice."""
        for record in self._history[self._read :]:
            for _, since, until in self._holds:
                since.look(record)
                until.look(record)
        self._read = len(self._history)

    def _is_held(self, world: World, slot: int) -> bool:
        network = world.network
        message = network.queues[slot][0][0]
        return any(
            since.is_over
            and not until.is_over
            and isinstance(message, hold.message)
            and network.receivers[slot].name == hold.to
            and hold.sender in {"", network.senders[slot]}
            for hold, since, until in self._holds
        )


@dataclass(frozen=True)
class Play:
    """A run that came to rest as it should, and its history."""

    history: list[Record]
    result: RunResult

    def of(self, kind: type[F], by: Name = "", **fields: object) -> list[F]:
        """The facts of this kind with these fields, in order."""
        mark = Mark(kind, fields, by)
        found = [record.fact for record in self.history if fits(record, mark)]
        return [fact for fact in found if isinstance(fact, kind)]

    def all_at(self, kind: type[Event], by: Name = "", **fields: object) -> list[int]:
        """Where in the history they are."""
        mark = Mark(kind, fields, by)
        return [place for place, record in enumerate(self.history) if fits(record, mark)]

    def at(self, kind: type[Event], by: Name = "", **fields: object) -> int:
        """Where in the history it is; there is one."""
        places = self.all_at(kind, by, **fields)
        assert len(places) == 1, f"{len(places)} of {kind.__name__} with {fields}"
        return places[0]


def play(
    text: str,
    *holds: Hold,
    seed: int = 0,
    classes: Mapping[Role, ActorClass] | None = None,
    faults: tuple[Nemesis, ...] = (),
) -> Play:
    """The experiment as directed; every property holds, and every *eventually* is met."""
    history: list[Record] = []
    setup = with_faults(world_of(text, classes), *faults)
    result = World(setup, Director(seed, holds, history), history.append).run()
    assert_fine(result, f"seed {seed}")
    return Play(history, result)


# --- Experiments ----------------------------------------------------------------------------------


def experiment(*tables: str, pasids: int = 2, guests: int = 1, groups: str = "") -> str:
    """One of so many guests, with the devices and processes that the tables say."""
    said = f"groups = {groups}" if groups else ""
    head = f'title = "A scenario"\n[pool]\npasids = {pasids}\n[guests]\ncount = {guests}\n{said}\n'
    return head + "\n".join(tables)


def device(name: Name, wq: str = "shared", *, unit: Name = "dmar0", pasids: int = 1 << 20) -> str:
    """A device of the machine."""
    keys = f'name = "{name}"\nunit = "{unit}"\nwq = "{wq}"\npasids = {pasids}'
    return f"[[machine.device]]\n{keys}"


def script(name: Name, *steps: str) -> str:
    """What a process does."""
    lines = ",\n".join(f"    {step!r}" for step in steps)
    return f"[[process]]\nname = {name!r}\nsteps = [\n{lines},\n]"
