"""Clusters of ours brought up, looked at, and taken down to the last file.

Only what was started here is ever signalled: by pid and start time, or by a keeper's own words on
its command line.  Nothing of it is left when `down` is through; where something is, that is said.
"""

import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct, structs

from clusters.live import lab, nodes
from clusters.live.fleet import (
    KINDS,
    NAME,
    NODES_MAX,
    TOKEN,
    Fleet,
    Node,
    again,
    half_made,
    made_base,
    making,
    read_fleet,
)
from clusters.live.interruption import shielded
from clusters.live.processes import PROC, Process
from clusters.live.ray_says import ALIVE, ray_says
from protocol.errors import ClusterError, ExperimentError, nearest

START_SECONDS: Final = 180.0
TRIES: Final = 3
"""A raylet gives up when its agents need too long, which on a busy machine they do."""
POLL_SECONDS: Final = 0.05
LOOPBACK: Final = "127.0.0.1"
PORT: Final = 6379
DASHBOARD_PORT: Final = 8265
SEEN_SECONDS: Final = 60.0


class Wanted(Struct, frozen=True):
    """A cluster to be: `hosts` nodes that run actors, beside the head and the desk."""

    kind: str
    name: str
    hosts: int = 3
    cpus: int = 1
    dashboard: bool = False


class NodeLook(Struct, frozen=True):
    """How a node is: `state` up, paused, off; `ray` alive, dead, or unknown if nobody can say."""

    name: str
    role: str
    ip: str
    pid: int
    processes: int
    state: str
    ray: str


class Look(Struct, frozen=True):
    """How a cluster is."""

    name: str
    kind: str
    address: str
    dashboard: str
    ready: bool
    environment: dict[str, str]
    nodes: tuple[NodeLook, ...]

    @property
    def well(self) -> bool:
        """Whether all of it is up and Ray agrees."""
        return self.ready and all((one.state, one.ray) == ("up", ALIVE) for one in self.nodes)


# --- Up -------------------------------------------------------------------------------------------


def up(wanted: Wanted, say: Callable[[str], None] = lambda _: None) -> Fleet:
    """Bring it up; if that fails or is interrupted, nothing of it stays."""
    check(wanted)
    folder = _claim(wanted.name)
    fleet = Fleet(kind=wanted.kind, name=wanted.name, address="")
    made = making(fleet)
    try:
        fleet = _planned(wanted, folder).write()
        if fleet.network:
            lab.build(fleet.network, len(fleet.nodes))
        for group in (fleet.nodes[:1], fleet.nodes[1:]):
            fleet = _start(fleet, group, say)
        _await(fleet)
        return structs.replace(fleet, ready=True).write()
    except BaseException:
        with shielded():
            _take_down(fleet.name)
        raise
    finally:
        made()


def check(wanted: Wanted) -> None:
    """Refuse what cannot be, before anything is made."""
    if wanted.kind not in KINDS:
        hint = nearest(wanted.kind, KINDS)
        raise ExperimentError(
            f"'{wanted.kind}' is not a kind of cluster{hint} ({', '.join(KINDS)})"
        )
    if not NAME.fullmatch(wanted.name):
        raise ExperimentError(
            f"'{wanted.name}' cannot name a cluster: a small letter, then at most 11 small letters,"
            " digits and -"
        )
    if not 1 <= wanted.hosts <= NODES_MAX:
        raise ExperimentError(f"a cluster has 1 to {NODES_MAX} nodes for hosts, not {wanted.hosts}")
    if not PROC.joinpath("self", "stat").exists():
        raise ExperimentError("a cluster needs Linux: who is alive is read in /proc")
    why = lab.refusal() if wanted.kind == "lab" else ""
    if why:
        raise ExperimentError(why)


def _claim(name: str) -> Path:
    """The folder, which only one can make."""
    while True:
        folder = made_base() / name
        try:
            folder.mkdir(mode=0o700)
            break
        except FileNotFoundError:
            continue  # The last cluster there was has just gone, and took the folder of all along.
        except FileExistsError:
            fleet = read_fleet(name)
            if half_made(fleet):
                raise ExperimentError(f"cluster '{name}' is just being brought up") from None
            state = "is up already" if fleet.ready else "was left half made"
            raise ExperimentError(f"cluster '{name}' {state}: {again(fleet)}") from None
        except OSError as error:
            raise ClusterError(f"{folder}: cannot be made: {error.strerror}") from error
    handle = os.open(folder / TOKEN, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32))
    return folder


def _planned(wanted: Wanted, folder: Path) -> Fleet:
    """All of it, before any of it is there."""
    network = lab.free_network() if wanted.kind == "lab" else 0
    port = PORT if network else free_port()
    dashboard = DASHBOARD_PORT if network else free_port()
    names = ["head", "desk", *(f"n{k}" for k in range(1, wanted.hosts + 1))]
    ips = [lab.address(network, k + 1) if network else LOOPBACK for k in range(len(names))]
    address = f"{ips[0]}:{port}"
    planned = []
    for k, (name, ip) in enumerate(zip(names, ips, strict=True)):
        role = name if name in {"head", "desk"} else "host"
        node = Node(name, role, ip, (), {}, lab.netns(network, k + 1) if network else "")
        extra = () if network else own_ports(name)
        planned.append(_commanded(node, folder, address, (wanted, dashboard, extra)))
    return Fleet(
        kind=wanted.kind,
        name=wanted.name,
        address=address,
        dashboard=f"http://{ips[0]}:{dashboard}" if wanted.dashboard else "",
        network=network,
        nodes=tuple(planned),
    )


def _commanded(
    node: Node, folder: Path, address: str, how: tuple[Wanted, int, tuple[str, ...]]
) -> Node:
    wanted, dashboard, extra = how
    if node.role != "head":
        command = nodes.joining_command(folder, node, address, wanted.cpus, extra)
        return structs.replace(node, command=command)
    more = (
        f"--include-dashboard={'true' if wanted.dashboard else 'false'}",
        f"--dashboard-host={node.ip}", f"--dashboard-port={dashboard}",
        "--no-monitor", *extra,
    )  # fmt: skip
    storage = {
        "RAY_gcs_storage": "rocksdb",
        "RAY_gcs_storage_path": str(folder / nodes.STORAGE),
    }
    command = nodes.head_command(folder, node.ip, int(address.rpartition(":")[2]), more)
    return structs.replace(node, command=command, environment=storage)


def free_port() -> int:
    """One that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def own_ports(name: str) -> tuple[str, ...]:
    """What has the same port on every node, unless it is told otherwise."""
    client = (f"--ray-client-server-port={free_port()}",) if name == "head" else ()
    return (f"--dashboard-agent-listen-port={free_port()}", *client)


def _start(fleet: Fleet, group: tuple[Node, ...], say: Callable[[str], None]) -> Fleet:
    """These at the same time; until all of them are through."""
    for node in group:
        fleet = fleet.having(nodes.start(fleet, node)).write()
    until = time.monotonic() + START_SECONDS
    tried: dict[str, int] = {}
    waiting = [node.name for node in group]
    while waiting:
        node = fleet.node(waiting[0])
        try:
            if nodes.started(fleet, node):
                say(f"{node.name:<5} {node.ip}")
                waiting.pop(0)
        except ClusterError as error:
            tried[node.name] = tried.get(node.name, 1) + 1
            if tried[node.name] > TRIES:
                raise
            say(str(error))
            nodes.power_off(node)
            fleet = fleet.having(nodes.start(fleet, node)).write()
        if time.monotonic() > until:
            raise ClusterError(f"node {node.name} does not start in {START_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
    return fleet


def _await(fleet: Fleet) -> None:
    """Ray knows of all of them."""
    until = time.monotonic() + SEEN_SECONDS
    while True:
        known = ray_says(fleet)
        missing = [node.name for node in fleet.nodes if known.get(node.name) != ALIVE]
        if not missing:
            return
        if time.monotonic() > until:
            raise ClusterError(f"Ray does not see {', '.join(missing)}")
        time.sleep(POLL_SECONDS)


def made_whole(fleet: Fleet) -> tuple[Fleet, list[str]]:
    """What is off or stopped, as a run that was cut short may leave it, starts again; and who."""
    for node in fleet.nodes:
        if node.netns:
            lab.mend(node.netns)
    hurt = [node for node in fleet.nodes if not _runs(node)]
    for node in hurt:
        nodes.power_off(node)
    for group in (fleet.nodes[:1], fleet.nodes[1:]):
        fleet = _start(fleet, tuple(node for node in group if node in hurt), lambda _: None)
    if hurt:
        _await(fleet)
    return fleet, [node.name for node in hurt]


def _runs(node: Node) -> bool:
    main = nodes.gcs(node) if node.role == "head" else nodes.raylet(node)
    return main is not None and main.state != "T"


# --- Down -----------------------------------------------------------------------------------------


def down(name: str) -> None:
    """Every process, namespace and file of it."""
    if half_made(read_fleet(name)):
        raise ExperimentError(
            f"cluster '{name}' is just being brought up; interrupt that, and nothing of it stays"
        )
    _take_down(name)


def _take_down(name: str) -> None:
    fleet = read_fleet(name)
    folder = fleet.folder
    keepers = [node.keeper for node in fleet.nodes if node.keeper is not None]
    strays: list[Process] = []
    while True:  # Once more: one may have been started while it was looked for.
        for keeper in dict.fromkeys([*keepers, *strays]):
            space = "lab" if fleet.network else ""
            nodes.power_off(Node("", "", "", (), {}, space, keeper))
        strays = nodes.strays(folder)
        if not strays:
            break
    if fleet.network:
        lab.remove(fleet.network, len(fleet.nodes))
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise ClusterError(f"{folder}: cannot be removed")
    with suppress(OSError):
        folder.parent.rmdir()  # It was the last one.


# --- Status ---------------------------------------------------------------------------------------


def look(name: str) -> Look:
    """How it is now."""
    fleet = read_fleet(name)
    known = ray_says(fleet)
    seen = []
    for node in fleet.nodes:
        family = nodes.family(node)
        state = "off" if not family else "paused" if family[-1].state == "T" else "up"
        pid = family[0].pid if family else 0
        seen.append(
            NodeLook(
                node.name, node.role, node.ip, pid, len(family), state,
                known.get(node.name, "unknown"),
            )
        )  # fmt: skip
    address, access = fleet.address, fleet.access
    return Look(name, fleet.kind, address, fleet.dashboard, fleet.ready, access, tuple(seen))
