"""One Ray node of a cluster of ours: started, killed, paused, powered off, from outside of it.

What is done is waited for until `/proc` shows it.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

from msgspec import structs

from clusters.live import lab
from clusters.live.fleet import RESOURCE, TOKEN, TOKEN_PATH, Fleet, Node, surroundings
from clusters.live.keeper import GCS, NODE, RAYLET, named
from clusters.live.processes import PROC, Process, descendants, process
from clusters.live.ray_cluster import OBJECT_STORE_BYTES
from protocol.errors import ClusterError

KEEPER: Final = "clusters.live.keeper"
RAY_START: Final = (sys.executable, "-m", "clusters.live.ray_start")
STORAGE: Final = "gcs"
"""The folder in which a head keeps what it knows, so that it can come back."""
CURRENT: Final = "ray_current_cluster"
"""Ray's own note, for which it refuses to start a head again."""
_born: Final[list["subprocess.Popen[bytes]"]] = []
"""They are to outlive us: nobody waits for them."""


def common(fleet_folder: Path, name: str, role: str, ip: str) -> tuple[str, ...]:
    """What `ray start` is told of any node."""
    return (
        *RAY_START,
        f"--node-name={name}", f"--node-ip-address={ip}", f"--temp-dir={fleet_folder / name}",
        f"--object-store-memory={OBJECT_STORE_BYTES}", "--include-log-monitor=false",
        "--disable-usage-stats", "--num-cpus=0" if role != "host" else "",
    )  # fmt: skip


def head_command(folder: Path, ip: str, port: int, extra: tuple[str, ...]) -> tuple[str, ...]:
    """The head: the GCS, and nothing that runs anything."""
    said = (*common(folder, "head", "head", ip), "--head", f"--port={port}", *extra)
    return tuple(word for word in said if word)


def joining_command(
    folder: Path, node: Node, address: str, cpus: int, extra: tuple[str, ...]
) -> tuple[str, ...]:
    """Any other node; only those that run hosts have CPUs, and the resource that hosts ask for."""
    said = [*common(folder, node.name, node.role, node.ip), f"--address={address}", *extra]
    if node.role == "host":
        said += [f"--num-cpus={cpus}", f'--resources={{"{RESOURCE}": 1000}}']
    return tuple(word for word in said if word)


def start(fleet: Fleet, node: Node) -> Node:
    """Its keeper is started, which starts it; `started` says whether it is there."""
    folder = fleet.folder
    _rc(fleet, node).unlink(missing_ok=True)
    (folder / node.name / CURRENT).unlink(missing_ok=True)
    (folder / node.name).mkdir(exist_ok=True)
    command = (
        *lab.inside(node.netns),
        sys.executable,
        "-m",
        KEEPER,
        str(folder),
        node.name,
        *node.command,
    )
    environment = {**fleet.environment, NODE: node.name, **node.environment}
    with (folder / f"{node.name}.log").open("ab") as log:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=surroundings(environment),
            start_new_session=True,
        )
    _born.append(child)
    return structs.replace(node, keeper=process(child.pid))


def started(fleet: Fleet, node: Node) -> bool:
    """Whether `ray start` is through; an error when it has failed."""
    try:
        code = int(_rc(fleet, node).read_text())
    except FileNotFoundError:
        if node.keeper is None or not node.keeper.state:
            raise ClusterError(f"node {node.name} does not start: {_last(fleet, node)}") from None
        return False
    if code:
        raise ClusterError(f"node {node.name} does not start: {_last(fleet, node)}")
    return True


def _rc(fleet: Fleet, node: Node) -> Path:
    return fleet.folder / f"{node.name}.rc"


def _last(fleet: Fleet, node: Node) -> str:
    """What it said last."""
    log = fleet.folder / f"{node.name}.log"
    try:
        lines = log.read_bytes().decode(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"{lines[-1] if lines else 'it said nothing'} ({log})"


# --- Its processes --------------------------------------------------------------------------------


def family(node: Node) -> list[Process]:
    """All its processes that are there, the keeper first."""
    if node.keeper is None or not node.keeper.state:
        return []
    every = [node.keeper, *descendants(node.keeper.pid)]
    return [one for one in every if one.state]


def inner(node: Node, pid: int) -> Process | None:
    """The process that has this number where the node is: a PID namespace has its own."""
    for one in family(node):
        if _own_pid(one.pid) == pid:
            return one
    return None


def raylet(node: Node) -> Process | None:
    """What makes it a node for Ray."""
    return named(family(node), RAYLET)


def gcs(node: Node) -> Process | None:
    """Of a head: what knows the whole cluster."""
    return named(family(node), GCS)


def power_off(node: Node) -> None:
    """Every process of it at once, as far as there is "at once" for its kind of cluster."""
    if node.netns:
        for first in family(node)[1:2]:
            first.kill()  # The first of its PID namespace: the kernel kills all others with it.
    while rest := family(node)[1:]:
        for one in rest:
            one.send(signal.SIGKILL)
    if node.keeper is not None:
        node.keeper.kill()


def pause(node: Node) -> list[Process]:
    """All its processes stop; those that did, so that just they go on."""
    stopped: dict[Process, None] = {}
    while going := [one for one in family(node) if one not in stopped]:
        for one in going:
            one.send(signal.SIGSTOP)
        for one in going:
            one.wait({"T", ""}, "stopped")
            stopped[one] = None
    return list(stopped)


def resume(stopped: list[Process]) -> None:
    """They go on."""
    for one in stopped:
        one.resume()


def gcs_again(node: Node) -> None:
    """The keeper starts the GCS that was killed."""
    for one in family(node)[:2]:
        # In a lab the first is what made the namespace, and the second is the keeper.
        if not node.netns or one is not node.keeper:
            one.send(signal.SIGUSR1)
            return


def strays(folder: Path) -> list[Process]:
    """Keepers of this cluster, whether it is written down that they were started or not.

    And what has lost its keeper, by the environment that it was born with.
    """
    sign = f"\0{KEEPER}\0{folder}\0".encode()
    born = {f"{TOKEN_PATH}={folder / TOKEN}".encode(), f"{NODE}=".encode()}
    found = []
    for entry in PROC.iterdir():
        try:
            if not (entry.name.isdigit() and entry.stat().st_uid == os.getuid()):
                continue
            said = (entry / "environ").read_bytes()
            if sign in (entry / "cmdline").read_bytes() or all(one in said for one in born):
                found.append(process(int(entry.name)))
        except OSError:
            continue
    return [one for one in found if one is not None]


def _own_pid(pid: int) -> int:
    """As it is numbered in the innermost PID namespace that it is in."""
    try:
        text = (PROC / str(pid) / "status").read_text()
    except OSError:
        return 0
    for line in text.splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return pid
