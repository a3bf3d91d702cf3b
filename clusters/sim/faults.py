"""Faults in a simulated world: what each does, and when a strategy wants one.

`Faults` is the world's side: a fault begins and is healed, and that is a choice of the schedule.
`Timetable` is a strategy's side: it turns a fault plan into such choices, spaced by the plan's own
steps, so that faults do not crowd out deliveries.
"""

from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, TypeAlias

from clusters.cluster import Role, losses, may_forget, refuse_loss
from clusters.links import covers, ends, is_link, pairs, split
from clusters.nemesis import (
    BY_CHANCE,
    HALF,
    OF_DEVICES,
    OF_LINKS,
    Nemesis,
    begins,
    candidates,
    passes,
)
from clusters.sim.tape import Begin, Fail, Heal
from protocol.errors import ExperimentError, nearest
from protocol.facts.process import VmExited
from protocol.facts.world import FaultBegun, FaultHealed, HostCrashed, HostGone, HostStarted
from protocol.messages import ReleaseFds, ResetFunction
from protocol.messages.amnesia import Forget
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.sim.world import World

NEVER: Final = 1 << 62
"""A step that no run reaches."""
LASTING: Final = ("crash", "pause", *OF_LINKS)
"""Faults that are healed."""

Healable: TypeAlias = bool | tuple[str, ...]
"""What may be healed when the faulty phase is over: all, nothing, or what the words name.

A word is a fault (`crash`), a target (`vdcm.dsa0`, a role, a link), or both (`crash vdcm.dsa0`).
"""


class Faults:
    """The faults of a world that have begun and are not healed yet, oldest first."""

    __slots__ = ("_world", "active", "begun", "lost")

    def __init__(self, world: "World") -> None:
        self._world = world
        self.active: list[tuple[str, Name]] = []
        self.begun: dict[str, int] = {}
        """How often which fault hit whom, for the report."""
        self.lost: dict[Name, None] = {}

    def possible(self, fault: str, target: Name) -> bool:
        """Whether it can begin now: it is planned, its target is there and does not have it."""
        world = self._world
        planned = any(nemesis.fault == fault for nemesis in world.setup.nemeses)
        if not planned or fault == "fail" or (fault, target) in self.active:
            return False
        whom = ends(target) if fault in OF_LINKS else [target]
        if any(end not in world.hosts or end in self.lost for end in whom):
            return False
        if fault in OF_DEVICES:
            return world.roles.get(target) == "device"
        if fault == "amnesia":
            return ("crash", target) not in self.active and may_forget(world.hosts[target].actor)
        return fault != "lose" or world.hosts[target].actor.LOSABLE

    def begin(self, fault: str, target: Name) -> None:
        """The fault happens."""
        world = self._world
        assert self.possible(fault, target), f"{fault} of {target} cannot begin"
        key = f"{fault} {target}"
        self.begun[key] = self.begun.get(key, 0) + 1
        world.state(FaultBegun(fault, target))
        match fault:
            case "crash":
                world.state(HostCrashed(), of=target)
                world.network.block(target)
            case "pause":
                world.network.block(target)
            case "delay":
                world.network.delay(target, self._plan(fault, target).wait_steps)
            case "drop":
                world.network.delay(target, self._plan(fault, target).wait_steps, fault)
            case "partition":
                world.network.sever(target)
            case "duplicate":
                pass  # Masked on reliable links; on others it is asked message by message.
            case "amnesia":
                world.state(HostCrashed(), of=target)
                self._recover(target)  # At once: what it waits for is an order like any other.
                world.tell(target, Forget(tuple(sorted(self.lost))))
                return
            case "lose":
                refuse_loss(target, world.hosts[target].actor)
                self._lose(target)
                return
            case "remove":
                self._lose(target)  # The hotplug interrupt tells the others what HostLost says.
                return
            case "reset":
                world.tell(target, ResetFunction())
                return
            case _:
                raise AssertionError(f"{fault} is not a fault of the simulator")
        self.active.append((fault, target))

    def heal(self, fault: str, target: Name) -> None:
        """It is over: what waited goes on."""
        world = self._world
        self.active.remove((fault, target))
        match fault:
            case "crash":
                self._recover(target)
                world.network.unblock(target)
            case "pause":
                world.network.unblock(target)
            case "delay" | "drop":
                world.network.undelay(target, fault)
            case "partition":
                world.network.mend(target)
        world.state(FaultHealed(fault, target))

    def heal_oldest(self) -> bool:
        """Nothing can happen before something is healed; whether there was something to heal."""
        for fault, target in self.active:
            if self._may_heal(fault, target):
                self.heal(fault, target)
                return True
        return False

    def _may_heal(self, fault: str, target: Name) -> bool:
        healable = self._world.setup.heal
        if isinstance(healable, bool):
            return healable
        whom = (target, self._world.roles.get(target, target))
        return any(word in (fault, *whom, *(f"{fault} {one}" for one in whom)) for word in healable)

    def _recover(self, target: Name) -> None:
        recovered = self._world.hosts[target].recover()
        self._world.state(HostStarted(recovered), of=target)

    def _lose(self, target: Name) -> None:
        world = self._world
        world.state(HostGone(), of=target)
        self.lost[target] = None
        self.active = [one for one in self.active if target not in ends(one[1])]
        world.network.close(target)
        living = [name for name in world.hosts if name not in self.lost]
        said = losses(world.setup.machine, target, living)
        for vm in dict.fromkeys(m.vm for _, m in said if isinstance(m, ReleaseFds)):
            world.state(VmExited(vm))
        for name, message in said:
            world.tell(name, message)

    def _plan(self, fault: str, target: Name) -> Nemesis:
        """The first plan that means this fault of this target."""
        world = self._world
        for nemesis in world.setup.nemeses:
            if nemesis.fault == fault and target in candidates(nemesis, world.roles)[0]:
                return nemesis
        return Nemesis(fault)

    def odds(self, link: str, fault: str) -> float:
        """How likely a message of the link is hit: as the faults that last say, or the link is."""
        source, destination = split(link)
        world = self._world
        found = [
            self._plan(one, target).probability or HALF
            for one, target in self.active
            if one == fault and covers(pairs(one, target), source, destination)
        ]
        if (source, destination) in world.network.loosely[1]:
            found.append(world.setup.semantics.probability)
        return max(found, default=0.0)


def check_heal(healable: Healable, roles: Mapping[Name, Role], where: str) -> None:
    """Refuse a word that names nothing that could be healed, in one sentence that says where."""
    for k, word in enumerate(() if isinstance(healable, bool) else healable):
        first, _, rest = word.partition(" ")
        target = rest if first in LASTING else word
        targets = [*roles, *roles.values()]
        there = roles if is_link(target) else targets
        if target and any(end not in there for end in ends(target)):
            hint = nearest(word, dict.fromkeys([*LASTING, *targets]))
            raise ExperimentError(
                f"{where}[{k}]: '{word}' is neither a fault that lasts nor whom one hits{hint}"
                f" (faults: {', '.join(LASTING)})"
            )
        if not word:
            raise ExperimentError(f"{where}[{k}]: an empty word names nothing")


class Timetable:
    """When a plan's faults begin and end; `due` is the next step at which it wants to be asked."""

    __slots__ = ("_agenda", "_armed", "_count", "_nemeses", "_now", "_passed", "_random", "due")

    def __init__(self, nemeses: tuple[Nemesis, ...], random: Callable[[], float]) -> None:
        self._nemeses = nemeses
        self._random = random
        self._agenda: list[tuple[int, int, str, Name]] = []
        """(step, nemesis, "" or fault, target): a nemesis acts, or what it did is healed."""
        self._now: list[Begin | Heal] = []
        self._count = [0] * len(nemeses)
        self._armed = [0] * len(nemeses)
        self._passed = [0] * len(nemeses)
        for index, nemesis in enumerate(nemeses):
            if begins(nemesis):
                self._plan(index, 0, 0)
        self.due = self._agenda[0][0] if self._agenda else NEVER

    def branch(self, random: Callable[[], float]) -> None:
        """What is drawn from here on is drawn from another source."""
        self._random = random

    def next(self, world: "World") -> int | None:
        """The number of the fault that begins or ends now; None: nothing more at this step."""
        if world.final:
            self.due = NEVER
            return None
        while True:
            if self._now:
                choice = self._now.pop(0)
                if isinstance(choice, Heal):
                    if (choice.fault, choice.target) in world.faults.active:
                        return world.book.entry(choice)
                elif world.faults.possible(choice.fault, choice.target):
                    return world.book.entry(choice)
            elif self._agenda and self._agenda[0][0] <= world.step:
                self._act(world, *heappop(self._agenda))
            else:
                self.due = self._agenda[0][0] if self._agenda else NEVER
                return None

    def fails(self, world: "World", actor: Name, site: str) -> bool:
        """Whether this passage of a fallible step fails, or this message of a link is hit."""
        if site in BY_CHANCE:
            return not world.final and self._random() < world.faults.odds(actor, site)
        failed = False
        for index, nemesis in enumerate(self._nemeses):
            if nemesis.site != site or not passes(nemesis, world.roles, actor):
                continue
            self._passed[index] += 1
            if world.final or failed:
                continue
            if nemesis.nth:
                failed = self._passed[index] == nemesis.nth
            elif nemesis.probability:
                spent = 0 < nemesis.times <= self._count[index]
                failed = not spent and self._random() < nemesis.probability
                self._count[index] += failed
            elif self._armed[index]:
                self._armed[index] -= 1
                failed = True
        return failed

    def go_on(self, world: "World", asked: tuple[Name, str] | None = None) -> None:
        """From here on in a world whose schedule so far was somebody else's.

        What was done counts, and what comes is as likely as if it had been left to this one.
        `asked`: the passage of a fallible step that is asked about next; the world has counted it.
        """
        begun, failed = _so_far(world)
        self._agenda.clear()
        for index, nemesis in enumerate(self._nemeses):
            if nemesis.fault == "fail":
                self._passed[index] = self._passages(world, nemesis, asked)
                done, at_once = failed.pop(nemesis.site, []), 1
            else:
                whom, at_once = candidates(nemesis, world.roles)
                mine = [(nemesis.fault, name) for name in whom if (nemesis.fault, name) in begun]
                for key in mine:
                    if key in world.faults.active:
                        self._plan_heal(world, index, key[1], begun[key][-1])
                done = sorted(step for key in mine for step in begun.pop(key))
            self._count[index] = -(-len(done) // at_once)
            spent = 0 < nemesis.times <= self._count[index]
            if begins(nemesis) and not spent:
                self._plan(index, done[-1] if done else 0, world.step)
        self.due = self._agenda[0][0] if self._agenda else NEVER

    def _passages(self, world: "World", nemesis: Nemesis, asked: tuple[Name, str] | None) -> int:
        return sum(
            count - (passage == asked)
            for passage, count in world.passages.items()
            if passage[1] == nemesis.site and passes(nemesis, world.roles, passage[0])
        )

    def _plan_heal(self, world: "World", index: int, target: Name, begun: int) -> None:
        nemesis = self._nemeses[index]
        until = begun + self._between(_left(nemesis.lasts_steps, world.step - begun))
        heappush(self._agenda, (until, index, nemesis.fault, target))

    def _act(self, world: "World", _step: int, index: int, fault: str, target: Name) -> None:
        nemesis = self._nemeses[index]
        if fault:
            self._now.append(Heal(fault, target))
            return
        self._count[index] += 1
        if nemesis.fault == "fail":
            self._armed[index] += 1
        else:
            for name in self._targets(world, nemesis):
                self._now.append(Begin(nemesis.fault, name))
                if nemesis.fault in LASTING:
                    until = world.step + self._between(nemesis.lasts_steps)
                    heappush(self._agenda, (until, index, nemesis.fault, name))
        if not 0 < nemesis.times <= self._count[index]:
            self._plan(index, world.step, world.step)

    def _targets(self, world: "World", nemesis: Nemesis) -> list[Name]:
        found, at_once = candidates(nemesis, world.roles)
        found = [name for name in found if world.faults.possible(nemesis.fault, name)]
        while len(found) > at_once:
            found.pop(int(self._random() * len(found)))
        return found

    def _plan(self, index: int, since: int, now: int) -> None:
        """The next time, counted from the last one, of those that are not over now."""
        at = since + self._between(_left(self._nemeses[index].every_steps, now - since))
        heappush(self._agenda, (at, index, "", ""))

    def _between(self, steps: tuple[int, int]) -> int:
        low, high = steps
        return low + int(self._random() * (high - low + 1))


def _left(steps: tuple[int, int], over: int) -> tuple[int, int]:
    """What is left of a range when so many of its steps are over."""
    low = max(steps[0], over)
    return low, max(steps[1], low)


def _so_far(world: "World") -> tuple[dict[tuple[str, Name], list[int]], dict[str, list[int]]]:
    """The steps at which each fault began, and at which each fallible step failed."""
    begun: dict[tuple[str, Name], list[int]] = {}
    failed: dict[str, list[int]] = {}
    book = world.book
    step = world.step - sum(entry >= 0 for entry in book.entries)
    for entry in book.entries:
        if entry >= 0:
            step += 1
            continue
        match book.choices[~entry]:
            case Begin(fault, target):
                begun.setdefault((fault, target), []).append(step)
            case Fail(_, site, True):
                failed.setdefault(site, []).append(step)
    return begun, failed
