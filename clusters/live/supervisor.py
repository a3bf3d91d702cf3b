"""The supervisor of a live run: starts hosts, talks to actors, keeps time, sees how everybody is.

It is not an actor but the world itself.  What it says to actors travels on links like any other,
and is said again to a host that comes back; what it sees goes into the chronicle.  It never waits
for one host while another could need it.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

import msgspec

from clusters.live.chronicle import Chronicle
from clusters.live.link import Letter, Outgoing
from clusters.live.link_faults import Lasting
from clusters.live.live_host import Failure, Log, Status
from clusters.live.processes import Held, process
from clusters.live.seal import Seal
from protocol.errors import ClusterError, DivergedError, IncompleteError, UnreadableError
from protocol.facts.world import FaultHealed
from protocol.messages import AnyMessage
from protocol.names import SUPERVISOR, Name
from protocol.wire import WIRE_FORMAT, Frame, encode_batch

if TYPE_CHECKING:
    from ray import ObjectRef
    from ray.actor import ActorHandle

    from clusters.live.ray_cluster import RayCluster
    from clusters.live.ray_host import Charge, RayHost

TICK_NS: Final = 50_000_000
STEP_SECONDS: Final = 0.01
ANSWER_NS: Final = 60_000_000_000
"""A host that is not paused and says nothing for so long is the cluster's failure."""
START_SECONDS: Final = 60.0
HASHES_SECONDS: Final = 60.0
EPOCH: Final = 1
"""The supervisor's own: it has one incarnation."""

_decode_status: Final = msgspec.msgpack.Decoder(Status).decode
ERRORS: Final[dict[str, type[Exception]]] = {
    "ClusterError": ClusterError,
    "IncompleteError": IncompleteError,
    "UnreadableError": UnreadableError,
    "DivergedError": DivergedError,
}


@dataclass
class HostView:
    """What the supervisor knows of a host.  `suffers`: the fault that it has to get over first.

    `node`: where it was seen last.
    """

    charge: "Charge"
    handle: "ActorHandle[RayHost]"
    actors: list[Name]
    process: Held | None = None
    node: str = ""
    epoch: int = 0
    status: Status | None = None
    fresh: bool = False
    down: bool = False
    suffers: str = ""
    gone: bool = False
    tick: "ObjectRef[bytes] | None" = None
    ticked_ns: int = 0
    heard_ns: int = 0

    @property
    def name(self) -> Name:
        """As its Ray actor and its journal are called."""
        return self.charge.name


@dataclass
class Supervisor:
    """`begin` makes a host's Ray actor, `ground` is what hosts run on.

    `lost` are the actors that will not come back, `links` the faults of links that last.
    """

    charges: "Iterable[Charge]"
    begin: "Callable[[Charge], ActorHandle[RayHost]]"
    chronicle: Chronicle
    log: Log
    ground: "RayCluster | None" = None
    calm: bool = False
    ready: bool = False
    hosts: dict[Name, HostView] = field(default_factory=dict)
    outgoing: dict[Name, Outgoing] = field(default_factory=dict)
    lost: dict[Name, None] = field(default_factory=dict)
    healing: list[tuple[HostView, int, Name]] = field(default_factory=list)
    links: Lasting = field(default_factory=Lasting)
    _calmest: tuple[object, ...] | None = None

    # --- Hosts ------------------------------------------------------------------------------------

    def start(self) -> None:
        """All hosts at once; they are there when each has answered."""
        for charge in self.charges:
            actors = [name for name, home in charge.placement.items() if home == charge.name]
            self.hosts[charge.name] = HostView(charge, self.begin(charge), actors)
        until = time.monotonic() + START_SECONDS
        while any(view.status is None for view in self.hosts.values()):
            if time.monotonic() > until:
                silent = [name for name, view in self.hosts.items() if view.status is None]
                raise ClusterError(f"hosts do not start: {', '.join(silent)}")
            self.step()
        self.ready = True
        places = self.ground.places() if self.ground is not None else []
        for node in dict.fromkeys([*places, *(view.node for view in self.hosts.values())]):
            self.spare(node)

    def spare(self, node: str, others: int = 0) -> None:
        """The next host that begins on that node is to find a process there that waits for it.

        Not before all are there: those that begin now are in each other's way already.
        """
        if self.ground is None:
            return
        self.ground.watch()
        if self.ready:
            self.ground.spare(node, Counter(view.node for view in self.running), others)

    def home(self, actor: Name) -> HostView:
        """The host that runs the actor."""
        return next(view for view in self.hosts.values() if actor in view.actors)

    @property
    def living(self) -> list[Name]:
        """The actors that are not lost."""
        every = (name for view in self.hosts.values() for name in view.charge.placement)
        return [name for name in dict.fromkeys(every) if name not in self.lost]

    @property
    def running(self) -> list[HostView]:
        """The hosts that are not gone for good."""
        return [view for view in self.hosts.values() if not view.gone]

    # --- What it says -----------------------------------------------------------------------------

    def tell(self, actor: Name, message: AnyMessage) -> None:
        """A message to an actor, journalled there like any other."""
        outgoing = self.outgoing.setdefault(actor, Outgoing())
        serial = self.chronicle.told(actor, outgoing.last + 1, message)
        outgoing.push(Letter((serial, serial), ("", 0, 0), message))

    def forget(self, actor: Name) -> None:
        """It is lost: nothing is said to it any more."""
        self.lost[actor] = None
        self.outgoing.pop(actor, None)

    def _post(self, now_ns: int) -> None:
        for view in self.running:
            frames = []
            for actor in view.actors:
                outgoing = self.outgoing.get(actor)
                if outgoing is None or view.suffers:
                    continue
                outgoing.overdue(now_ns)
                for sequence, letter in outgoing.leave(now_ns):
                    place = (SUPERVISOR, actor, sequence, 0, letter.id, letter.cause)
                    frames.append(Frame(WIRE_FORMAT, EPOCH, *place, letter.message))
            if frames:
                view.handle.take.remote(Seal(view.charge.namespace).close(encode_batch(frames)))

    # --- Keeping time -----------------------------------------------------------------------------

    def step(self) -> None:
        """A few milliseconds of it."""
        import ray

        now_ns = time.monotonic_ns()
        self._post(now_ns)
        lasting = msgspec.msgpack.encode(self.links)
        for view in self.running:
            if view.tick is None and now_ns - view.ticked_ns >= TICK_NS:
                view.tick = view.handle.tick.remote(now_ns, self.calm, lasting)
                view.ticked_ns = now_ns
                view.heard_ns = view.heard_ns or now_ns
        waiting = [view.tick for view in self.running if view.tick is not None]
        if not waiting:
            time.sleep(STEP_SECONDS)
            return
        ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=STEP_SECONDS)
        for view in self.running:
            if view.tick in ready:
                self._answered(view)
            elif now_ns - view.heard_ns > ANSWER_NS and view.suffers != "pause":
                raise ClusterError(f"host {view.name} has not answered for {ANSWER_NS // 10**9} s")

    def _answered(self, view: HostView) -> None:
        import ray
        from ray.exceptions import ActorDiedError, ActorUnavailableError

        from clusters.live.ray_cluster import first_line

        tick, view.tick = view.tick, None
        assert tick is not None
        try:
            answer = ray.get(tick)
        except ActorUnavailableError:
            if not view.down:
                self.log("host.died", host=view.name, epoch=view.epoch)
            view.down, view.process = True, None  # Ray starts it again.
            return
        except ActorDiedError as error:
            reason = first_line(error)
            raise ClusterError(f"host {view.name} died for good: {reason}") from error
        view.heard_ns = time.monotonic_ns()
        if not answer:
            self._ask_why(view)
        status = _decode_status(answer)
        if status.failure is not None:
            fail(view.name, status.failure)
        self._see(view, status)

    def _see(self, view: HostView, status: Status) -> None:
        if status.epoch > view.epoch:
            self._began(view, status)
        if status.fenced:
            # Somebody else writes its journal: a new incarnation of it fences them in turn.
            self.log("host.replaced", host=view.name, epoch=status.epoch)
            if view.process is not None:
                view.process.kill()
            view.process, view.fresh = None, False  # Ray starts it again.
            return
        if view.process is None and not view.suffers:
            view.process, view.down = self._find(status), False  # Ray could not reach it, once.
        view.status, view.fresh = status, True
        for actor, heard in status.heard.items():
            if actor in self.outgoing:
                self.outgoing[actor].acknowledge(heard)

    def _began(self, view: HostView, status: Status) -> None:
        """A new incarnation: what was on its way to the old one goes again."""
        before = view.status.inputs if view.status is not None else {}
        for actor, n in before.items():
            if status.inputs.get(actor, n) < n:
                raise IncompleteError(
                    f"host {view.name} comes back with input {status.inputs[actor]} of {actor}, and"
                    f" had journalled {n}: its journal has lost its end"
                )
        view.epoch, view.node, view.down = status.epoch, status.node, False
        view.process = self._find(status)
        self.spare(view.node)
        self.log("host.seen", host=view.name, epoch=status.epoch, node=status.node, pid=status.pid)
        for actor in view.actors:
            if actor in self.outgoing:
                self.outgoing[actor].resume(status.heard.get(actor, 0))
        for healed in [one for one in self.healing if one[0] is view and one[1] < status.epoch]:
            self.healing.remove(healed)
            self.chronicle.stated(FaultHealed("crash", healed[2]))
        view.suffers = ""  # It runs, and runs elsewhere if it was paused.

    def _find(self, status: Status) -> Held | None:
        """Its process."""
        if self.ground is None:
            return process(status.pid)
        return self.ground.process(status.node, status.pid)

    def _ask_why(self, view: HostView) -> NoReturn:
        """Its process is there, but not the host in it."""
        from clusters.live.ray_host import Pong, answer

        pong = msgspec.msgpack.decode(answer(view.handle.ping.remote(), 10), type=Pong)
        fail(view.name, pong.failure or Failure("ClusterError", "does not say why it cannot run"))

    # --- Quiet ------------------------------------------------------------------------------------

    def quiet(self) -> bool:
        """Whether all were idle twice, and nothing had happened in between."""
        if not all(view.fresh for view in self.running):
            return False
        seen = []
        for view in self.running:
            view.fresh = False
            assert view.status is not None
            seen.append((view.name, view.epoch, view.status.inputs, view.status.counts))
        calm = tuple(seen) if not self.unquiet() else None
        quiet = calm is not None and calm == self._calmest
        self._calmest = calm
        return quiet

    def unquiet(self) -> list[str]:
        """What keeps whom from being quiet."""
        said = [
            f"{len(one.waiting)} messages to {actor} are not acknowledged"
            for actor, one in self.outgoing.items()
            if one.waiting
        ]
        for view in self.running:
            status = view.status
            if view.suffers or status is None or status.epoch < view.epoch:
                said.append(f"{view.name} is not back")
            elif not status.idle:
                said.append(
                    f"{view.name} has {status.unacknowledged} messages unacknowledged,"
                    f" {status.waiting} to handle, {status.timers} timers,"
                    f" {status.greeting} peers to hear from"
                )
        return said

    # --- How it goes ------------------------------------------------------------------------------

    def inputs(self) -> int:
        """Inputs so far, of all actors that are there."""
        statuses = (view.status for view in self.hosts.values())
        return sum(sum(one.inputs.values()) for one in statuses if one is not None)

    def total(self, what: str) -> dict[str, int]:
        """The hosts' `counts` or `outcomes`, added up."""
        total: dict[str, int] = {}
        for view in self.hosts.values():
            if view.status is not None:
                for key, count in getattr(view.status, what).items():
                    total[key] = total.get(key, 0) + count
        return total

    def failed(self, index: int) -> int:
        """How many steps have failed because of fault number `index`."""
        statuses = (view.status for view in self.hosts.values())
        return sum(one.failed_sites[index] for one in statuses if one is not None)

    # --- The end ----------------------------------------------------------------------------------

    def hashes(self) -> dict[Name, tuple[int, bytes]]:
        """How each actor ended."""
        from clusters.live.ray_host import answer

        found: dict[Name, tuple[int, bytes]] = {}
        calls: list[ObjectRef[bytes]] = [view.handle.hashes.remote() for view in self.running]
        for call in calls:
            raw = answer(call, HASHES_SECONDS)
            found |= msgspec.msgpack.decode(raw, type=dict[str, tuple[int, bytes]])
        return found

    def stop(self) -> None:
        """End every host's process, and see it gone; none comes back, even if Ray is broken."""
        import ray

        for view in self.hosts.values():
            with suppress(ray.exceptions.RayError):
                ray.kill(view.handle, no_restart=True)
            if view.process is not None:
                view.process.kill()
            view.gone = True


def fail(host: Name, failure: Failure) -> NoReturn:
    """End the run for what ended a host: with the same kind of error."""
    kind = ERRORS.get(failure.kind)
    if kind is None:
        raise AssertionError(f"host {host}: {failure.kind}: {failure.message}")
    raise kind(f"host {host}: {failure.message}")
