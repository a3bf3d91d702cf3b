"""The network of a lab: a bridge, and for each node a network namespace with one end of a wire.

All is iproute2, as root.  Names hold the cluster's number, so that what is made here is told from
what anybody else has made, and can be removed after whoever made it is dead.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from protocol.errors import ClusterError

NEEDED: Final = ("ip", "unshare")
NETNS: Final = Path("/run/netns")
NETWORKS: Final = range(1, 251)
HERE: Final = 254
"""This machine's own number on the bridge."""
PROBE: Final = (
    "unshare", "--net", "--pid", "--fork", "--mount-proc", "sh", "-c",
    "ip link add plb type bridge && ip link add pla type veth peer name plc",
)  # fmt: skip
TRIES: Final = 50


def refusal() -> str:
    """Why there can be no lab here; "" if there can."""
    if os.name != "posix" or not Path("/proc/self/ns/net").exists():
        return "a lab needs Linux with network namespaces; laptop works without"
    if os.geteuid() != 0:
        return "a lab needs root, for network and PID namespaces; laptop works without"
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        return (
            f"a lab needs {' and '.join(missing)} (Debian: apt-get install iproute2 util-linux);"
            " laptop works without"
        )
    done = subprocess.run(PROBE, capture_output=True, text=True, check=False)
    if done.returncode:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return f"a lab needs namespaces, a bridge and veth, and here: {why}; laptop works without"
    return ""


def free_network() -> int:
    """The number of a network that nobody on this machine has."""
    taken = _ip("-o", "addr", "show")
    for number in NETWORKS:
        if f" 10.77.{number}." not in taken and not (NETNS / netns(number, 1)).exists():
            return number
    raise ClusterError("all networks 10.77.1.0/24 to 10.77.250.0/24 are in use")


def bridge(network: int) -> str:
    """The bridge's name."""
    return f"plb{network}"


def netns(network: int, index: int) -> str:
    """The name of a node's network namespace."""
    return f"pl{network}-{index}"


def wire(network: int, index: int) -> str:
    """The name of our end of a node's wire."""
    return f"plv{network}-{index}"


def address(network: int, index: int) -> str:
    """A node's address."""
    return f"10.77.{network}.{index}"


def build(network: int, count: int) -> None:
    """The bridge and the namespaces of nodes 1 to `count`."""
    its = bridge(network)
    _ip("link", "add", its, "type", "bridge")
    _ip("addr", "add", f"{address(network, HERE)}/24", "dev", its)
    _ip("link", "set", its, "up")
    for index in range(1, count + 1):
        space, end = netns(network, index), wire(network, index)
        _ip("netns", "add", space)
        _ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", space)
        _ip("link", "set", end, "master", its, "up")
        _ip("-n", space, "addr", "add", f"{address(network, index)}/24", "dev", "eth0")
        _ip("-n", space, "link", "set", "eth0", "up")
        _ip("-n", space, "link", "set", "lo", "up")


def remove(network: int, count: int) -> None:
    """Whatever of it is there; the wires go with their namespaces, though not at once."""
    for index in range(1, count + 1):
        if (NETNS / netns(network, index)).exists():
            _ip("netns", "del", netns(network, index))
        _vanish(wire(network, index))
    _vanish(bridge(network))


def _vanish(device: str) -> None:
    for _ in range(TRIES):
        if not Path("/sys/class/net", device).exists():
            return
        with suppress(ClusterError):  # It may go by itself meanwhile.
            _ip("link", "del", device)
    raise ClusterError(f"network device {device} cannot be removed")


def inside(space: str) -> tuple[str, ...]:
    """What comes before a command that is to be the first process of a node in a lab."""
    if not space:
        return ()
    return (
        "ip", "netns", "exec", space,
        "unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "--",
    )  # fmt: skip


def cut(space: str) -> None:
    """The node hears nobody and nobody hears it; seen, because its device is down."""
    _ip("-n", space, "link", "set", "eth0", "down")
    if "state DOWN" not in _ip("-n", space, "link", "show", "eth0"):
        raise ClusterError(f"the wire of {space} cannot be pulled")


def mend(space: str) -> None:
    """It is on the network again."""
    _ip("-n", space, "link", "set", "eth0", "up")


def enter(space: str) -> Callable[[], None]:
    """This thread moves into the network namespace; the way back."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    newnet = 0x40000000

    def move(path: Path) -> None:
        with path.open("rb") as file:
            if libc.setns(file.fileno(), newnet):
                raise ClusterError(f"{path}: cannot be entered: {os.strerror(ctypes.get_errno())}")

    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    move(NETNS / space)

    def back() -> None:
        libc.setns(before, newnet)
        os.close(before)

    return back


def _ip(*words: str) -> str:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        why = done.stderr.strip() or f"exit code {done.returncode}"
        raise ClusterError(f"ip {' '.join(words)}: {why}")
    return done.stdout
