"""What a schedule does, step by step, as a directed run is to do it on a cluster.

A simulated world runs the schedule first; each of its inputs is noted with what it did, and each
fault at its place between them.
"""

from collections.abc import Sequence
from typing import TypeAlias

from msgspec import Struct, structs

from clusters.live.gate import Ticket
from clusters.nemesis import Nemesis, candidates
from clusters.sim.replay import replay
from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Strategy, prepared
from clusters.sim.tape import Deliver, Fire, Tape
from clusters.sim.world import History, Setup, World
from protocol.errors import ExperimentError
from protocol.facts import Event, SiteFailed
from protocol.facts.world import FaultBegun, FaultHealed
from protocol.messages import AnyMessage
from protocol.names import SUPERVISOR, Name


class Step(Struct, frozen=True):
    """An input, the message's type, and the digest of what it does; `step` is the simulator's."""

    step: int
    ticket: Ticket
    message: str
    digest: bytes

    @property
    def words(self) -> str:
        """What is said of it."""
        ticket = self.ticket
        if ticket.timer:
            return f"step {self.step} (timer '{ticket.timer}' of {ticket.actor})"
        return f"step {self.step} ({ticket.source} -> {ticket.actor} {self.message})"


class Strike(Struct, frozen=True):
    """A fault begins, or is over, behind step `step`."""

    step: int
    fault: str
    target: Name
    healed: bool

    @property
    def words(self) -> str:
        """What is said of it."""
        over = "the end of " if self.healed else ""
        return f"step {self.step} ({over}{self.fault} {self.target})"


Mark: TypeAlias = Step | Strike


class Course(Struct, frozen=True):
    """All of it.

    `quiet`: nothing is left to happen behind it; `violated`: the first property that it violates in
    the simulator, or ""; `nemesis`: its faults, each with the target that it hits.
    """

    marks: tuple[Mark, ...]
    quiet: bool
    violated: str
    nemesis: tuple[Nemesis, ...]

    @property
    def steps(self) -> int:
        """How many inputs there are."""
        return sum(isinstance(mark, Step) for mark in self.marks)

    @property
    def strikes(self) -> bool:
        """Whether a fault hits a host or a link, so that each actor needs a host of its own."""
        return any(isinstance(mark, Strike) for mark in self.marks)


def course_of(setup: Setup, tape: Tape, where: str) -> Course:
    """The course of a schedule; one that cannot be followed live is refused."""
    if tape.loop:
        raise ExperimentError(f"{where}: goes round for ever; a directed run follows what ends")
    result = replay(setup, tape, world=Noting)
    world = result.world
    assert isinstance(world, Noting)
    plan = prepared(setup, tape.strategy).nemeses
    return Course(
        marks=tuple(world.marks),
        quiet=result.quiet,
        violated=_first(result),
        nemesis=_nemesis(world, plan),
    )


def _first(result: RunResult) -> str:
    return result.violations[0].property if result.violations else ""


def _nemesis(world: "Noting", plan: Sequence[Nemesis]) -> tuple[Nemesis, ...]:
    """The faults that there are, as the plan has them, each for the one that it hits."""
    found: dict[tuple[str, Name, str], Nemesis] = {}
    for mark in world.marks:
        if isinstance(mark, Strike):
            planned = next(
                one
                for one in plan
                if one.fault == mark.fault and mark.target in candidates(one, world.roles)[0]
            )
            aimed = structs.replace(planned, target=mark.target)
            found.setdefault((mark.fault, mark.target, ""), aimed)
    for actor, site in world.failed:
        found.setdefault(("fail", actor, site), Nemesis("fail", actor, site=site))
    return tuple(found.values())


class Noting(World):
    """A world that notes what happens in it."""

    __slots__ = ("failed", "marks")

    def __init__(self, setup: Setup, strategy: Strategy, history: History | None = None) -> None:
        self.marks: list[Mark] = []
        self.failed: list[tuple[Name, str]] = []
        super().__init__(setup, strategy, history)

    def deliver(self, slot: int) -> None:
        """One step."""
        host, choice = self.network.receivers[slot], self.network.names[slot]
        message: AnyMessage = self.network.queues[slot][0][0]
        super().deliver(slot)
        match choice:
            case Fire(actor, timer):
                source = SUPERVISOR
            case Deliver(source, actor):
                timer = ""
            case _:
                raise AssertionError(f"{choice} is no delivery")
        ticket = Ticket(actor, host.n, source, timer, tuple(host.out.answers))
        self.marks.append(Step(self.step, ticket, type(message).__name__, host.digest()))
        self.failed += [
            (actor, fact.site) for fact in host.out.facts if isinstance(fact, SiteFailed)
        ]

    def state(self, fact: Event, of: Name = SUPERVISOR) -> None:
        """The world's facts; faults are among them."""
        if isinstance(fact, FaultBegun | FaultHealed):
            healed = isinstance(fact, FaultHealed)
            self.marks.append(Strike(self.step, fact.fault, fact.target, healed))
        super().state(fact, of)
