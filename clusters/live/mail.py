"""All links of one host: what came in and may be handled, what must go out, who is owed what.

Links between two actors of the host are links like any other; their frames just never leave.
Nothing goes out before `dispatch`, which a host calls when its journal has what led to it.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from clusters.live.gate import OPEN, Gate
from clusters.live.link import RESEND_NS, Arrival, Epochs, Incoming, Letter, Outgoing
from clusters.live.link_faults import Lasting, LinkFaults
from clusters.live.placement import Placement
from clusters.live.post import NO_CAUSE, LinkName, Post, cut, opened
from clusters.live.seal import Seal
from clusters.live.traffic import Traffic
from protocol.names import SUPERVISOR, Name
from protocol.wire import WIRE_FORMAT, Frame, encode

NOTHING: Final = (0, 0)
"""No question: an epoch and a number."""
ACKNOWLEDGE_AT: Final = 64
"""Messages of a link that are owed an acknowledgement, before one goes out by itself."""


class Mail:
    """`here` are the actors of this host: False until they have had their `Start`."""

    def __init__(
        self,
        name: Name,
        placement: Placement,
        post: Post,
        faults: LinkFaults | None = None,
        seal: Seal | None = None,
    ) -> None:
        self.name = name
        self.faults = faults or LinkFaults()
        self.seal = seal or Seal()
        self.gate: Gate = OPEN
        self.placement, self.post = placement, post
        self.epoch = 0
        self.here = {actor: False for actor, home in placement.items() if home == name}
        self.outgoing: dict[LinkName, Outgoing] = {}
        self.incoming: dict[LinkName, Incoming] = {}
        self.epochs = Epochs()
        self.local: deque[LinkName] = deque()
        self.parked: list[LinkName] = []
        self.held: list[LinkName] = []
        """From here to here, and cut, or not released."""
        self.traffic = Traffic()
        self.counts: dict[str, int] = {}
        self.fences: dict[LinkName, None] = {}  # lost -> who knows of it
        self.lost: dict[Name, None] = {}
        self._touched: dict[LinkName, None] = {}
        self._owing: dict[Name, dict[LinkName, None]] = {}
        self._due = False
        self._wanting: dict[Name, None] = {}
        self._greeting: dict[Name, int] = {}
        self._questions = 0
        self._heard: dict[Name, tuple[int, int]] = {}
        """The last question of each peer; the next hello to it answers that one."""
        self._doubts: dict[Name, tuple[tuple[int, int], dict[LinkName, int]]] = {}
        """Who seems to have less than it acknowledged: which question would tell, and how much."""
        self._late: list[tuple[int, Name, bytes]] = []
        """Frames that are delayed: until when, to which host."""

    # --- What the actors send ---------------------------------------------------------------------

    def send(self, source: Name, destination: Name, letter: Letter) -> None:
        """One more message; it waits for `dispatch`, or in `local` if it is for this host."""
        home = self.placement.get(destination)
        assert home is not None, f"{source} sends to {destination}, who is nobody"
        link = LinkName(source, destination)
        if (destination, source) in self.fences:
            return
        if home == self.name and destination not in self.here:
            return  # Lost; its host knows it before anybody is told.
        outgoing = self.outgoing.get(link)
        if outgoing is None:
            outgoing = self.outgoing[link] = Outgoing()
        outgoing.push(letter)
        if home == self.name:
            self.local.append(link)
        else:
            self._touched[link] = None

    def next_local(self) -> tuple[LinkName, int, Letter] | None:
        """The next message from here to here, with its sequence."""
        while self.local:
            link = self.local.popleft()
            outgoing = self.outgoing.get(link)
            if outgoing is None or not outgoing.waiting:
                continue  # One of the two was lost in between.
            if not self.here[link.destination]:
                self.parked.append(link)
                continue
            if self.faults.cut(*link) or not self.gate.opens(link):
                self.held.append(link)
                continue
            letter, sequence = outgoing.waiting[0], outgoing.first
            arrival = self._incoming(link).arrives(sequence)
            assert arrival is Arrival.NEXT, (link, sequence, arrival)
            outgoing.acknowledge(sequence)
            return link, sequence, letter
        return None

    def started(self, actor: Name) -> None:
        """It has had its `Start`: now it may hear the others."""
        self.here[actor] = True
        self.local.extend(self.parked)
        self.parked = []

    # --- What others send -------------------------------------------------------------------------

    def receive(self, data: bytes) -> tuple[list[Frame], list[str]]:
        """The messages of a batch that are to be handled now, and what could not be read."""
        frames, refusals = self._read(data, f"batch to {self.name}")
        starts = [frame.destination for frame in frames if frame.source == SUPERVISOR]
        return [one for one in frames if self.admit(one, starts)], refusals

    def _read(self, data: bytes, where: str) -> tuple[list[Frame], list[str]]:
        """The frames of a sealed batch that can be read, and what could not be."""
        frames, refused = opened(self.seal, data, where)
        self._count("refused", len(refused))
        return frames, [str(one) for one in refused]

    def admit(self, frame: Frame, starts: list[Name]) -> bool:
        """Whether a frame has a message that is to be handled now."""
        link = LinkName(frame.source, frame.destination)
        home = SUPERVISOR if frame.source == SUPERVISOR else self.placement.get(frame.source, "")
        if self.placement.get(frame.destination) != self.name or home in ("", self.name):
            self._count("refused_link")  # Of nobody, to somebody elsewhere, or of ourselves.
            return False
        if not self.epochs.admit(home, frame.epoch):
            self._count("refused_epoch")
            return False
        self.traffic.came(home)
        if frame.destination not in self.here or link in self.fences:
            return False  # The one or the other is lost.
        back = LinkName(frame.destination, frame.source)
        outgoing = self.outgoing.get(back)
        if outgoing is not None and frame.acknowledged:
            outgoing.acknowledge(frame.acknowledged)
            self._touched[back] = None
        if frame.body is None or not self.gate.passes(frame):
            return False
        if not self.here[frame.destination] and frame.destination not in starts:
            self._wanting[home] = None  # Start comes first; what came before it comes again.
            return False
        if home != SUPERVISOR:
            self._owing.setdefault(home, {})[link] = None
        return self._is_next(link, frame.sequence, home)

    def _is_next(self, link: LinkName, sequence: int, home: Name) -> bool:
        incoming = self._incoming(link)
        match incoming.arrives(sequence):
            case Arrival.NEXT:
                if incoming.owed >= ACKNOWLEDGE_AT:
                    self._due = True
                return True
            case Arrival.DUPLICATE:
                self._count("duplicates")
            case Arrival.GAP:
                self._count("gaps")
                if incoming.asks():
                    self._wanting[home] = None
        return False

    def greeted(self, peer: Name, data: bytes, *, asks: bool) -> list[str]:
        """A peer says all that it has received from here: every link to it goes on from there.

        What could not be read: then nothing of it counts, for what is missing would be "nothing".
        """
        frames, refusals = self._read(data, f"hello to {self.name}")
        if refusals or not frames:
            return refusals
        if not all(self.epochs.admit(peer, frame.epoch) for frame in frames):
            self._count("refused_epoch")
            return []
        self.traffic.came(peer)
        if asks:
            self._heard[peer] = max(frames[0].id, self._heard.get(peer, NOTHING))
            self._wanting[peer] = None
        received = {(frame.destination, frame.source): frame.acknowledged for frame in frames}
        there = {
            link: (outgoing, received.get(link, 0))
            for link, outgoing in self.outgoing.items()
            if self.placement[link.destination] == peer != self.name
        }
        less = any(now < outgoing.acknowledged for outgoing, now in there.values())
        if less and not self._answers(peer, frames[0].cause[1:]):
            return refusals
        _, sure = self._doubts.pop(peer, (NOTHING, {}))
        for link, (outgoing, now) in there.items():
            old_news = sure.get(link, 0) <= now < outgoing.acknowledged
            outgoing.resume(outgoing.acknowledged if old_news else now)
            self._touched[link] = None
        self._greeting.pop(peer, None)
        return []

    def _answers(self, peer: Name, answered: tuple[int, int]) -> bool:
        """Whether a hello that tells of less than was acknowledged must be believed.

        Others may have overtaken it.  But what answers a question that was asked after the better
        news had come knows them, or the peer's journal has lost its end.
        """
        if peer not in self._doubts:
            sure = {
                link: outgoing.acknowledged
                for link, outgoing in self.outgoing.items()
                if self.placement[link.destination] == peer
            }
            self._doubts[peer] = ((self.epoch, self._questions + 1), sure)
        self._greeting.setdefault(peer, -RESEND_NS)
        return answered >= self._doubts[peer][0]

    def suffer(self, lasting: Lasting) -> None:
        """These faults of links last from here on; what was cut and is no more goes on at once."""
        cut = [link for link in self.outgoing if self.faults.cut(*link)]
        if not self.faults.suffer(lasting):
            return
        for link in cut:
            if not self.faults.cut(*link) and link.destination not in self.here:
                self.outgoing[link].hasten()
                self._touched[link] = None
        self.local.extend(self.held)
        self.held = []

    # --- Losses and recovery ----------------------------------------------------------------------

    def fence(self, lost: Name, actor: Name) -> None:
        """The actor was told of the loss: neither hears the other any more."""
        self.fences[LinkName(lost, actor)] = None
        self.lost[lost] = None
        self.outgoing.pop(LinkName(actor, lost), None)
        self.outgoing.pop(LinkName(lost, actor), None)
        self._greeting = {home: at for home, at in self._greeting.items() if home in self._peers()}

    def forget(self, actor: Name) -> None:
        """An actor of this host is lost: what it had sent and nobody handled is gone with it."""
        self.here.pop(actor, None)
        self.outgoing = {link: one for link, one in self.outgoing.items() if actor not in link}
        self.incoming = {link: one for link, one in self.incoming.items() if actor not in link}

    def relive(self, link: LinkName, sequence: int, epoch: int) -> bool:
        """A journalled message: whether it is the next of its link."""
        home = self.placement.get(link.source, SUPERVISOR)
        if home != self.name:
            self.epochs.admit(home, epoch)
        return self._incoming(link).arrives(sequence) is Arrival.NEXT

    def recovered(self, epoch: int) -> None:
        """Everything that was sent is here again; the peers will say how much of it they have."""
        self.epoch = epoch
        self.local.clear()
        self.parked, self.held, self._late = [], [], []
        for link, outgoing in self.outgoing.items():
            if link.destination in self.here:
                outgoing.resume(self._incoming(link).received)
                self.local.extend([link] * len(outgoing.waiting))
            else:
                outgoing.known = False
        if epoch > 1:
            self._greeting |= dict.fromkeys(self._peers(), -RESEND_NS)

    def _peers(self) -> dict[Name, None]:
        """The other hosts, without those whose actors are all lost."""
        homes = {home: None for one, home in self.placement.items() if one not in self.lost}
        homes.pop(self.name, None)
        return homes

    def _incoming(self, link: LinkName) -> Incoming:
        incoming = self.incoming.get(link)
        if incoming is None:
            incoming = self.incoming[link] = Incoming()
        return incoming

    # --- Time, and what leaves --------------------------------------------------------------------

    def tick(self, now_ns: int) -> list[LinkName]:
        """What is late leaves again, what is owed is told; the links that are late."""
        late = []
        for link, outgoing in self.outgoing.items():
            if outgoing.waiting and link.destination not in self.here and outgoing.overdue(now_ns):
                late.append(link)
                self._touched[link] = None
        self._count("resent", len(late))
        for home, since_ns in list(self._greeting.items()):
            if now_ns - since_ns >= RESEND_NS:
                self._greeting[home] = now_ns
                self._say_hello(home, asks=True)
        self._due = True
        self.traffic.forget()
        return late

    def dispatch(self, now_ns: int) -> None:
        """All that was decided is journalled: now it may leave, together per host."""
        batches: dict[Name, list[bytes]] = {}
        for _, home, frame in [late for late in self._late if late[0] <= now_ns]:
            batches.setdefault(home, []).append(frame)
        self._late = [late for late in self._late if late[0] > now_ns]
        touched, self._touched = self._touched, {}
        for link in touched:
            outgoing, home = self.outgoing.get(link), self.placement[link.destination]
            if self.traffic.full(home):
                self._touched[link] = None
            elif outgoing is not None:
                batches.setdefault(home, []).extend(self._frames(link, outgoing, now_ns))
        asking = {home for home, frames in batches.items() if frames}
        for home in list(self._owing):
            if self._due or home in batches or self.traffic.owes(home):
                batches.setdefault(home, []).extend(self._owed(self._owing.pop(home)))
        self._due = False
        for home, batch in [(to, one) for to, frames in batches.items() for one in cut(frames)]:
            self._count("calls")
            self.traffic.left(home, asks=home in asking and self.gate is OPEN)
            self.post.frames(home, self.seal.close(batch))
        if self._wanting and all(self.here.values()):
            for home in self._wanting:
                self._say_hello(home, asks=False)
            self._wanting = {}
        if self.local:
            self.post.again()

    def _frames(self, link: LinkName, outgoing: Outgoing, now_ns: int) -> Iterator[bytes]:
        source, destination = link
        back = self.incoming.get(LinkName(destination, source))
        for sequence, letter in outgoing.leave(now_ns):
            acknowledged = 0
            if back is not None:
                acknowledged = back.told = back.received
            self._count("frames")
            copies = self.faults.copies(source, destination, sequence)
            frame = encode(
                Frame(
                    WIRE_FORMAT, self.epoch, source, destination, sequence, acknowledged,
                    letter.id, letter.cause, letter.message,
                )
            )  # fmt: skip
            due = self.faults.due(source, destination, now_ns)
            if due > now_ns:
                self._late += [(due, self.placement[destination], frame)] * copies
            else:
                yield from [frame] * copies

    def _owed(self, links: Iterable[LinkName]) -> Iterator[bytes]:
        for link in links:
            incoming = self._incoming(link)
            if incoming.owed:
                frame = self._acknowledgement(link, incoming)
                yield from [frame] * self.faults.copies(link.destination, link.source, 0)

    def _acknowledgement(self, link: LinkName, incoming: Incoming) -> bytes:
        incoming.told = incoming.received
        back = link.destination, link.source
        frame = Frame(WIRE_FORMAT, self.epoch, *back, 0, incoming.received, (0, 0), NO_CAUSE, None)
        return encode(frame)

    def _say_hello(self, home: Name, *, asks: bool) -> None:
        """All that was received from there; one frame at least, for it carries the epoch."""
        self._questions += 1
        answers = (home, *self._heard.get(home, NOTHING))
        place = (self.name, home, 0, 0, (self.epoch, self._questions), answers)
        frames = [encode(Frame(WIRE_FORMAT, self.epoch, *place, None))]
        for link, incoming in self.incoming.items():
            if self.placement.get(link.source) == home and incoming.received:
                frames.append(self._acknowledgement(link, incoming))
        there = [actor for actor, its in self.placement.items() if its == home]
        if self.faults.any_cut(self.here, there):
            return  # It is asked for again, or what it would bring is resent.
        self._count("hellos")
        self.post.hello(home, self.seal.close(b"".join(frames)), asks=asks)

    # --- How it is --------------------------------------------------------------------------------

    @property
    def unacknowledged(self) -> int:
        """Messages that are not journalled by their receiver, as far as is known here."""
        return sum(len(outgoing.waiting) for outgoing in self.outgoing.values())

    @property
    def greeting(self) -> int:
        """Peers that have not said yet how far they are."""
        return len(self._greeting)

    @property
    def heard(self) -> dict[Name, int]:
        """How far each actor has come on its link from the supervisor."""
        return {
            link.destination: incoming.received
            for link, incoming in self.incoming.items()
            if link.source == SUPERVISOR
        }

    def _count(self, what: str, count: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + count
