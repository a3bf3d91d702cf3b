"""A live run as a schedule of the simulator: its inputs as choices, in the order of re-execution.

A crash, a pause and whatever befell links are in it already: to the protocol they were delays, so
the order is all that is left of them.  A loss and a step that failed are choices of their own, and
so is a loss of memory, at the moment when the actor is told of it.
"""

from collections.abc import Collection
from pathlib import Path

from msgspec import Struct

from clusters.host import Answers
from clusters.live.chronicle import Stated, Told
from clusters.live.journal import Input
from clusters.live.reexecute import Reexecution
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Fire, Tape
from protocol.errors import DivergedError, IncompleteError, UnreadableError
from protocol.facts.world import HostGone
from protocol.messages import Start, TimerFired
from protocol.messages.amnesia import Forget
from protocol.names import Name


class Retold(Struct, frozen=True):
    """`tape`: what happened; `quiet`: nothing was left to happen then."""

    tape: Tape
    quiet: bool


def retold(folder: Path, seed: int, sites: Collection[str]) -> Retold:
    """The schedule of a stored live run, as far as it re-executes.

    `sites`: the fallible steps that the experiment's faults name; that others hold is no choice.
    """
    telling = Retelling(folder, sites)
    whole = True
    try:
        telling.run()
    except (DivergedError, IncompleteError, UnreadableError):
        whole = False  # What is wrong with it was said when it was judged.
    quiet = whole and telling.quiet and not telling.gaps
    return Retold(Tape(RandomWalk.name, seed, telling.choices), quiet)


class Heard(Answers):
    """Journalled answers, which become choices when they are given."""

    def __init__(self, sites: Collection[str]) -> None:
        super().__init__()
        self.sites = sites
        self.said: list[Choice] = []

    def fails(self, actor: Name, site: str) -> bool:
        failed = super().fails(actor, site)
        if site in self.sites:
            self.said.append(Fail(actor, site, failed))
        return failed

    def draw(self, actor: Name, bound: int) -> int:
        drawn = super().draw(actor, bound)
        if bound > 1:
            self.said.append(Draw(actor, drawn))
        return drawn


class Retelling(Reexecution):
    """The re-execution that notes what happens."""

    def __init__(self, folder: Path, sites: Collection[str]) -> None:
        super().__init__(folder, None)
        self.answers = self._heard = Heard(sites)
        for host in self.hosts.values():
            host.chance = self._heard
        self._starts: dict[Name, tuple[Choice, ...]] = {}
        self._choices: list[Choice] = []

    @property
    def choices(self) -> tuple[Choice, ...]:
        """A simulated world begins with every `Start`, which is each actor's first input."""
        starts = [choice for name in self.hosts for choice in self._starts.get(name, ())]
        return (*starts, *self._choices)

    def _input(self, entry: Input) -> None:
        said = self._heard.said = []
        super()._input(entry)
        match entry.message:
            case Start():
                self._starts[entry.actor] = tuple(said)
            case TimerFired(timer=timer):
                self._choices += [Fire(entry.actor, timer), *said]
            case _:
                self._choices += [Deliver(entry.source, entry.actor), *said]

    def _told(self, told: Told) -> None:
        super()._told(told)
        if isinstance(told.message, Forget):
            self._choices.append(Begin("amnesia", told.to))

    def _stated(self, stated: Stated) -> None:
        super()._stated(stated)
        if isinstance(stated.fact, HostGone):
            self._choices.append(Begin("lose", stated.of))
