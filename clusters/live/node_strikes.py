"""Faults of nodes in a live run: raylets, whole nodes, the GCS and the head; done from outside.

A node is one of a cluster of ours, whose processes we know.  A fault is stated when `/proc` shows
it, and is healed when the node is back: started again if need be, in the same place, as another
life of it for Ray.  A node that Ray has given up while it was paused or cut off kills itself when
it hears of that, and is started again as well.
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from clusters.live import lab, nodes
from clusters.live.fleet import Fleet, Node
from clusters.live.processes import Held, Process
from clusters.live.ray_cluster import ray_nodes
from clusters.nemesis import OF_HEAD, OF_NODES, Nemesis, node_candidates
from protocol.errors import ClusterError, ExperimentError, nearest
from protocol.facts.world import FaultBegun, FaultHealed, HostCrashed
from protocol.names import Name

if TYPE_CHECKING:
    from clusters.live.supervisor import HostView, Supervisor

LOOK_SECONDS: Final = 0.5
BACK_SECONDS: Final = 180.0
"""A node that is not back after that is the cluster's failure."""
AGAIN_SECONDS: Final = 60.0
"""`ray start` that is not through by then never is: it waits for a GCS that died meanwhile; but
that of a head waits for none."""
HEAD: Final = "head"


def check_nodes(nemeses: Sequence[Nemesis], fleet: Fleet | None, where: str = "nemesis") -> None:
    """Refuse what this cluster cannot suffer, before anything runs."""
    for index, nemesis in enumerate(nemeses):
        if nemesis.fault not in OF_NODES:
            continue
        place = f"{where}[{index}]"
        if fleet is None:
            raise ExperimentError(
                f"{place}.fault: '{nemesis.fault}' needs a cluster of ours with several nodes:"
                " pasidlab cluster up laptop, then chaos ... --cluster laptop"
            )
        if nemesis.fault == "node-cut" and not fleet.network:
            raise ExperimentError(
                f"{place}.fault: 'node-cut' needs a lab: the nodes of '{fleet.name}' have no wires"
            )
        names = [node.name for node in fleet.of("host")]
        found, at_once = node_candidates(nemesis.target, names)
        if nemesis.fault not in OF_HEAD and not found:
            hint = nearest(nemesis.target, names)
            raise ExperimentError(
                f"{place}.target: '{nemesis.target}' is not a node of '{fleet.name}' that has hosts"
                f"{hint} ({', '.join(names)})"
            )
        if nemesis.fault not in OF_HEAD and not at_once:
            raise ExperimentError(
                f"{place}.target: '{nemesis.target}' is nobody: there are {len(names)} such nodes"
            )


class Hurt:
    """What a node suffers; "": it has died without us.

    `stopped`: those of its processes that we paused; `ending`: it is over, `since` when.  `off`:
    it has to be started, as soon as there is a head; `tried`: when that was done last.
    """

    def __init__(self, fault: str, node: str) -> None:
        self.fault = fault
        self.node = node
        self.stopped: list[Process] = []
        self.ending = False
        self.since = 0.0
        self.off = False
        self.tried = 0.0


class NodeStrikes:
    """`begun` (fault and target) counts those that were seen to have happened."""

    def __init__(self, supervisor: "Supervisor", begun: dict[str, int]) -> None:
        self.supervisor = supervisor
        self.cluster = supervisor.ground
        self.begun = begun
        self._hurt: dict[str, Hurt] = {}
        self._until: list[tuple[float, str]] = []
        self._dying: list[tuple[HostView, Held, int]] = []
        self._looked = 0.0
        self._any = False

    @property
    def fleet(self) -> Fleet:
        """The cluster as it is now."""
        assert self.cluster is not None
        assert self.cluster.fleet is not None
        return self.cluster.fleet

    # --- Whom -------------------------------------------------------------------------------------

    def targets(self, nemesis: Nemesis) -> tuple[list[Name], int]:
        """Whom it may hit at all, and how many at once."""
        if nemesis.fault in OF_HEAD:
            return [HEAD], 1
        return node_candidates(nemesis.target, [node.name for node in self.fleet.of("host")])

    def possible(self, fault: str, name: Name) -> bool:
        """Whether it can begin: the node is whole, and none of its hosts is stopped."""
        if name in self._hurt or (name != HEAD and HEAD in self._hurt and fault == "node-off"):
            return False
        if any(view.suffers == "pause" for view in self._on(name)):
            return False
        return nodes.raylet(self.fleet.node(name)) is not None

    def _on(self, name: Name) -> "list[HostView]":
        return [view for view in self.supervisor.running if view.node == name]

    # --- What is done -----------------------------------------------------------------------------

    def begin(self, fault: str, name: Name, until: float) -> None:
        """Now, and until then."""
        node, hurt = self.fleet.node(name), Hurt(fault, name)
        struck = [view for view in self._on(name) if view.process is not None]
        self._hurt[name], self._any = hurt, True
        match fault:
            case "raylet-kill":
                _kill(nodes.raylet(node))
            case "gcs-kill":
                _kill(nodes.gcs(node))
                struck = []
            case "node-pause":
                hurt.stopped = nodes.pause(node)
            case "node-cut":
                lab.cut(node.netns)
            case _:
                nodes.power_off(node)
        for view in struck:
            view.fresh = False
            view.suffers = "pause" if fault in ("node-pause", "node-cut") else "crash"
            if view.suffers == "crash":
                assert view.process is not None
                self._dying.append((view, view.process, view.epoch))
                view.process = None
        self.supervisor.chronicle.stated(FaultBegun(fault, name))
        self.supervisor.log("fault.begun", fault=fault, node=name, hosts=len(struck))
        self.begun[f"{fault} {name}"] = self.begun.get(f"{fault} {name}", 0) + 1
        heappush(self._until, (until, name))
        self._bury()

    def act(self, now: float) -> None:
        """End what is over, and see who is back."""
        self._bury()
        if self._hurt:
            self._excuse()
        while self._until and self._until[0][0] <= now:
            self._end(heappop(self._until)[1])
        if self._any and time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            self._miss()
            for hurt in [one for one in self._hurt.values() if one.ending]:
                self._see(hurt)

    def _excuse(self) -> None:
        """Hosts are silent as long as they have no node, and may be: a node has its own limit."""
        for view in self.supervisor.running:
            view.heard_ns = time.monotonic_ns()

    def heal(self) -> None:
        """All of it is over."""
        while self._until:
            self._end(heappop(self._until)[1])

    @property
    def over(self) -> bool:
        """Whether every node is back."""
        self.act(0.0)
        return not (self._hurt or self._dying)

    @property
    def undone(self) -> list[str]:
        """What is not over yet."""
        return [f"node {one.node} is not back from {one.fault}" for one in self._hurt.values()]

    def restore(self) -> None:
        """The run ends early: nobody stays paused, cut off or switched off."""
        with suppress(ClusterError):
            self.heal()
            for hurt in [one for one in self._hurt.values() if one.off]:
                self._again(hurt)

    def _bury(self) -> None:
        """Hosts are said to have crashed when their processes are seen to be gone."""
        for one in [one for one in self._dying if not one[1].state]:
            self._dying.remove(one)
            view, _, epoch = one
            for name in view.actors:
                if name not in self.supervisor.lost:
                    self.supervisor.chronicle.stated(HostCrashed(), name, view.name, epoch)

    # --- How it ends ------------------------------------------------------------------------------

    def _end(self, name: Name) -> None:
        hurt, node = self._hurt[name], self.fleet.node(name)
        hurt.ending, hurt.since = True, time.monotonic()
        match hurt.fault:
            case "node-pause":
                nodes.resume(hurt.stopped)
            case "node-cut":
                lab.mend(node.netns)
            case "gcs-kill":
                nodes.gcs_again(node)
            case _:
                hurt.off = True
        for view in self._on(name):
            if view.suffers == "pause":
                view.suffers, view.fresh = "", False
                view.heard_ns = time.monotonic_ns()

    def _again(self, hurt: Hurt) -> None:
        """What is left of it goes, and it starts."""
        assert self.cluster is not None
        node = self.fleet.node(hurt.node)
        hurt.off, hurt.tried = False, time.monotonic()
        nodes.power_off(node)
        self.cluster.fleet = self.fleet.having(nodes.start(self.fleet, node)).write()

    def _miss(self) -> None:
        """A node that dies without us, as one does that Ray gave up in error, starts again too.

        A head is one as long as its GCS is there: nobody else's raylet is worth the whole cluster.
        """
        for node in self.fleet.nodes:
            alive = nodes.gcs if node.name == HEAD else nodes.raylet
            if node.name not in self._hurt and alive(node) is None:
                self.supervisor.log("node.died", node=node.name)
                hurt = self._hurt[node.name] = Hurt("", node.name)
                hurt.ending, hurt.since, hurt.off = True, time.monotonic(), True

    def _see(self, hurt: Hurt) -> None:
        node = self.fleet.node(hurt.node)
        headed = _answers(self.fleet.address)
        if not headed and hurt.node != HEAD:
            hurt.since = time.monotonic()  # Nobody comes back before the head does.
        if time.monotonic() - hurt.since > BACK_SECONDS:
            raise ClusterError(
                f"node {hurt.node} is not back {BACK_SECONDS:g} s after {hurt.fault}"
            )
        if hurt.off:
            if headed or hurt.node == HEAD:
                self._again(hurt)
            return
        if not self._started(hurt, node) or not headed:
            return
        if hurt.fault in ("node-pause", "node-cut") and not self._accepted(hurt, node):
            return
        del self._hurt[hurt.node]
        if hurt.fault:
            self.supervisor.chronicle.stated(FaultHealed(hurt.fault, hurt.node))
        self.supervisor.log("fault.healed", fault=hurt.fault, node=hurt.node)
        if node.role == "host":
            self.supervisor.spare(node.name)  # It is empty, and gets the next ones.

    def _started(self, hurt: Hurt, node: Node) -> bool:
        """Whether `ray start` is through; one that fails or hangs is tried again."""
        try:
            started = nodes.started(self.fleet, node)
        except ClusterError as error:
            self.supervisor.log("node.not_started", node=node.name, message=str(error))
            hurt.off = True
            return False
        late = time.monotonic() - hurt.tried > AGAIN_SECONDS
        hurt.off = not started and late and node.name != HEAD
        return started

    def _accepted(self, hurt: Hurt, node: Node) -> bool:
        """Whether Ray still takes the node for one of its own; else it gets another life."""
        raylet = nodes.raylet(node)
        alive = any(one.alive for one in ray_nodes() if one.name == node.name)
        if raylet is not None and alive:
            return True
        if hurt.fault == "node-cut" and raylet is not None:
            return False  # It has not heard yet that it is dead; when it does, it ends.
        self.supervisor.log("node.given_up", node=node.name, fault=hurt.fault)
        hurt.off = True
        return False


def _kill(one: Process | None) -> None:
    if one is None:
        raise ClusterError("what was to be killed is not there")
    one.kill()


def _answers(address: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=LOOK_SECONDS):
            return True
    except OSError:
        return False
