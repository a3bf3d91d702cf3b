"""Real faults, by a plan and a seed: SIGKILL, SIGSTOP, and death for good.

A fault is recorded after it was seen to have happened, in `/proc`; one that could not be done is
the cluster's failure.  Who is hit is the host that runs the actor that the plan names.
"""

import signal
import time
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from random import Random
from typing import Final

from clusters.cluster import Actor, losses
from clusters.live.journals import open_journal
from clusters.live.supervisor import HostView, Supervisor
from clusters.nemesis import FAULTS, Nemesis, candidates, check, passes, roles_of
from protocol.errors import ExperimentError
from protocol.facts.process import VmExited
from protocol.facts.world import FaultBegun, FaultHealed, HostCrashed, HostGone
from protocol.machine import Machine
from protocol.messages import ReleaseFds
from protocol.names import Name

LIVE: Final = ("crash", "pause", "lose", "fail")
"""What can be done to real processes so far; the rest of `FAULTS` needs more than these signals."""
AGAIN_SECONDS: Final = 0.1
"""When nobody can be hit just now, because all suffer something already."""


def check_live(nemeses: Sequence[Nemesis], machine: Machine, actors: Mapping[Name, Actor]) -> None:
    """Refuse what cannot be done, before anything runs."""
    for index, nemesis in enumerate(nemeses):
        where = f"nemesis[{index}]"
        if nemesis.fault in FAULTS and nemesis.fault not in LIVE:
            raise ExperimentError(
                f"{where}.fault: '{nemesis.fault}' cannot be done to real processes yet"
                f" (live: {', '.join(LIVE)})"
            )
        check(nemesis, machine, actors, where)


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
        self._pauses: list[tuple[float, HostView, Name]] = []
        for index, nemesis in enumerate(nemeses):
            if not (nemesis.nth or nemesis.probability):
                self._plan(index, 0.0)

    def act(self, now: float) -> None:
        """Whatever is due, `now` seconds after the start."""
        while self._pauses and self._pauses[0][0] <= now:
            self._resume(*heappop(self._pauses)[1:])
        while self._agenda and self._agenda[0][0] <= now:
            _, index = heappop(self._agenda)
            self._strike(index, now)

    def heal(self) -> None:
        """Nothing begins any more, and nobody stays paused."""
        self._agenda = []
        while self._pauses:
            self._resume(*heappop(self._pauses)[1:])

    @property
    def over(self) -> bool:
        """Whether everybody got over what happened."""
        return not (self._pauses or self.supervisor.healing)

    @property
    def exhausted(self) -> bool:
        """Whether nothing more will begin, because all has been done as often as was asked for."""
        return not self._agenda

    def _plan(self, index: int, now: float) -> None:
        nemesis = self.nemeses[index]
        bound = nemesis.times or (1 if nemesis.fault == "lose" else 0)
        if not 0 < bound <= self._count[index]:
            heappush(self._agenda, (now + self._random.uniform(*nemesis.every_seconds), index))

    def _strike(self, index: int, now: float) -> None:
        nemesis = self.nemeses[index]
        targets = self._targets(nemesis)
        if not targets:
            heappush(self._agenda, (now + AGAIN_SECONDS, index))
            return
        for target in targets:
            if not self._possible(target):
                continue  # It shares a host with one that was hit just now.
            match nemesis.fault:
                case "crash":
                    self._crash(target)
                case "pause":
                    self._pause(target, now + self._random.uniform(*nemesis.lasts_seconds))
                case "lose":
                    self._lose(target)
                case _:
                    self.supervisor.home(target).handle.arm.remote(index, target)
                    continue  # It counts when it has struck.
            self.count(f"{nemesis.fault} {target}")
        self._count[index] += 1
        self._plan(index, now)

    def count(self, what: str) -> None:
        """A fault was done."""
        self.begun[what] = self.begun.get(what, 0) + 1

    def _targets(self, nemesis: Nemesis) -> list[Name]:
        if nemesis.fault == "fail":
            found = [
                name
                for name, actor in self.actors.items()
                if passes(nemesis, self.roles, name)
                and any(site.name == nemesis.site for site in actor.SITES)
            ]
            at_once = 1
        else:
            found, at_once = candidates(nemesis, self.roles)
        found = [name for name in found if self._possible(name)]
        self._random.shuffle(found)
        return sorted(found[:at_once])

    def _possible(self, target: Name) -> bool:
        if target in self.supervisor.lost:
            return False
        view = self.supervisor.home(target)
        return not view.gone and not view.suffers and view.process is not None

    # --- What is done -----------------------------------------------------------------------------

    def _crash(self, target: Name) -> None:
        view = self.supervisor.home(target)
        self._kill(view)
        self.supervisor.chronicle.stated(FaultBegun("crash", target))
        self._crashed(view, view.actors)
        self.supervisor.healing.append((view, view.epoch, target))

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

    def _pause(self, target: Name, until: float) -> None:
        view = self.supervisor.home(target)
        assert view.process is not None
        view.suffers = "pause"
        view.process.pause()
        self.supervisor.chronicle.stated(FaultBegun("pause", target))
        self.supervisor.log("fault.begun", fault="SIGSTOP", host=view.name, pid=view.process.pid)
        heappush(self._pauses, (until, view, target))

    def _resume(self, view: HostView, target: Name) -> None:
        if view.process is not None:
            view.process.resume()
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
            view.process.send(signal.SIGKILL)
            view.process.wait({""}, "killed")
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
