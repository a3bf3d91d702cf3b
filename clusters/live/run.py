"""A live run from its beginning to its verdict: start, disturb, wait, re-execute, judge."""

import os
import time
from contextlib import nullcontext, suppress
from itertools import cycle
from typing import TYPE_CHECKING, Final

from clusters.cluster import openings
from clusters.judge import Judge
from clusters.live.cast import Cast, Setting, write_setting
from clusters.live.chronicle import Chronicle
from clusters.live.course import Course
from clusters.live.director import Director
from clusters.live.interruption import interruptible, listen, shielded
from clusters.live.journal import DURABILITIES
from clusters.live.journals import keep_journal, make_journal
from clusters.live.live_setup import LiveResult, LiveSetup, Progress, Report, ignore
from clusters.live.placement import hosts_of, place
from clusters.live.reading import summary
from clusters.live.recorder import NO_END, Recorder
from clusters.live.reexecute import CHRONICLE, JOURNALS, SETTING, journal_path, reexecute
from clusters.live.room import Room
from clusters.nemesis import Nemesis
from protocol.errors import ClusterError, ExperimentError, IncompleteError, UnreadableError
from protocol.facts.world import RunEnded, RunStarted
from protocol.history import HISTORY_FORMAT
from protocol.names import SUPERVISOR, Name

if TYPE_CHECKING:
    from clusters.live.faults import Faults
    from clusters.live.live_host import Log
    from clusters.live.ray_cluster import RayCluster
    from clusters.live.supervisor import Supervisor

HISTORY: Final = "history.jsonl"
LOGS: Final = "logs"
PROGRESS_SECONDS: Final = 1.0


def run_live(
    setup: LiveSetup, progress: Report = ignore, inside: "RayCluster | None" = None
) -> LiveResult:
    """Do it.  Ctrl-C and SIGTERM end it early, and leave no process behind.

    `inside`: a Ray that runs already, and goes on running afterwards.
    """
    run = LiveRun(setup, progress)
    run.prepare()
    try:
        with interruptible():
            run.live(inside)
    except ClusterError:
        with suppress(OSError):  # A disk that is full takes no history either.
            run.conclude()  # What was done up to there stays readable.
        raise
    return run.conclude()


class LiveRun:
    """One live run, step by step."""

    def __init__(self, setup: LiveSetup, progress: Report) -> None:
        from clusters.live.faults import check_live
        from clusters.live.fleet import ready_fleet
        from clusters.live.node_strikes import check_nodes

        if setup.durability not in DURABILITIES:
            raise ExperimentError(
                f"durability '{setup.durability}' is not known ({', '.join(DURABILITIES)})"
            )
        self.setup = setup
        self.report = progress
        self.cast = Cast(setup.machine, setup.plans, setup.classes, setup.toys, setup.lineup)
        self.actors = self.cast.actors()
        self.placement = place(self.cast.roles(), setup.placement, setup.hosts)
        self.fleet = ready_fleet(setup.cluster) if setup.cluster else None
        check_nodes(setup.nemesis, self.fleet)
        check_live(setup.nemesis, setup.machine, self.actors, self.placement)
        self.room = Room(setup.folder, setup.disk_bytes)
        self.phase = "starting"
        self.director: Director | None = None
        self.cluster = ""
        self.quiet = False
        self.interrupted = False
        self.reasons: list[str] = []
        self.faults: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self.namespace = f"pasidlab-{os.getpid()}-{time.time_ns():x}"
        self._began = self._disturbed = time.monotonic()
        self._reported = 0.0
        self._inputs = 0
        self._outcomes: dict[str, int] = {}

    # --- Before -----------------------------------------------------------------------------------

    def prepare(self) -> None:
        """The folders, and what is needed to re-execute it all."""
        journals = self.setup.folder / JOURNALS
        journals.mkdir(parents=True)
        write_setting(journals / SETTING, Setting(self.cast, self.placement))
        for host in hosts_of(self.placement):
            make_journal(self._journal(host), host, self.setup.durability)

    def _journal(self, host: Name) -> str:
        """Where the host writes: its file, or its part of the server."""
        if self.setup.journal:
            return f"{self.setup.journal}#{self.namespace}"
        return str(journal_path(self.setup.folder.resolve(), host))

    # --- Live -------------------------------------------------------------------------------------

    def live(self, inside: "RayCluster | None" = None) -> None:
        """Everything that needs Ray."""
        from clusters.live.operations_log import OperationsLog
        from clusters.live.ray_cluster import RayCluster

        setup = self.setup
        folder = setup.folder
        log = OperationsLog(folder / LOGS, SUPERVISOR, host=SUPERVISOR, pid=os.getpid())
        chronicle = Chronicle(folder / JOURNALS / CHRONICLE, setup.durability)
        self._say()
        own = RayCluster(len(hosts_of(self.placement)), setup.address, fleet=self.fleet)
        try:
            with nullcontext(inside) if inside is not None else own as cluster:
                listen()
                self.cluster = f"{cluster.name}, {len(set(self.placement.values()))} hosts"
                log("cluster.started", message=cluster.name)
                self._say()
                supervisor = self._supervisor(cluster, chronicle, log)
                supervisor.ground = cluster
                self._supervise(supervisor)
        except (KeyboardInterrupt, SystemExit):
            self._interrupt()
        finally:
            with shielded():
                self._collect(chronicle)
                log.close()

    def _supervise(self, supervisor: "Supervisor") -> None:
        finals: dict[Name, tuple[int, bytes]] = {}
        try:
            self._phases(supervisor)
            if self.quiet:
                finals = supervisor.hashes()
        finally:
            with shielded():
                self.counts = supervisor.total("counts")
                self._count_failed(supervisor)
                supervisor.stop()
        for actor, (n, state_hash) in finals.items():
            supervisor.chronicle.final(actor, n, state_hash)

    def _count_failed(self, supervisor: "Supervisor") -> None:
        """A `fail` was done when a step did fail."""
        for index, nemesis in enumerate(self.setup.nemesis):
            failed = supervisor.failed(index)
            if failed:
                self.faults[f"{nemesis.fault} {nemesis.site}"] = failed

    def _supervisor(self, cluster: "RayCluster", chronicle: Chronicle, log: "Log") -> "Supervisor":
        from clusters.live.ray_host import Charge, begin
        from clusters.live.supervisor import Supervisor

        setup = self.setup
        folder = setup.folder.resolve()
        fails = tuple(
            one if one.fault == "fail" else Nemesis("fail", "", site="") for one in setup.nemesis
        )
        charges = [
            Charge(
                host, self.namespace, self.cast, self.placement, setup.seed, fails,
                setup.durability, self._journal(host), str(folder / LOGS),
                directed=setup.course is not None,
            )
            for host in hosts_of(self.placement)
        ]  # fmt: skip
        if not setup.journal:
            cluster.check_disk(str(folder / JOURNALS / SETTING))
        spots = dict(zip((one.name for one in charges), cycle(cluster.spots()), strict=False))
        return Supervisor(charges, lambda one: begin(one, spots[one.name]), chronicle, log)

    def _phases(self, supervisor: "Supervisor") -> None:
        from clusters.live.faults import Faults

        setup = self.setup
        supervisor.start()
        started = RunStarted(
            HISTORY_FORMAT, setup.experiment, setup.run, setup.seed, "live", setup.lineup.title,
            setup.machine,
        )  # fmt: skip
        supervisor.chronicle.stated(started)
        for name, message in openings(self.placement):
            supervisor.tell(name, message)
        faults = Faults(supervisor, setup.nemesis, setup.seed, self.actors, setup.machine)
        self.faults = faults.begun
        if setup.course is not None:
            self._follow(supervisor, faults, setup.course)
        else:
            self._run(supervisor, faults)

    def _follow(self, supervisor: "Supervisor", faults: "Faults", course: Course) -> None:
        """A schedule; only if nothing is left to happen behind it, there is a quiet end."""
        self.phase = "following"
        self.director = Director(supervisor, faults, course, lambda: self._say(supervisor))
        followed = self.director.follow()
        if followed.whole and course.quiet:
            self._quiet_down(supervisor, faults)

    def _run(self, supervisor: "Supervisor", faults: "Faults") -> None:
        """What happens by itself, with faults by the plan."""
        self.phase = "running"
        try:
            self._disturb(supervisor, faults)
        finally:
            with shielded():
                faults.restore()

    def _disturb(self, supervisor: "Supervisor", faults: "Faults") -> None:
        setup = self.setup
        began = self._disturbed = time.monotonic()
        until = began + setup.seconds if setup.seconds is not None else None
        while not self._done(supervisor, faults, until):
            faults.act(time.monotonic() - began)
            supervisor.step()
            self._say(supervisor)
        self._quiet_down(supervisor, faults)

    def _quiet_down(self, supervisor: "Supervisor", faults: "Faults") -> None:
        self.phase = "quieting"
        supervisor.calm = True
        faults.heal()
        self._wait_for_quiet(supervisor, faults)
        if faults.undone:
            raise ClusterError("; ".join(faults.undone))

    def _done(self, supervisor: "Supervisor", faults: "Faults", until: float | None) -> bool:
        """Faults go on for as long as was said, or until there is nothing left to disturb.

        One that was due and could not be done yet has a while more: else a run passes without it.
        """
        if self.room.full:
            return True
        now = time.monotonic()
        over = now >= until if until is not None else supervisor.quiet() and faults.over
        return over and not faults.due(now - self._disturbed)

    def _wait_for_quiet(self, supervisor: "Supervisor", faults: "Faults") -> None:
        until = time.monotonic() + self.setup.quiet_seconds
        while not (faults.over and supervisor.quiet()):
            if self.room.full:
                self.reasons.append(self.room.said)
                return
            if time.monotonic() > until:
                self.reasons.append(
                    f"not quiet after {self.setup.quiet_seconds:g} s: {supervisor.unquiet()[0]}"
                    if supervisor.unquiet()
                    else f"not quiet after {self.setup.quiet_seconds:g} s"
                )
                return
            supervisor.step()
            self._say(supervisor)
        self.quiet = True

    def _interrupt(self) -> None:
        self.interrupted = True
        self.reasons.append(f"interrupted while {self.phase}")

    def _collect(self, chronicle: Chronicle) -> None:
        """Take in the journals: nobody writes them any more.  One that cannot be is only a gap."""
        inputs = 0
        try:
            for host in hosts_of(self.placement):
                inputs += self._keep(host, chronicle)
            if chronicle.serial:
                chronicle.stated(RunEnded(self.quiet, inputs))
        except ClusterError as error:
            self.reasons.append(str(error))  # The chronicle's disk: it ends before its end.

    def _keep(self, host: Name, chronicle: Chronicle) -> int:
        """One journal; how many inputs are in it."""
        path = journal_path(self.setup.folder, host)
        try:
            keep_journal(self._journal(host), host, path)
            head = summary(path)
        except (ClusterError, IncompleteError, UnreadableError) as error:
            self.reasons.append(str(error))
            return 0
        chronicle.kept(host, head.count, head.tail)
        return head.inputs

    # --- Afterwards -------------------------------------------------------------------------------

    def conclude(self) -> LiveResult:
        """Re-execute from the journals; the history and the verdict come out of that."""
        self.phase = "re-executing"
        self._say()
        path = self.setup.folder / HISTORY
        judge = Judge(self.setup.machine, self.setup.properties)
        room = self.room.left() if self.room.bound else NO_END
        with path.open("wb") if self.setup.keep_history else nullcontext() as file:
            recorder = Recorder(judge, file.write if file else None, room)
            match = reexecute(self.setup.folder, recorder)
            broken = [f"re-execution diverged: {match.divergence}"] if match.divergence else []
            gaps = [*match.gaps, *broken]
            verdict = judge.finish(quiet=match.quiet, gaps=gaps)
            recorder.end()
        if recorder.cut:
            self.reasons.append(f"{path}: has no end, the judge saw all of it; {self.room.said}")
        faults = {what: self.faults[what] for what in sorted(self.faults)}
        return LiveResult(
            judged=verdict,
            match=match,
            quiet=self.quiet,
            interrupted=self.interrupted,
            cluster=self.cluster,
            history=path,
            counts={**self.counts, **recorder.counts, "inputs": match.total},
            faults=faults,
            reasons=tuple(self.reasons),
            seconds=time.monotonic() - self._began,
            followed=self.director.followed if self.director is not None else None,
        )

    def _say(self, supervisor: "Supervisor | None" = None) -> None:
        now = time.monotonic()
        if supervisor is not None and now - self._reported < PROGRESS_SECONDS:
            return
        self._reported = now
        if supervisor is not None:
            self._inputs, self._outcomes = supervisor.inputs(), supervisor.total("outcomes")
        passed = now - self._began
        said = (self.phase, passed, self.cluster, self._inputs, self._outcomes, dict(self.faults))
        self.report(Progress(*said))
