"""A cluster of ours as a value, in a file: what was started, so that it can be ended.

What is about to be made is written down before it is made.  So whatever kills who makes it, the
file names all there may be: namespaces by name, processes by pid and start time.  The folder is
its owner's alone; the token that opens the cluster is in it.
"""

import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct, structs

from clusters.live.processes import Process
from clusters.live.ray_cluster import ENVIRONMENT, OWNERS, ROOT, SHORT, UNSET
from clusters.live.spares import SPARES_MAX
from protocol.errors import ClusterError, ExperimentError, UnreadableError, nearest

FLEET_FORMAT: Final = 1
FLEET_BYTES_MAX: Final = 1 << 20
STATE: Final = "fleet.json"
CLAIM: Final = "claim"
TOKEN: Final = "token"  # noqa: S105  a file's name
TOKEN_PATH: Final = "RAY_AUTH_TOKEN_PATH"  # noqa: S105  where Ray is told of it
KINDS: Final = ("laptop", "lab")
NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,11}")
"""A cluster's or a node's: it is part of paths of sockets, and of a network device's name."""
RESOURCE: Final = "pasidlab"
"""What only nodes have that are there to run hosts."""
NODES_MAX: Final = 16

TUNED: Final = {
    "RAY_health_check_initial_delay_ms": "0",
    "RAY_health_check_period_ms": "100",
    "RAY_health_check_timeout_ms": "1500",
    "RAY_health_check_failure_threshold": "3",
    "RAY_agent_register_timeout_ms": "100000",
    "RAY_raylet_start_wait_time_s": "120",
    "RAY_actor_scheduling_queue_max_reorder_wait_seconds": "1",
    "RAY_scheduler_spread_threshold": "0.0",
    "RAY_worker_maximum_startup_concurrency": str(SPARES_MAX),
    "RAY_gcs_rpc_server_reconnect_timeout_s": "240",
    "RAY_gcs_server_request_timeout_seconds": "10",
    "RAY_core_worker_rpc_server_reconnect_timeout_max_s": "5",
    "DASHBOARD_METRIC_PORT": "-1",
    "AUTOSCALER_METRIC_PORT": "-1",
}
"""A node that is gone is given up within a second, one that only says nothing within six: where two
processors start eight processes, a sound node is silent for longer than one.  Who is without a GCS
ends only after longer than a head may take to come back (node_strikes.BACK_SECONDS)."""


class Node(Struct, frozen=True):
    """One Ray node.  `role`: head, desk (where a run's supervisor is), or host (where actors are).

    `keeper` is the parent of all its processes as this machine numbers them, None while it is off;
    `netns` its network namespace, "" if it has none.
    """

    name: str
    role: str
    ip: str
    command: tuple[str, ...]
    environment: dict[str, str]
    netns: str = ""
    keeper: Process | None = None


class Fleet(Struct, frozen=True):
    """A cluster: its nodes, the head first.  `ready`: it was brought up to its end.

    `network`: the number of a lab's network, 10.77.<network>.0/24.
    """

    kind: str
    name: str
    address: str
    root: str = str(ROOT)
    dashboard: str = ""
    network: int = 0
    ready: bool = False
    nodes: tuple[Node, ...] = ()
    format: int = FLEET_FORMAT

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return base() / self.name

    @property
    def environment(self) -> dict[str, str]:
        """Of all who belong to it, or want to talk to it."""
        token = {"RAY_AUTH_MODE": "token", TOKEN_PATH: str(self.folder / TOKEN)}
        return {**ENVIRONMENT, **TUNED, **token}

    @property
    def access(self) -> dict[str, str]:
        """What lets Ray's own commands in: the door, the token, and where all of it listens.

        Without the last, Ray looks for 127.0.0.1 at the machine's outer address.
        """
        keys = (*OWNERS, TOKEN_PATH)
        wanted = {key: self.environment[key] for key in keys}
        return {"RAY_ADDRESS": self.dashboard or self.address, **wanted}

    def node(self, name: str) -> Node:
        """The one of that name."""
        return next(node for node in self.nodes if node.name == name)

    def of(self, role: str) -> list[Node]:
        """Those that are there for that."""
        return [node for node in self.nodes if node.role == role]

    def having(self, node: Node) -> "Fleet":
        """The same with that node as it is now."""
        nodes = tuple(node if one.name == node.name else one for one in self.nodes)
        return structs.replace(self, nodes=nodes)

    def write(self) -> "Fleet":
        """Keep it; whole or not at all."""
        path = self.folder / STATE
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        return self


def base() -> Path:
    """The folder of all clusters of this user, which nobody else can look into or prepare.

    It is there as long as there is a cluster.
    """
    place = SHORT / f"pl-{os.getuid()}"
    try:
        found = place.lstat()
    except FileNotFoundError:
        return place
    except OSError as error:
        raise ClusterError(f"{place}: cannot be looked at: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise ClusterError(f"{place}: is not a folder that is yours alone; remove it")
    return place


def made_base() -> Path:
    """The same, and it is there."""
    place = base()
    try:
        place.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ClusterError(f"{place}: cannot be made: {error.strerror}") from error
    return base()


def fleets() -> list[str]:
    """The names of the clusters there are, or of which something is left."""
    try:
        return sorted(one.name for one in base().iterdir() if NAME.fullmatch(one.name))
    except FileNotFoundError:
        return []


def read_fleet(name: str) -> Fleet:
    """The cluster of that name."""
    there = fleets()
    if name not in there:
        said = f"clusters: {', '.join(there)}" if there else "none is up"
        raise ExperimentError(
            f"there is no cluster '{name}'{nearest(name, there)} ({said}; pasidlab cluster up)"
        )
    path = base() / name / STATE
    try:
        if path.stat().st_size > FLEET_BYTES_MAX:
            raise UnreadableError(f"{path}: is larger than {FLEET_BYTES_MAX} bytes")
        fleet = msgspec.json.decode(path.read_bytes(), type=Fleet)
    except FileNotFoundError:
        return Fleet(kind="", name=name, address="")  # It was killed before it wrote a word.
    except OSError as error:
        raise ClusterError(f"{path}: cannot be read: {error.strerror}") from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{path}: does not describe a cluster: {error}") from error
    if fleet.format != FLEET_FORMAT or fleet.name != name:
        raise UnreadableError(f"{path}: format {fleet.format} of '{fleet.name}' is not read here")
    return fleet


def ready_fleet(name: str) -> Fleet:
    """The cluster of that name, fit to run on."""
    fleet = read_fleet(name)
    if not fleet.ready:
        raise ClusterError(f"cluster '{name}' was never brought up to its end: {again(fleet)}")
    if fleet.root != str(ROOT):
        raise ClusterError(
            f"cluster '{name}' runs the pasidlab of {fleet.root}, this is {ROOT}: {again(fleet)}"
        )
    return fleet


def again(fleet: Fleet) -> str:
    """How to get a whole one."""
    return f"pasidlab cluster down {fleet.name}, then up"


def surroundings(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process of ours: the user's, without what names another's Ray.

    `python` is the one that runs this.
    """
    kept = {key: value for key, value in os.environ.items() if key not in UNSET}
    modules = os.pathsep.join([str(ROOT), *filter(None, [kept.get("PYTHONPATH")])])
    programs = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return {**kept, **extra, "PYTHONPATH": modules, "PATH": programs}


def making(fleet: Fleet) -> Callable[[], None]:
    """It is being brought up from now on; the way back."""
    file = (fleet.folder / CLAIM).open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file.close


def half_made(fleet: Fleet) -> bool:
    """Whether somebody is bringing it up just now."""
    if fleet.ready:
        return False
    try:
        claimed(fleet)()
    except (ExperimentError, FileNotFoundError) as why:
        return isinstance(why, ExperimentError)
    return False


def claimed(fleet: Fleet) -> Callable[[], None]:
    """Only one run at a time is on a cluster, because it does things to its nodes; the way back."""
    file = (fleet.folder / CLAIM).open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ExperimentError(
            f"another run is on cluster '{fleet.name}'; it does things to its nodes"
        ) from None
    return file.close
