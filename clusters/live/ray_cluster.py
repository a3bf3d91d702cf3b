"""The Ray that a live run stands on: one of our own, or one that the user named.

Nothing is attached to by accident, nothing of other people is stopped: what was started here is
ended here, process by process, also after an interruption.
"""

import os
import shutil
import tempfile
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from clusters.live.interruption import shielded
from clusters.live.processes import Held, Process, descendants, end, process
from clusters.live.spares import PRELOADED, Spares, spares_for
from clusters.live.watchdog import Watchdog
from clusters.workers import cores
from protocol.errors import ClusterError, ExperimentError, PasidlabError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from clusters.live.fleet import Fleet
    from clusters.live.ray_host import Spot
    from clusters.live.remote import Hands

ENVIRONMENT: Final = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
    # Despite its name, on every system: listen on the loopback address only.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # A killed worker is noticed, and its actor usable again, within a few hundred milliseconds.
    "RAY_timeout_ms_task_wait_for_death_info": "100",
    "RAY_core_worker_internal_heartbeat_ms": "100",
    "RAY_raylet_death_check_interval_milliseconds": "200",
    # Hosts are what the machine is here for.
    "RAY_worker_niceness": "0",
    # A process that waits for the next host to die is not one too many.
    "RAY_num_workers_soft_limit": "1024",
    "RAY_task_events_report_interval_ms": "0",
    "RAY_event_stats": "0",
    "RAY_enable_metrics_collection": "0",
    "RAY_memory_monitor_refresh_ms": "0",
    # A process is not ready for a host before it has imported this.
    "RAY_preload_python_modules": PRELOADED,
}
OWNERS: Final = ("RAY_AUTH_MODE", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER")
"""Settings in which a process has to agree with the cluster that it attaches to."""
UNSET: Final = ("RAY_ADDRESS", "RAY_NAMESPACE", "RAY_JOB_CONFIG_JSON_ENV_VAR")
OBJECT_STORE_BYTES: Final = 80 << 20
PRESTARTED_MAX: Final = 8
STARTED_AT_ONCE: Final = 4
"""Processes that a core, or a container's share of one, can start at a time."""
END_SECONDS: Final = 8.0
METRICS_PORT: Final = "PASIDLAB_METRICS_PORT"
"""In the environment: where a Ray of our own offers its metrics; without it, it collects none."""
SHORT: Final = Path("/tmp")  # noqa: S108  the path of a socket has at most 107 characters
ROOT: Final = Path(__file__).resolve().parents[2]


class RayCluster:
    """A context: Ray runs inside it.  `name` says in one line which Ray it is.

    `cpus`: how many one of our own has; 0: as many as there are hosts, if they are few.  `fleet`:
    a cluster of ours that is up already; what is started and ended then is only what we do on it.
    """

    def __init__(
        self, hosts: int, address: str = "", cpus: int = 0, fleet: "Fleet | None" = None
    ) -> None:
        self.address = address
        self.fleet = fleet
        self.name = ""
        self.node_id = ""
        self._cpus = cpus or max(1, min(PRESTARTED_MAX, hosts, STARTED_AT_ONCE * cores()))
        self._before: dict[str, str | None] = {}
        self._folder = ""
        self._watchdog: Watchdog | None = None
        self._hands: Hands | None = None
        self._leave: list[Callable[[], None]] = []
        self.spares = Spares()

    def __enter__(self) -> Self:
        self._set_environment()
        try:
            self._start()
        except BaseException as error:
            self.__exit__(None, None, None)
            if isinstance(error, Exception) and not isinstance(error, PasidlabError):
                raise ClusterError(f"Ray does not start: {first_line(error)}") from error
            raise
        return self

    def _start(self) -> None:
        import ray

        if ray.is_initialized():
            raise ClusterError("this process is connected to a Ray already")
        again: list[str] = []
        if self.fleet is not None:
            again = self._attach(self.fleet)
        elif self.address:
            ray.init(address=self.address, log_to_driver=False, configure_logging=False)
        else:
            self._folder = tempfile.mkdtemp(prefix="pl-", dir=SHORT if SHORT.is_dir() else None)
            self._watchdog = Watchdog(self._folder)
            ray.init(
                address="local",
                include_dashboard=False,
                num_cpus=self._cpus,
                object_store_memory=OBJECT_STORE_BYTES,
                _temp_dir=self._folder,
                _metrics_export_port=int(os.environ.get(METRICS_PORT) or 0) or None,
                log_to_driver=False,
                configure_logging=False,
            )
        _silence(ray)
        self.watch()
        self.node_id = ray.get_runtime_context().get_node_id()
        where = f"attached to {self.address}" if self.address else "started here, for this run only"
        if self.fleet is not None:
            where = f"cluster '{self.fleet.name}' ({self.fleet.kind}, {self.fleet.address})"
            where += f", {' and '.join(again)} started again" if again else ""
        cpus = int(ray.cluster_resources().get("CPU", 0))  # type: ignore[no-untyped-call]
        self.name = f"{where}: Ray {ray.__version__}, {cpus} CPUs"

    def _attach(self, fleet: "Fleet") -> list[str]:
        """To its desk, which is the node that no fault hits; who was off and is not any more."""
        import ray

        from clusters.live.fleet import claimed
        from clusters.live.lab import enter
        from clusters.live.upkeep import made_whole

        desk = fleet.node("desk")
        if desk.keeper is None or not desk.keeper.state:
            raise ClusterError(
                f"the desk of cluster '{fleet.name}' is not seen from here: pasidlab cluster status"
                " says why, and --address works from any of its nodes"
            )
        self._leave.append(claimed(fleet))
        self.fleet, again = made_whole(fleet)
        if desk.netns:
            self._leave.append(enter(desk.netns))
        ray.init(
            address=fleet.address,
            _temp_dir=str(fleet.folder / desk.name),
            log_to_driver=False,
            configure_logging=False,
        )
        return again

    def spots(self) -> "list[Spot]":
        """Where hosts may be, one after the other."""
        from clusters.live.ray_host import Spot

        there = [one for one in ray_nodes() if one.alive]
        able = [one.id for one in there if one.cpus]
        if self.fleet is not None:
            return [Spot(one, elsewhere=True, ours=True) for one in able]
        if not self.address or len(there) == 1:
            return [Spot(self.node_id)]
        return [Spot(one, elsewhere=True) for one in able or [one.id for one in there]]

    def check_disk(self, path: str) -> None:
        """Hosts on other machines write their journals into the run's folder, or to a server."""
        blind = self._reach().blind(path) if self.address else []
        if blind:
            raise ExperimentError(
                f"node {blind[0]} does not see the run's folder: name a Redis server as"
                " live.journal, or a --runs-dir on a disk that all nodes share"
            )

    def process(self, node: str, pid: int) -> Held | None:
        """The process that has this number on that node."""
        if self.fleet is not None:
            from clusters.live.nodes import inner

            return inner(self.fleet.node(node), pid)
        return self._reach().find(node, pid) if self.address else process(pid)

    def _reach(self) -> "Hands":
        if self._hands is None:
            from clusters.live.remote import Hands

            self._hands = Hands({one.id: one.name for one in ray_nodes() if one.alive})
        return self._hands

    def watch(self) -> None:
        """Should this process be killed, then those that it has started now end as well."""
        if self._watchdog is not None:
            self._watchdog.watch(self._ours())

    def spare(self, node: str, on_nodes: "Mapping[str, int]", others: int = 0) -> None:
        """So many hosts are on each node: processes are to be on that one, for the next."""
        hosts = on_nodes.get(node, 0) + others
        if self.fleet is not None:
            self.spares.keep(node, hosts, spares_for(on_nodes.values()))
        elif not self.address:  # Elsewhere processes are not ours to keep.
            self.spares.keep(node, hosts)

    def places(self) -> list[str]:
        """The nodes that are there for hosts, whether they have any or not."""
        return [node.name for node in self.fleet.of("host")] if self.fleet is not None else []

    def _ours(self) -> list[Process]:
        """All of our own Ray's processes; none of another's."""
        if self._watchdog is None:
            return []
        return [one for one in descendants(os.getpid()) if one.pid != self._watchdog.process]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with shielded():
            self._stop()

    def _stop(self) -> None:
        import ray

        self.spares.end()
        ours = self._ours()
        self.watch()
        try:
            if ray.is_initialized():
                ray.shutdown()
        finally:
            if self._watchdog is not None:
                end(ours, END_SECONDS)
                shutil.rmtree(self._folder, ignore_errors=True)
                self._watchdog.dismiss()
            for leave in reversed(self._leave):
                leave()
            self._leave = []
            _apply(self._before)

    def _set_environment(self) -> None:
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        settings = ENVIRONMENT if self.fleet is None else self.fleet.environment
        if self.address:  # How one gets into it is its owner's affair.
            there = self.address.rpartition(":")[0] not in ("127.0.0.1", "localhost")
            settings = {
                key: said for key, said in settings.items() if key not in OWNERS[: 1 + there]
            }
        wanted: dict[str, str | None] = {**settings, "PYTHONPATH": path}
        wanted |= dict.fromkeys(UNSET)
        if os.environ.get(METRICS_PORT):
            wanted["RAY_enable_metrics_collection"] = "1"
        self._before = {name: os.environ.get(name) for name in wanted}
        _apply(wanted)


class RayNode(NamedTuple):
    """A node as Ray knows it: one that was started again is another one of the same name."""

    id: str
    name: str
    alive: bool
    cpus: float


def ray_nodes() -> list[RayNode]:
    """All that there are and have been."""
    import ray

    return [
        RayNode(one["NodeID"], one["NodeName"], one["Alive"], one["Resources"].get("CPU", 0))
        for one in ray.nodes()  # type: ignore[no-untyped-call]
    ]


def _silence(ray: ModuleType) -> None:
    """Ray prints a paragraph to our standard output for every worker that we kill."""
    worker = ray._private.worker  # noqa: SLF001  there is no switch for it
    if hasattr(worker, "print_to_stdstream"):
        worker.print_to_stdstream = lambda *_, **__: None


def _apply(wanted: dict[str, str | None]) -> None:
    for name, value in wanted.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def first_line(error: BaseException) -> str:
    """Ray's messages are long; their first line says what happened."""
    return str(error).strip().partition("\n")[0] or type(error).__name__
