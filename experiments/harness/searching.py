"""A stateful search, for `explore`: a proof within bounds, or the shortest counterexample."""

import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from msgspec import Struct

from clusters.judge import Status, Verdict
from clusters.nemesis import candidates, roles_of
from clusters.sim.replay import replay
from clusters.sim.search import DEPTH_FIRST
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.checkpoint import pack, unpack
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.cycles import cyclic, fair_cycle
from clusters.sim.search.delays import Delays
from clusters.sim.search.depth_first import DepthFirst
from clusters.sim.search.graph import STATES, Bounds, Found
from clusters.sim.search.handling import LeakError
from clusters.sim.search.sharded import Scope, there
from clusters.sim.search.space import Space
from clusters.sim.search.strikes import DELAYS, STRIKES
from clusters.sim.search.symmetry import alike
from clusters.sim.search.tree import walk
from clusters.uncollected import uncollected
from clusters.workers import Here, Workers
from experiments.harness.exploring import Crew
from experiments.harness.interruption import held
from experiments.harness.progress import Count, progress
from experiments.harness.reading import read_file
from experiments.harness.running import Case, Failing, Outcome, Searched, command
from experiments.harness.say import Voice, many
from experiments.harness.store import CHECKPOINT
from protocol.errors import ClusterError, DivergedError, ExperimentError, UnreadableError
from protocol.history import Record
from protocol.machine import IOMMUFD, Machine
from protocol.properties.property import Kind

CHECKPOINT_BYTES_MAX: Final = 16 << 30
GIGABYTE: Final = 1 << 30
MEMORY_GB: Final = 4
PAGES: Final = Path("/proc/self/statm")

Engine: TypeAlias = BreadthFirst[Any, Any] | DepthFirst[Any, Any]


class States(Struct):
    """How far it has come."""

    unit: ClassVar[str] = "states"

    schedules: int
    depth: int
    ahead: int

    def found(self) -> str:
        """How deep, and how many are known and were not looked at."""
        return f"depth {self.depth}, {self.ahead:,} ahead"


Say: TypeAlias = Callable[[States], None]


class Limits(Struct, frozen=True):
    """When a search stops: at so many states, so much memory, at the monotonic time `until`.

    `resume`: the run whose search goes on.
    """

    states: int = STATES
    memory_gb: int = MEMORY_GB
    until: float | None = None
    symmetry: bool = False
    resume: Path | None = None


def search(case: Case, limits: Limits, voice: Voice, crew: Crew | None = None) -> Outcome:
    """Search until all is seen, something is found, or a bound is reached.

    What cannot be searched leaves no run folder.
    """
    try:
        return _search(Hunt(case, limits), voice, crew)
    except LeakError as leak:
        case.run.discard()
        raise ExperimentError(f"no symmetry: {leak}; run it without --symmetry") from leak
    except (ExperimentError, UnreadableError, KeyboardInterrupt):
        case.run.discard()
        raise


def _search(hunt: "Hunt", voice: Voice, crew: Crew | None) -> Outcome:
    case, interrupted, broken = hunt.case, False, ""
    try:
        with crew or nullcontext(Here()) as workers, progress(voice, case.name, 0) as say:
            hunt.run(workers, say)
    except KeyboardInterrupt:
        interrupted = True
    except ClusterError as error:
        broken = str(error)
    return hunt.outcome(interrupted=interrupted, broken=broken)


class Hunt:
    """One search of a case."""

    def __init__(self, case: Case, limits: Limits) -> None:
        explore = case.experiment.explore
        self.case = case
        self.limits = limits
        self.began = time.monotonic()
        self.space: Space[Any, Any]
        self.stopped = ""
        self.failing: Failing | None = None
        self.cyclic = False
        """Whether a run can go on for ever."""
        if limits.symmetry and explore.depth:
            raise ExperimentError(
                "symmetry is for every order: with at most so many delays the names say whose turn"
                " it is (--set explore.depth=0)"
            )
        names = alike(case.setup) if limits.symmetry else ()
        deep = explore.strategy == DEPTH_FIRST
        judged = any(each.kind is Kind.EVENTUALLY for each in case.setup.properties)
        self.cycles = judged and not deep
        self.scope = Scope(
            case.setup,
            names,
            booted=bool(case.setup.plans),
            delays=explore.depth or -1,
            owing=self.cycles,
        )
        self.world = self.scope.world()
        self.space = Delays(self.world, explore.depth) if explore.depth else self.world
        self.engine = self._engine(deep=deep)
        if limits.resume is not None:
            self._resume(limits.resume)

    def _engine(self, *, deep: bool) -> Engine:
        bounds = Bounds(states=self.limits.states)
        if deep:
            return DepthFirst(self.space, bounds)
        return BreadthFirst(self.space, bounds, edges=self.cycles)

    @property
    def of(self) -> str:
        """What is searched, for who wants to go on with it."""
        explore = self.case.experiment.explore
        words = (explore.strategy, explore.depth, self.limits.symmetry)
        return f"{self.case.searched} {' '.join(map(str, words))}"

    def _resume(self, run: Path) -> None:
        path = run / CHECKPOINT
        if not isinstance(self.engine, BreadthFirst):
            raise ExperimentError("only a breadth-first search goes on where it was stopped")
        if not path.is_file():
            raise ExperimentError(f"{run}: there is no {CHECKPOINT}: it was not a stopped search")
        unpack(read_file(path, CHECKPOINT_BYTES_MAX), self.engine, self.of, str(path))

    def run(self, workers: Workers, say: Say) -> None:
        """Until it is done."""
        engine = self.engine
        if isinstance(engine, BreadthFirst) and workers.count > 1:
            engine.send(there(workers, self.scope))
        with uncollected():
            try:
                while not engine.done and not self._must_stop():
                    if isinstance(engine, BreadthFirst):
                        engine.wait()
                    with held():
                        engine.go_on()
                    say(self._states())
            finally:
                if isinstance(engine, BreadthFirst):
                    engine.close()
            if engine.found is not None:
                self._keep(engine.found)
            elif engine.done and not engine.unknown:
                self._look_at_cycles()

    def _must_stop(self) -> bool:
        limits = self.limits
        if limits.until is not None and time.monotonic() > limits.until:
            self.stopped = "the time was up"
        elif resident() > limits.memory_gb * GIGABYTE:
            self.stopped = f"the bound of {limits.memory_gb} GB of memory was reached"
        return bool(self.stopped)

    def _look_at_cycles(self) -> None:
        edges = self.engine.graph.edges
        if edges is None:
            return
        count = len(self.engine.graph)
        if self.scope.alike:
            self.cyclic = cyclic(edges, count)
            return
        found = fair_cycle(edges, count)
        if found is not None:
            self._keep(found)

    def _keep(self, found: Found) -> None:
        """The path, run by a world: with its history, and judged by happens-before."""
        turns = self.engine.graph.tree.path(found.state)
        labels, _ = walk(self.space, [*turns, *found.cycle])
        strategy, until = self.case.experiment.explore.strategy, len(turns)
        tape = tape_of(strategy, self.world, labels[:until], labels[until:])
        records: list[Record] = []
        result = replay(self.case.setup, tape, records.append)
        violated = [violation.property for violation in result.violations]
        if found.property not in violated:
            raise DivergedError(
                f"the search found {found.property} violated after {len(turns)} moves, and the"
                f" simulator does not: {', '.join(violated) or 'nothing'}"
            )
        self.failing = Failing(0, result, records)

    # What is said of it.

    def _states(self) -> States:
        engine = self.engine
        ahead = len(engine.graph) - engine.next if isinstance(engine, BreadthFirst) else 0
        return States(len(engine.graph), engine.depth, ahead)

    def outcome(self, *, interrupted: bool, broken: str) -> Outcome:
        """What it came to."""
        engine, failing = self.engine, self.failing
        why = self.stopped or engine.unknown or ("it was interrupted" if interrupted else broken)
        whole = not why and failing is None
        seen = {
            each.name: int(each.name in engine.graph.came)
            for each in self.case.setup.properties
            if each.kind is Kind.SOMETIMES
        }
        checkpoint = b""
        if why and not failing and isinstance(engine, BreadthFirst):
            checkpoint = pack(engine, self.of)
        bounds = bounds_of(self.case, self.scope)
        words = (*self.case.asked.search_words(), *(("--symmetry",) if self.scope.alike else ()))
        return Outcome(
            verb="explore",
            verdict=failing.result.verdict if failing else self._verdict(why, seen),
            count=Count(schedules=0, steps=engine.graph.moves, witnesses=seen),
            failings=(failing,) if failing else (),
            seconds=time.monotonic() - self.began,
            interrupted=interrupted,
            broken=broken,
            again=command("explore", *words),
            proof="; ".join(bounds) if whole else "",
            searched=Searched(
                states=len(engine.graph),
                moves=engine.graph.moves,
                depth=engine.depth,
                ends=engine.end_count,
                bounds=bounds,
                why=why,
                checkpoint=checkpoint,
            ),
        )

    def _verdict(self, why: str, seen: dict[str, int]) -> Verdict:
        """Of a search that found nothing: proved, or not known."""
        statuses = []
        for each in self.case.setup.properties:
            name, kind = each.name, each.kind.value
            if each.kind is Kind.SOMETIMES:
                count = seen[name]
                reason = "" if count else "it never happened"
                statuses.append(Status(name, kind, "seen" if count else "unseen", 0, count, reason))
            elif why:
                statuses.append(Status(name, kind, "unjudged", reason=why))
            elif each.kind is Kind.ALWAYS:
                statuses.append(Status(name, kind, "held"))
            else:
                statuses.append(self._eventually(name, kind))
        open_ = [one for one in statuses if one.word in ("unjudged", "unseen")]
        reasons = tuple(f"{one.name}: {one.reason}" for one in open_)
        return Verdict("unknown" if open_ else "pass", reasons, tuple(statuses))

    def _eventually(self, name: str, kind: str) -> Status:
        if isinstance(self.engine, DepthFirst) and self.engine.looped:
            reason = "runs can go on for ever, and depth first nobody looks at them"
            return Status(name, kind, "unjudged", reason=reason)
        if self.cyclic and self.scope.alike:
            reason = "runs can go on for ever, and with symmetry nobody looks at them"
            return Status(name, kind, "unjudged", reason=reason)
        return Status(name, kind, "met")


def _size(machine: Machine) -> str:
    """Who is there, and how much there is of what they share."""
    devices = many(len(machine.devices), "device")
    if machine.stack == IOMMUFD and machine.vms:
        return f"{many(len(machine.vms), 'VM')}, {devices}"
    if machine.stack == IOMMUFD:
        who = [many(len(machine.processes), "process")] if machine.processes else []
        return ", ".join([*who, many(len(machine.callers), "caller"), devices])
    return f"{many(len(machine.vms), 'VM')}, {devices}, {many(machine.pasids, 'PASID')}"


def bounds_of(case: Case, scope: Scope) -> tuple[str, ...]:
    """Within what the search looked at everything."""
    setup, orders = case.setup, "every order of messages and timers"
    if scope.delays > 0:
        orders = f"the plain order with at most {many(scope.delays, 'delay')}"
    machine = setup.machine
    found = [f"{_size(machine)}: {_work(case)}", orders]
    world = scope.world()
    roles = roles_of(machine, world.names)
    for nemesis, bound in zip(setup.nemeses, world.strikes.bounds, strict=True):
        if nemesis.fault in STRIKES:
            whom, struck = " or ".join(candidates(nemesis, roles)[0]), STRIKES[nemesis.fault]
            found.append(f"{whom} {struck} while anything is on its way, at most {bound} in a run")
        elif nemesis.fault == "fail":
            any_one = f"at any passage, at most {bound} in a run"
            when = f"at passage {nemesis.nth}" if nemesis.nth else any_one
            found.append(f"{nemesis.site} failing {when}")
    if any(nemesis.fault in DELAYS for nemesis in setup.nemeses):
        found.append(f"{', '.join(DELAYS)}: an order like any other")
    if setup.plans:
        found.append("what comes before the first operation in one order")
    if any(nemesis.fault in ("lose", "remove") for nemesis in setup.nemeses):
        found.append("a loss is told at once to who has no files and no message of the lost")
    if scope.alike:
        found.append(f"{', '.join(scope.alike)} can be exchanged")
    return tuple(found)


def _work(case: Case) -> str:
    scripts = {name: len(plan.steps) for name, plan in case.setup.plans.items() if plan.steps}
    if scripts:
        return "scripts of " + " + ".join(many(count, "step") for count in scripts.values())
    return f"{many(case.experiment.guests.operations, 'operation')} of each guest"


def resident() -> int:
    """Bytes of memory that this process has now; 0 where nobody says."""
    try:
        return int(PAGES.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
