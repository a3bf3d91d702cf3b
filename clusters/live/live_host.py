"""What a live host does with what comes in, without Ray: turns over its actors, journal and mail.

A turn takes what came, runs the actors until nothing is left to do here, appends all inputs in one
transaction, and only then lets anything leave.  A host that is killed in between has done nothing;
one that finds itself fenced in between says nothing any more.  Now and then it saves what it is, so
that it need not live its whole life again when it comes back.
"""

from collections.abc import Callable
from time import monotonic_ns, time_ns
from traceback import format_exc
from typing import Final, Protocol

from msgspec import Struct

from clusters.host import Host
from clusters.live.chance import LiveChance
from clusters.live.gate import Handled, Held, Place, Ticket
from clusters.live.host_state import put_state, read_state, state_bytes
from clusters.live.journal import Began, Entry, Fenced, Input, Journal, Sealed, Snapshot
from clusters.live.link import Letter
from clusters.live.link_faults import Lasting
from clusters.live.mail import Mail
from clusters.live.meter import SEEN, Meter
from clusters.live.post import NO_CAUSE, LinkName
from protocol.effects import Send, SetTimer
from protocol.errors import ClusterError, DivergedError, UnreadableError
from protocol.messages import AnyMessage, HostLost, Start, TimerFired
from protocol.names import SUPERVISOR, Name

TURN_INPUTS_MAX: Final = 512
"""A longer turn is cut: what is left waits for the next, so that others are heard in between."""
SNAPSHOT_INPUTS: Final = 10_000
"""Inputs after which a host saves its state: recovery lives no more of them again, but the state is
written no more often than that."""


class Log(Protocol):
    """The operational log."""

    def __call__(self, event: str, **fields: object) -> None:
        """One line."""


class Failure(Struct, frozen=True):
    """Why a host gave up: the kind of error, and its sentence."""

    kind: str
    message: str


class Status(Struct, frozen=True):
    """How a host is after a turn.

    `heard`: how far each actor has come on its link from the supervisor.  `links`: which version
    of the faults of links it knows.  `node`: where it is, as its cluster names that.
    """

    host: Name
    node: str
    pid: int
    epoch: int
    inputs: dict[Name, int]
    heard: dict[Name, int]
    unacknowledged: int
    waiting: int
    timers: int
    greeting: int
    counts: dict[str, int]
    outcomes: dict[str, int]
    failed_sites: tuple[int, ...]
    links: int
    failure: Failure | None
    fenced: bool

    @property
    def idle(self) -> bool:
        """Nothing to do, and nothing sent that is not journalled at its receiver."""
        return not (self.unacknowledged or self.waiting or self.timers or self.greeting)


class LiveHost:
    """The actors of one host.  After `recover`, every call is one turn."""

    def __init__(self, hosts: dict[Name, Host], mail: Mail, journal: Journal, log: Log) -> None:
        self.hosts = hosts
        for host in hosts.values():
            host.stamped = False  # Happens-before is made by the re-execution.
        self.mail = mail
        self.journal = journal
        self.log = log
        self.chance = LiveChance(0, (), {})
        self.timers: dict[tuple[Name, str], None] = {}
        self.entries: list[Entry] = []
        self.meter = Meter()
        self.failure: Failure | None = None
        self.fenced = False
        self.pid = 0
        self.node = ""
        self.now_ns = 0
        self.unsaved = 0
        self.save_every = SNAPSHOT_INPUTS

    # --- Coming back ------------------------------------------------------------------------------

    def recover(self, pid: int, chance: LiveChance) -> int:
        """Become the newest incarnation, then be what the journal says; how many inputs that took.

        They are those behind the last snapshot, or all.  What is sent here again is not sent again:
        the peers first say what they have received.
        """
        self.pid, self.chance = pid, chance
        began_ns = monotonic_ns()  # Not the time that ticks tell: the supervisor may be elsewhere.
        epoch = self.journal.begin(pid)
        for host in self.hosts.values():
            host.chance, host.epoch = chance, epoch
        recovered = 0
        for entry in self.journal.read(self._restored()):
            match entry:
                case Input():
                    self._relive(entry)
                    recovered += 1
                case Sealed():
                    self._forget(entry.actor)
                case Began():
                    pass
        self.mail.recovered(epoch)
        self.unsaved = recovered
        self.meter.lived_again(recovered, monotonic_ns() - began_ns)
        return recovered

    def _restored(self) -> Snapshot | None:
        """The snapshot from which it goes on; one that is of no use is said, and left alone."""
        snapshot = self.journal.snapshot()
        if snapshot is None:
            return None
        try:
            state = read_state(snapshot.state, self.hosts, self.chance)
        except UnreadableError as error:
            self.log("snapshot.refused", message=str(error))
            return None
        put_state(state, self.hosts, self.mail, self.chance)
        self.timers = dict.fromkeys(state.timers)
        self.meter.outcomes = dict(state.outcomes)
        return snapshot

    def save(self) -> None:
        """What the host is now, for its next incarnation; without it that only takes longer."""
        self.unsaved = 0
        parts = (self.hosts, self.mail, self.chance, self.timers, self.meter.outcomes)
        try:
            self.journal.save(state_bytes(*parts))
        except Fenced as error:
            self._fence(error)
        except ClusterError as error:
            self.log("snapshot.failed", message=str(error))

    def _relive(self, entry: Input) -> None:
        """One journalled input: the same effects again, or the code is another."""
        host = self.hosts.get(entry.actor)
        what = (
            f"{entry.actor}: input {entry.n} ({type(entry.message).__name__} from {entry.source})"
        )
        if host is None or entry.n != host.n + 1:
            raise DivergedError(f"{what} is journalled after input {host.n if host else 'no'}")
        self.chance.replay(entry.answers)
        host.take(entry.message, entry.source)
        self.chance.finish()
        if host.digest() != entry.digest:
            raise DivergedError(f"{what} has other effects than when it was journalled")
        link = LinkName(entry.source, entry.actor)
        if entry.sequence and not self.mail.relive(link, entry.sequence, entry.source_epoch):
            raise DivergedError(f"{what} is message {entry.sequence} of its link, out of its order")
        self._follow(host, entry.message, (entry.source, *entry.id))

    def _forget(self, actor: Name) -> None:
        self.hosts.pop(actor, None)
        self.timers = {timer: None for timer in self.timers if timer[0] != actor}
        self.mail.forget(actor)

    # --- Calls, each one turn ---------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """A batch of frames has come."""

        def work() -> None:
            frames, refusals = self.mail.receive(data)
            for refusal in refusals:
                self.log("frame.refused", message=refusal)
            for frame in frames:
                place = (frame.epoch, frame.sequence, frame.id)
                assert frame.body is not None, frame
                self._feed(self.hosts[frame.destination], frame.body, frame.source, place)

        self._turn(work)

    def hello(self, peer: Name, data: bytes, *, asks: bool) -> None:
        """A peer has come back, or misses something."""

        def work() -> None:
            for refusal in self.mail.greeted(peer, data, asks=asks):
                self.log("frame.refused", message=refusal)

        self._turn(work)

    def tick(self, now_ns: int, lasting: Lasting | None = None) -> Status:
        """Time has passed: timers fire, what is late leaves again; these faults of links last."""
        self.now_ns = now_ns
        if lasting is not None:
            self.mail.suffer(lasting)

        def work() -> None:
            for actor, timer in list(self.timers) if self.mail.gate.fires() else ():
                self._feed(self.hosts[actor], TimerFired(timer), SUPERVISOR, (0, 0, (0, 0)))
            for link in self.mail.tick(now_ns):
                self.log("link.resent", actor=link.source, peer=link.destination)

        self._turn(work)
        return self.status()

    def go_on(self) -> None:
        """Nothing new: what the last turn left over."""
        self._turn(lambda: None)

    def release(self, ticket: Ticket) -> Handled | None:
        """The actor's next input is to be this one; None: it has not come yet.

        It may be asked for again: what was handled already is only told.
        """
        host = self.hosts[ticket.actor]
        if host.n < ticket.n:
            self._turn(lambda: self._release(host, ticket))
        if self.failure is not None:
            return Handled(b"", self.failure.message)
        return Handled(host.digest()) if host.n == ticket.n and not self.fenced else None

    def _release(self, host: Host, ticket: Ticket) -> None:
        taken = self._held(ticket)
        if taken is not None:
            self.chance.replay(ticket.answers)
            self._feed(host, taken[0], ticket.source, taken[1])
            self.chance.finish()

    def _held(self, ticket: Ticket) -> tuple[AnyMessage, Place] | None:
        """What is to be handled, and where it comes from, if it is here."""
        gate = self.mail.gate
        assert isinstance(gate, Held), "only a directed run releases anything"
        if not ticket.timer:
            return gate.take(self.mail, LinkName(ticket.source, ticket.actor))
        there = (ticket.actor, ticket.timer) in self.timers
        return (TimerFired(ticket.timer), (0, 0, (0, 0))) if there else None

    def _turn(self, work: Callable[[], None]) -> None:
        if self.fenced or self.failure is not None:
            return
        try:
            work()
            self._run_local()
            if self.entries:
                began = monotonic_ns()
                self.journal.append(self.entries)
                self.meter.appended(monotonic_ns() - began)
        except Fenced as error:
            self._fence(error)
        except Exception as error:  # noqa: BLE001  nobody would hear of it
            self.failure = Failure(type(error).__name__, str(error))
            self.log("host.failed", level="error", kind=type(error).__name__, trace=format_exc())
        else:
            self.unsaved += len(self.entries)
            self.entries = []
            self.mail.dispatch(self.now_ns)
            for done in self.mail.faults.actions():
                self.log(
                    f"link.{done.did}", actor=done.source, peer=done.destination, seq=done.sequence
                )
            if self.unsaved >= self.save_every:
                self.save()

    def _fence(self, error: Fenced) -> None:
        self.fenced = True
        self.log("host.fenced", message=str(error))

    # --- Actors at work ---------------------------------------------------------------------------

    def _run_local(self) -> None:
        while len(self.entries) < TURN_INPUTS_MAX:
            taken = self.mail.next_local()
            if taken is None:
                return
            link, sequence, letter = taken
            place = (self.journal.epoch, sequence, letter.id)
            self._feed(self.hosts[link.destination], letter.message, link.source, place)

    def _feed(
        self,
        host: Host,
        message: AnyMessage,
        source: Name,
        place: Place,
    ) -> None:
        """One input."""
        self.chance.begin(host.n + 1)
        out = host.take(message, source)
        epoch, sequence, its_id = place
        self.entries.append(
            Input(
                host.name, host.n, host.epoch, source, epoch, sequence, its_id,
                message, tuple(out.answers), host.digest(), time_ns(),
            )
        )  # fmt: skip
        self._follow(host, message, (source, *its_id))

    def _follow(self, host: Host, message: AnyMessage, cause: tuple[Name, int, int]) -> None:
        """What the host's last input leads to; the same when it is lived again."""
        name, n = host.name, host.n
        match message:
            case TimerFired():
                self.timers.pop((name, message.timer), None)
            case HostLost():
                self.mail.fence(message.name, name)
            case Start():
                self.mail.started(name)
            case _:
                pass
        for fact in host.out.facts:
            if type(fact) in SEEN:
                self.meter.fact(fact, self.now_ns)
        because = cause if cause[1] else NO_CAUSE
        for k, effect in enumerate(host.out.effects, start=1):
            match effect:
                case Send():
                    self.mail.send(name, effect.to, Letter((n, k), because, effect.message))
                case SetTimer():
                    self.timers.setdefault((name, effect.timer))

    # --- How it is --------------------------------------------------------------------------------

    def status(self) -> Status:
        """For the supervisor."""
        return Status(
            host=self.mail.name,
            node=self.node,
            pid=self.pid,
            epoch=self.journal.epoch,
            inputs={name: host.n for name, host in self.hosts.items()},
            heard=self.mail.heard,
            unacknowledged=self.mail.unacknowledged,
            waiting=len(self.mail.local) + len(self.mail.parked) + len(self.mail.held),
            timers=len(self.timers),
            greeting=self.mail.greeting,
            counts=dict(self.mail.counts),
            outcomes=dict(self.meter.outcomes),
            failed_sites=tuple(self.chance.failed),
            links=self.mail.faults.lasting.version,
            failure=self.failure,
            fenced=self.fenced,
        )

    def hashes(self) -> dict[Name, tuple[int, bytes]]:
        """Of each actor: the number of its inputs, and its state's hash."""
        return {name: (host.n, host.state_hash()) for name, host in self.hosts.items()}
