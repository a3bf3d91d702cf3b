"""Real faults, by a plan and a seed: SIGKILL, SIGSTOP, and death for good.

A fault is recorded after it was seen to have happened, in `/proc`; one that could not be done is
the cluster's failure.  Who is hit is the host that runs the actor that the plan names.
"""

import time
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from random import Random
from typing import Final

from clusters.cluster import Actor, Role, losses
from clusters.links import covers, pairs, solid
from clusters.live.journals import open_journal
from clusters.live.link_strikes import LinkStrikes
from clusters.live.node_strikes import BACK_SECONDS, NodeStrikes
from clusters.live.placement import Placement
from clusters.live.supervisor import Healing, HostView, Supervisor
from clusters.live.zombies import Zombies
from clusters.nemesis import (
    BY_CHANCE,
    FAULTS,
    OF_LINKS,
    OF_NODES,
    Nemesis,
    begins,
    candidates,
    check,
    passes,
    roles_of,
)
from protocol.errors import ExperimentError
from protocol.facts.process import VmExited
from protocol.facts.world import FaultBegun, FaultHealed, HostCrashed, HostGone
from protocol.machine import Machine
from protocol.messages import ReleaseFds
from protocol.names import Name

LIVE: Final = ("crash", "amnesia", "pause", "lose", "fail", *OF_LINKS, *OF_NODES)
"""What can be done to real processes and their links so far."""
AGAIN_SECONDS: Final = 0.1
"""When not all can be hit just now, because somebody suffers something already."""
FOREVER: Final = float("inf")
UNDONE_SECONDS: Final = 60.0
"""So long a fault that is due waits for whom it is to hit: a host may need most of that to come
back on a busy machine (supervisor.ANSWER_NS).  Then it cannot be done."""


def check_live(
    nemeses: Sequence[Nemesis],
    machine: Machine,
    actors: Mapping[Name, Actor],
    placement: Placement,
) -> None:
    """Refuse what cannot be done, before anything runs."""
    for index, nemesis in enumerate(nemeses):
        where = f"nemesis[{index}]"
        if nemesis.fault in FAULTS and nemesis.fault not in LIVE:
            raise ExperimentError(
                f"{where}.fault: '{nemesis.fault}' cannot be done to real processes yet"
                f" (live: {', '.join(LIVE)})"
            )
        check(nemesis, machine, actors, where)
        if nemesis.fault in OF_LINKS and nemesis.fault != "partition":
            _check_travels(nemesis, roles_of(machine, actors), placement, where)


def _check_travels(
    nemesis: Nemesis, roles: Mapping[Name, Role], placement: Placement, where: str
) -> None:
    """What is sent within one host is never a frame, which could be lost, late or come twice."""
    hard = solid(roles) if nemesis.fault in BY_CHANCE else ()
    for target in candidates(nemesis, roles)[0]:
        links = pairs(nemesis.fault, target)
        if not any(
            covers(links, one, other) and placement[one] != placement[other]
            for one in roles
            for other in roles
            if one not in hard and other not in hard
        ):
            raise ExperimentError(
                f"{where}.target: nothing of '{target}' travels between hosts, so nothing can be"
                f" lost, late or come twice there; with live.placement = 'each' it would"
            )


class Faults:
    """The plan, as time passes.  `begun` counts what was done: "crash vm1.kvm"."""

    def __init__(
        self,
        supervisor: Supervisor,
        nemeses: Sequence[Nemesis],
        seed: int,
        actors: Mapping[Name, Actor],
        machine: Machine,
    ) -> None:
        self.supervisor = supervisor
        self.nemeses = nemeses
        self.actors = actors
        self.machine = machine
        self.roles = roles_of(machine, actors)
        self.begun: dict[str, int] = {}
        self._random = Random(f"{seed}/faults")  # noqa: S311  not a secret
        self._count = [0] * len(nemeses)
        self._agenda: list[tuple[float, int]] = []
        self._pauses: list[tuple[float, Name]] = []
        self._links = LinkStrikes(supervisor, self.begun)
        self._nodes = NodeStrikes(supervisor, self.begun)
        self._zombies = Zombies(supervisor)
        self._refused: dict[int, tuple[float, float, str]] = {}
        """What is due and could not be done: since when, when it was tried last, why not."""
        self._ending = False
        for index, nemesis in enumerate(nemeses):
            if begins(nemesis):
                self._plan(index, 0.0)

    def act(self, now: float) -> None:
        """Whatever is due, `now` seconds after the start."""
        self._links.act(now)
        self._nodes.act(now)
        while self._pauses and self._pauses[0][0] <= now:
            _, target = heappop(self._pauses)
            if self._zombies.coming(self.supervisor.home(target)):
                heappush(self._pauses, (now + AGAIN_SECONDS, target))
            else:
                self._resume(target)
        while self._agenda and self._agenda[0][0] <= now:
            _, index = heappop(self._agenda)
            self._strike(index, now)

    def due(self, now: float) -> bool:
        """At the end of its time: whether something was never done, though it should, and may be.

        From now on nothing else begins, so that nobody suffers something else for ever.
        """
        self._ending = True
        self._agenda = [one for one in self._agenda if one[1] in self._refused]
        return any(
            not self._count[index] and now - since < self._patience(index)
            for index, (since, _, _) in self._refused.items()
        )

    def heal(self) -> None:
        """Nothing begins any more, and nobody stays paused."""
        self._agenda = []
        self._links.heal()
        self._nodes.heal()
        while self._pauses:
            self._resume(heappop(self._pauses)[1])

    def restore(self) -> None:
        """The run ends early: no node stays as it is."""
        self._nodes.restore()

    @property
    def over(self) -> bool:
        """Whether everybody got over what happened."""
        return (
            self._links.over and self._nodes.over and not (self._pauses or self.supervisor.healing)
        )

    @property
    def undone(self) -> list[str]:
        """What was due for long and could never be done: an error, and no pass."""
        never = [
            why
            for index, (since, last, why) in self._refused.items()
            if not self._count[index] and last - since >= self._patience(index)
        ]
        replaced = any(what.startswith("zombie ") for what in self.begun)
        failed = () if replaced else self._zombies.failed
        return [*never, *self._links.undone, *self._nodes.undone, *failed]

    def _patience(self, index: int) -> float:
        """A node that is away comes back more slowly than a process."""
        of_nodes = self.nemeses[index].fault in OF_NODES
        return BACK_SECONDS if of_nodes else UNDONE_SECONDS

    @property
    def exhausted(self) -> bool:
        """Whether nothing more will begin, because all has been done as often as was asked for."""
        return not self._agenda

    def begin(self, fault: str, target: Name) -> None:
        """This one of the plan, now, until `end`: in a directed run somebody else says when."""
        found = (one for one in self.nemeses if (one.fault, one.target) == (fault, target))
        nemesis = next(found)
        if fault in OF_LINKS:
            self._links.begin(nemesis, target, FOREVER)
        else:
            self._do(nemesis, target, FOREVER, {})
            self.count(f"{fault} {target}")

    def end(self, fault: str, target: Name) -> None:
        """It is over; a crash is when the host is back, which `settled` waits for."""
        if fault in OF_LINKS:
            self._links.end(fault, target)
        elif fault == "pause":
            self._pauses = [one for one in self._pauses if one[1] != target]
            heapify(self._pauses)
            self._resume(target)

    def settled(self, fault: str, target: Name) -> bool:
        """Whether what has begun or ended is seen to have."""
        if fault in OF_LINKS:
            return self._links.seen
        return all(healing.target != target for healing in self.supervisor.healing)

    def _plan(self, index: int, now: float) -> None:
        nemesis = self.nemeses[index]
        bound = nemesis.times or (1 if nemesis.fault == "lose" else 0)
        if not 0 < bound <= self._count[index]:
            heappush(self._agenda, (now + self._random.uniform(*nemesis.every_seconds), index))

    def _strike(self, index: int, now: float) -> None:
        nemesis = self.nemeses[index]
        targets, at_once = self._targets(nemesis)
        if not at_once or len(targets) < at_once:
            self._put_off(index, now, len(targets), at_once)
            return
        refused = self._refused.pop(index, None) is not None
        if refused and nemesis.fault in ("crash", "amnesia") and not self._ending:
            self._plan(index, now)  # Its time begins when there is somebody who lives.
            return
        until = now + self._random.uniform(*nemesis.lasts_seconds)
        hit: dict[Name, None] = {}
        for target in targets:
            if nemesis.fault in OF_LINKS:
                self._links.begin(nemesis, target, until)
                continue  # It counts when all hosts know of it.
            if nemesis.fault in OF_NODES:
                self._nodes.begin(nemesis.fault, target, until)
                continue
            if nemesis.fault == "fail":
                self.supervisor.home(target).handle.arm.remote(index, target)
                continue  # It counts when it has struck.
            self._do(nemesis, target, until, hit)
            self.count(f"{nemesis.fault} {target}")
        self._count[index] += 1
        self._plan(index, now)

    def _do(self, nemesis: Nemesis, target: Name, until: float, hit: dict[Name, None]) -> None:
        """To its host; `hit` are those that this strike has hit, with whoever they run."""
        view = self.supervisor.home(target)
        again = view.name in hit
        hit[view.name] = None
        match nemesis.fault:
            case "crash" | "amnesia":
                self._crash(target, nemesis.fault, again=again)
            case "pause":
                self._pause(target, until, again=again)
                if nemesis.replaced and not again:
                    self._zombies.replace(view)
            case "lose":
                self._lose(target)
            case _:
                raise AssertionError(f"{nemesis.fault} is not a fault of the live world")

    def _put_off(self, index: int, now: float, found: int, wanted: int) -> None:
        """Not all that it wants to hit can be hit now: a part of it is not what was asked for."""
        nemesis = self.nemeses[index]
        if wanted:  # Else all are lost.
            since = self._refused.get(index, (now, now, ""))[0]
            why = f"{nemesis.fault} {nemesis.target}: {found} of {wanted} could be hit at once"
            self._refused[index] = (since, now, why)
        heappush(self._agenda, (now + AGAIN_SECONDS, index))

    def count(self, what: str) -> None:
        """A fault was done."""
        self.begun[what] = self.begun.get(what, 0) + 1

    def _targets(self, nemesis: Nemesis) -> tuple[list[Name], int]:
        """Whom it hits now, and how many that has to be."""
        if nemesis.fault == "fail":
            found = [
                name
                for name, actor in self.actors.items()
                if passes(nemesis, self.roles, name)
                and any(site.name == nemesis.site for site in actor.SITES)
            ]
            at_once = 1
        elif nemesis.fault in OF_NODES:
            found, at_once = self._nodes.targets(nemesis)
        else:
            found, at_once = candidates(nemesis, self.roles)
        living = [name for name in found if name not in self.supervisor.lost]
        at_once = min(at_once, len(living))
        found = [name for name in found if self.possible(nemesis.fault, name)]
        self._random.shuffle(found)
        return sorted(found[:at_once]), at_once

    def possible(self, fault: str, target: Name) -> bool:
        """Whether it can begin now: whom it is to hit is there, and suffers nothing yet."""
        if fault in OF_LINKS:
            return self._links.possible(fault, target)
        if fault in OF_NODES:
            return self._nodes.possible(fault, target)
        if target in self.supervisor.lost:
            return False
        view = self.supervisor.home(target)
        return not view.gone and not view.suffers and view.process is not None

    # --- What is done -----------------------------------------------------------------------------

    def _crash(self, target: Name, fault: str, *, again: bool = False) -> None:
        """`again`: its host was just killed for another that it runs."""
        view = self.supervisor.home(target)
        if not again:
            self._kill(view)
        self.supervisor.chronicle.stated(FaultBegun(fault, target))
        if not again:
            self._crashed(view, view.actors)
        self.supervisor.healing.append(Healing(view, view.epoch, target, fault))
        if fault == "amnesia":
            self.supervisor.say_forget(target)

    def _kill(self, view: HostView) -> None:
        assert view.process is not None
        view.suffers = "crash"
        view.process.kill()
        self.supervisor.log("fault.begun", fault="SIGKILL", host=view.name, pid=view.process.pid)
        view.process, view.fresh = None, False

    def _crashed(self, view: HostView, actors: Sequence[Name]) -> None:
        for name in actors:
            if name not in self.supervisor.lost:
                self.supervisor.chronicle.stated(HostCrashed(), name, view.name, view.epoch)

    def _pause(self, target: Name, until: float, *, again: bool = False) -> None:
        view = self.supervisor.home(target)
        assert view.process is not None
        view.suffers = "pause"
        if not again:
            view.process.pause()
        self.supervisor.chronicle.stated(FaultBegun("pause", target))
        self.supervisor.log("fault.begun", fault="SIGSTOP", host=view.name, pid=view.process.pid)
        heappush(self._pauses, (until, target))

    def _resume(self, target: Name) -> None:
        view = self.supervisor.home(target)
        zombie = self._zombies.placed(view)
        if view.process is not None:
            view.process.resume()
        self._zombies.end(view)
        if zombie:
            self.count(f"zombie {view.name}")
        view.suffers, view.fresh = "", False
        view.heard_ns = time.monotonic_ns()  # It could not answer until now.
        self.supervisor.chronicle.stated(FaultHealed("pause", target))
        self.supervisor.log("fault.healed", fault="SIGCONT", host=view.name)

    def _lose(self, target: Name) -> None:
        """Its journal is sealed first: no incarnation that Ray may start can bring it back."""
        import ray

        supervisor = self.supervisor
        view = supervisor.home(target)
        others = [one for one in view.actors if one != target and one not in supervisor.lost]
        journal = open_journal(view.charge.journal, view.name, view.charge.durability)
        journal.seal(target)
        journal.close()
        if others:
            self._kill(view)
        else:
            assert view.process is not None
            ray.kill(view.handle, no_restart=True)
            view.process.kill()
            view.gone = True
        supervisor.forget(target)
        supervisor.chronicle.stated(FaultBegun("lose", target))
        supervisor.chronicle.stated(HostGone(), target, view.name, view.epoch)
        self._crashed(view, others)
        closed = False
        for name, message in losses(self.machine, target, supervisor.living):
            if isinstance(message, ReleaseFds) and not closed:
                closed = True
                supervisor.chronicle.stated(VmExited(message.vm))
            supervisor.tell(name, message)
