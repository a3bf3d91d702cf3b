"""The one Ray actor class: a live host behind calls.

Synchronous and single-threaded, because only there Ray keeps calls in order; `ping` alone has a
thread of its own and is answered whatever the host is doing.  No call waits for another host, none
is tried again by Ray, and `__init__` never raises: Ray would not restart what failed there.
"""

import os
from pathlib import Path
from typing import Final, cast

import msgspec
import ray
from msgspec import Struct
from ray.actor import ActorHandle

from clusters.host import Host
from clusters.links import solid
from clusters.live.cast import Cast
from clusters.live.chance import LiveChance
from clusters.live.fleet import RESOURCE
from clusters.live.gate import OPEN, Handled, Held, read_ticket
from clusters.live.journals import open_journal
from clusters.live.keeper import NODE
from clusters.live.link_faults import LinkFaults, read_lasting
from clusters.live.live_host import SNAPSHOT_INPUTS, Failure, LiveHost
from clusters.live.mail import Mail
from clusters.live.operations_log import OperationsLog
from clusters.live.placement import Placement
from clusters.live.post import LinkName
from clusters.live.ray_cluster import first_line
from clusters.live.ray_metrics import Metrics, metrics_of
from clusters.live.seal import Seal
from clusters.nemesis import Nemesis
from clusters.uncollected import collect_seldom
from protocol.errors import ClusterError
from protocol.names import Name


class Charge(Struct, frozen=True):
    """What a host is told, once, for all its incarnations.

    `journal` is a file's path, or a server's address; `directed`: it handles only what is released.
    """

    name: Name
    namespace: str
    cast: Cast
    placement: Placement
    seed: int
    fails: tuple[Nemesis, ...]
    durability: str
    journal: str
    logs: str
    save_every: int = SNAPSHOT_INPUTS
    directed: bool = False


class Pong(Struct, frozen=True):
    """Who answers a ping: this process, this incarnation; or why there is none."""

    pid: int
    epoch: int
    failure: Failure | None


class RayPost:
    """Calls to other hosts' Ray actors, by name; nobody looks at what became of them."""

    def __init__(self, name: Name, namespace: str) -> None:
        self.name = name
        self.namespace = namespace
        self._handles: dict[Name, ActorHandle[RayHost]] = {}

    def frames(self, host: Name, data: bytes) -> None:
        handle = self._handle(host)
        if handle is not None:
            handle.take.remote(data)

    def hello(self, host: Name, data: bytes, *, asks: bool) -> None:
        handle = self._handle(host)
        if handle is not None:
            handle.hello.remote(self.name, data, asks)

    def again(self) -> None:
        handle = self._handle(self.name)
        if handle is not None:
            handle.go_on.remote()

    def _handle(self, host: Name) -> "ActorHandle[RayHost] | None":
        """A weak one; the supervisor keeps those that count."""
        handle = self._handles.get(host)
        if handle is None:
            try:
                handle = ray.get_actor(host, self.namespace)
            except ValueError:
                return None  # Not there yet, or lost: what it does not get is sent again, or not.
            self._handles[host] = handle
        return handle


class RayHost:
    """One process of a live run."""

    def __init__(self, charge: bytes) -> None:
        self._live: LiveHost | None = None
        self._failure: Failure | None = None
        self._epoch = 0
        self._metrics: Metrics | None = None
        collect_seldom()
        try:
            self._live = self._recovered(msgspec.msgpack.decode(charge, type=Charge))
        except Exception as error:  # noqa: BLE001  see above
            self._failure = Failure(type(error).__name__, str(error))

    def _recovered(self, charge: Charge) -> LiveHost:
        pid = os.getpid()
        log = OperationsLog(Path(charge.logs), f"{charge.name}-{pid}", host=charge.name, pid=pid)
        try:
            actors = charge.cast.actors()
            roles = charge.cast.roles()
            mine = [name for name, home in charge.placement.items() if home == charge.name]
            hosts = {name: Host(name, actors[name]) for name in mine}
            journal = open_journal(charge.journal, charge.name, charge.durability)
            post = RayPost(charge.name, charge.namespace)
            faults = LinkFaults(charge.seed, solid(roles))
            mail = Mail(charge.name, charge.placement, post, faults, Seal(charge.namespace))
            mail.gate = Held() if charge.directed else OPEN
            live = LiveHost(hosts, mail, journal, log)
            live.save_every = charge.save_every
            recovered = live.recover(pid, LiveChance(charge.seed, charge.fails, roles))
        except Exception:
            log.exception("host.failed")
            raise
        self._epoch = journal.epoch
        live.node = os.environ.get(NODE) or ray.get_runtime_context().get_node_id()
        self._metrics = metrics_of(charge.namespace, charge.name)
        log.bind(epoch=journal.epoch)
        log("host.started", recovered=recovered)
        return live

    # --- Each call is one turn; nobody waits for it, but for `tick` ------------------------------

    def take(self, data: bytes) -> None:
        """Frames of another host, or of the supervisor."""
        if self._live is not None:
            self._live.take(data)

    def hello(self, peer: Name, data: bytes, asks: bool) -> None:  # noqa: FBT001  by place
        """What a peer has received from here."""
        if self._live is not None:
            self._live.hello(peer, data, asks=asks)

    def go_on(self) -> None:
        """What the last turn left over."""
        if self._live is not None:
            self._live.go_on()

    def tick(self, now_ns: int, calm: bool, lasting: bytes) -> bytes:  # noqa: FBT001  by place
        """Time has passed; `calm`: the faulty phase is over; `lasting`: which faults of links last.

        How the host is, as msgpack.
        """
        if self._live is None:
            return b""
        self._live.chance.calm = calm
        status = self._live.tick(now_ns, read_lasting(lasting))
        if self._metrics is not None:
            self._metrics.tell(status, self._live.meter, now_ns)
        return msgspec.msgpack.encode(status)

    def release(self, ticket: bytes) -> bytes:
        """Of a directed run, as msgpack: an input that is to be handled now, and what it did."""
        if self._live is None:
            return msgspec.msgpack.encode(self._failure and Handled(b"", self._failure.message))
        return msgspec.msgpack.encode(self._live.release(read_ticket(ticket)))

    def holds(self, source: Name, destination: Name) -> int:
        """How many messages of a link a directed run has here and not released yet."""
        gate = self._live.mail.gate if self._live is not None else OPEN
        return gate.count(LinkName(source, destination))

    def arm(self, index: int, actor: Name) -> None:
        """The actor's next passage of the site of fault number `index` is to fail."""
        if self._live is not None:
            self._live.chance.arm(index, actor)

    def hashes(self) -> bytes:
        """How each actor ended, as msgpack."""
        return msgspec.msgpack.encode(self._live.hashes() if self._live is not None else {})

    @ray.method(concurrency_group="ctl")
    def ping(self) -> bytes:
        """Who is there, as msgpack."""
        failure = self._failure
        if self._live is not None:
            failure = self._live.failure
        return msgspec.msgpack.encode(Pong(os.getpid(), self._epoch, failure))


SHARE: Final = 0.001
"""Of a CPU, for a host on a cluster of ours: where hosts are, Ray sees by nothing else that a node
is fuller than another, and puts all that have lost theirs on the same one."""


class Spot(Struct, frozen=True):
    """Where a host is to be.  `elsewhere`: on another node, should that one be gone.

    `ours`: it is a cluster of ours, some of whose nodes run no hosts.
    """

    node_id: str
    elsewhere: bool = False
    ours: bool = False


def begin(charge: Charge, spot: Spot) -> "ActorHandle[RayHost]":
    """Start the host's process."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(concurrency_groups={"ctl": 1})(RayHost)  # type: ignore[call-overload]
    options = remote.options(
        name=charge.name,
        namespace=charge.namespace,
        num_cpus=SHARE if spot.ours else 0,
        max_restarts=-1,
        max_task_retries=0,
        enable_task_events=False,
        resources={RESOURCE: 1} if spot.ours else None,
        scheduling_strategy=NodeAffinitySchedulingStrategy(spot.node_id, soft=spot.elsewhere),
    )
    return cast("ActorHandle[RayHost]", options.remote(msgspec.msgpack.encode(charge)))


def answer(call: "ray.ObjectRef[bytes]", seconds: float) -> bytes:
    """What a call came to, if it does in that time."""
    try:
        return ray.get(call, timeout=seconds)
    except ray.exceptions.RayError as error:
        raise ClusterError(f"a host does not answer: {first_line(error)}") from error
