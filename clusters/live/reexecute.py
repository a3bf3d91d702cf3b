"""A live run once more, from its journals alone, without Ray, to see whether it is the same again.

Every actor is fed what its journal says it was handed, in an order in which each input comes after
the one that sent it.  Effects are compared by digest, messages by value, final states by hash; on
the way the history comes into being: each fact stamped with its place in happens-before.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from pathlib import Path
from typing import Final

from clusters.host import Answers, Host, delivered_fact, message_id, sent_fact
from clusters.live.cast import read_setting
from clusters.live.chronicle import AnyLine, Ended, Kept, Stated, Told, read_chronicle
from clusters.live.journal import Began, Entry, Input, Sealed
from clusters.live.placement import hosts_of
from clusters.live.reading import read_journal, summary
from clusters.moments import Moment, stamp_of
from protocol.effects import Send, SetTimer
from protocol.errors import DivergedError, ExperimentError, IncompleteError, UnreadableError
from protocol.facts import Event
from protocol.facts.world import HostCrashed, HostGone, HostStarted, RunEnded
from protocol.history import Record, Stamp
from protocol.messages import AnyMessage, HostLost, TimerFired
from protocol.names import SUPERVISOR, Name

JOURNALS: Final = "journals"
CHRONICLE: Final = "world.jsonl"
SETTING: Final = "setting.json"
"""In a run folder: the hosts' journals, the supervisor's chronicle and who played."""

WORLD: Final = ""
"""The chronicle's place among the hosts' names."""

Observer = Callable[[Record], None]
LinkName = tuple[Name, Name]
Flying = tuple[AnyMessage, tuple[int, int], Moment | None]


@dataclass(frozen=True)
class Match:
    """How much of a live run came out the same again; `divergence` names the first that did not."""

    matched: int
    total: int
    divergence: str = ""
    gaps: tuple[str, ...] = ()
    quiet: bool = False
    epochs: dict[Name, int] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Everything there, everything the same."""
        return self.matched == self.total and not self.divergence and not self.gaps


class NotYet(Exception):
    """This entry needs another one first."""


def journal_path(folder: Path, host: Name) -> Path:
    """Where a run folder has a host's journal."""
    return folder / JOURNALS / f"{host}.sqlite"


def reexecute(folder: Path, observe: Observer | None = None) -> Match:
    """Do it; what is missing or different ends it and is said in the result."""
    try:
        execution = Reexecution(folder, observe)
    except (IncompleteError, UnreadableError, ExperimentError) as error:
        return Match(0, 0, gaps=(str(error),))
    divergence = ""
    gaps = execution.gaps
    try:
        execution.run()
    except DivergedError as error:
        divergence = str(error)
    except (IncompleteError, UnreadableError) as error:
        gaps.append(str(error))
    gaps = list(dict.fromkeys(gaps))
    return Match(
        execution.matched,
        max(execution.matched, execution.total),
        divergence,
        tuple(gaps),
        quiet=execution.quiet and not divergence and not gaps,
        epochs=execution.epochs,
    )


class Reexecution:
    """The merge of all journals and the chronicle, and the actors that live through it again."""

    def __init__(self, folder: Path, observe: Observer | None) -> None:
        self.observe = observe
        self.matched = 0
        self.total = 0
        self.gaps: list[str] = []
        self.patient = True
        self.quiet = False
        self.ended = False
        self.epochs: dict[Name, int] = {}
        setting = read_setting(folder / JOURNALS / SETTING)
        self.placement = setting.placement
        self.paths = {host: journal_path(folder, host) for host in hosts_of(self.placement)}
        self.answers = Answers()
        self.hosts = {
            name: Host(name, actor, self.answers) for name, actor in setting.cast.actors().items()
        }
        self.flying: dict[LinkName, deque[Flying]] = {}
        self.received: dict[LinkName, int] = {}
        self.timers: dict[tuple[Name, str], None] = {}
        self.lost: dict[Name, None] = {}
        self.sealed: dict[Name, None] = {}
        self.fences: dict[LinkName, None] = {}
        self.crashes: dict[tuple[Name, int], None] = {}
        self.next: dict[Name, Entry | AnyLine | None] = {}
        self.folder = folder

    # --- The order --------------------------------------------------------------------------------

    def run(self) -> None:
        """Take the oldest entry that can be taken, until there is none."""
        streams: dict[Name, Iterator[Entry] | Iterator[AnyLine]] = {
            host: read_journal(path) for host, path in self.paths.items()
        }
        self._count()
        lines = list(read_chronicle(self.folder / JOURNALS / CHRONICLE))
        self._foresee(lines)
        streams[WORLD] = iter(lines)
        heads: list[tuple[int, Name, Entry | AnyLine]] = []
        for name in streams:
            self._advance(streams, name, heads)
        while heads:
            waiting: list[tuple[int, Name, Entry | AnyLine]] = []
            self._take_one(heads, waiting)
            name = waiting.pop()[1]
            for head in waiting:
                heappush(heads, head)
            self._advance(streams, name, heads)
        self._close()

    def _advance(
        self,
        streams: dict[Name, Iterator[Entry] | Iterator[AnyLine]],
        name: Name,
        heads: list[tuple[int, Name, Entry | AnyLine]],
    ) -> None:
        entry = next(streams[name], None)
        self.next[name] = entry
        if entry is not None:
            heappush(heads, (entry.ts_ns, name, entry))

    def _take_one(
        self,
        heads: list[tuple[int, Name, Entry | AnyLine]],
        waiting: list[tuple[int, Name, Entry | AnyLine]],
    ) -> None:
        """The first that can be taken is the last of `waiting`; those before it have to wait."""
        reasons: list[str] = []
        while heads:
            head = heappop(heads)
            waiting.append(head)
            try:
                self._take(head[1], head[2])
            except NotYet as why:
                reasons.append(str(why))
            else:
                self.patient = True
                return
        if not self.patient:
            raise IncompleteError(f"{self.folder}: {reasons[0]}")
        self.patient = False  # A begin may have been journalled before the end was noticed.
        heads[:] = waiting
        waiting.clear()
        self._take_one(heads, waiting)

    def _count(self) -> None:
        for path in self.paths.values():
            try:
                self.total += summary(path).inputs
            except (IncompleteError, UnreadableError) as error:
                self.gaps.append(str(error))

    def _foresee(self, lines: Sequence[AnyLine]) -> None:
        """Which incarnations the supervisor saw die: their end comes before the next one begins."""
        for line in lines:
            match line:
                case Stated(fact=HostCrashed()):
                    self.crashes[line.host, line.epoch] = None
                case Kept():
                    self._check_kept(line)
                case _:
                    pass

    def _check_kept(self, kept: Kept) -> None:
        path = self.paths.get(kept.host)
        if path is None:
            raise UnreadableError(f"{self.folder}: '{kept.host}' is not a host of this run")
        try:
            found = summary(path)
        except (IncompleteError, UnreadableError):
            return  # That was said already.
        if found.count < kept.count:
            self.gaps.append(f"{path}: ends at row {found.count} of {kept.count}")
        elif (found.count, found.tail.hex()) != (kept.count, kept.tail):
            self.gaps.append(f"{path}: not the journal that was collected at the end of the run")

    def _take(self, name: Name, entry: Entry | AnyLine) -> None:
        match entry:
            case Input():
                self._input(entry)
            case Began():
                self._began(name, entry)
            case Sealed():
                self.sealed[entry.actor] = None
            case Told():
                self._told(entry)
            case Stated():
                self._stated(entry)
            case Ended():
                self._ended(entry)
            case Kept():
                pass

    # --- Inputs -----------------------------------------------------------------------------------

    def _input(self, entry: Input) -> None:
        host = self.hosts.get(entry.actor)
        what = f"{type(entry.message).__name__} from {entry.source}"
        where = f"{entry.actor}, input {entry.n} ({what})"
        if host is None:
            raise UnreadableError(f"{where}: there is no such actor in this run")
        origin = self._origin(entry, where)
        if entry.n != host.n + 1:
            raise IncompleteError(f"{where} comes after input {host.n}")
        if isinstance(entry.message, HostLost):
            self._fence(entry.message.name, entry.actor)
        host.epoch = entry.epoch
        self.answers.load(entry.answers)
        try:
            host.take(entry.message, entry.source, origin, ts_ns=entry.ts_ns)
            self.answers.finish()
        except (DivergedError, AssertionError) as error:
            raise DivergedError(f"{where}: {error}") from error
        if host.digest() != entry.digest:
            raise DivergedError(f"{where} has other effects than when it was journalled")
        self.matched += 1
        self._say(host, entry)
        self._follow(host)

    def _origin(self, entry: Input, where: str) -> Moment | None:
        """The input that sent it; it must have, and the very same message."""
        if not entry.sequence:
            message = entry.message
            timer = (entry.actor, message.timer if isinstance(message, TimerFired) else "")
            if timer not in self.timers:
                raise DivergedError(f"{where}: no such timer was set")
            del self.timers[timer]
            return None
        link = (entry.source, entry.actor)
        received = self.received.get(link, 0)
        if entry.sequence != received + 1:
            raise IncompleteError(
                f"{where} is message {entry.sequence} of its link; {received} came before"
            )
        flying = self.flying.get(link)
        if not flying:
            raise NotYet(f"{where}: message {entry.sequence} of its link was never sent")
        message, its_id, origin = flying.popleft()
        self.received[link] = entry.sequence
        if message != entry.message or its_id != entry.id:
            raise DivergedError(
                f"{where}: {entry.source} sends {type(message).__name__}"
                f" ({message_id(entry.source, *its_id)}) instead"
            )
        return origin

    def _follow(self, host: Host) -> None:
        for k, effect in enumerate(host.out.effects, start=1):
            match effect:
                case Send():
                    link = (host.name, effect.to)
                    if link not in self.fences:
                        flying = (effect.message, (host.n, k), host.moment)
                        self.flying.setdefault(link, deque()).append(flying)
                case SetTimer():
                    self.timers[host.name, effect.timer] = None

    def _fence(self, lost: Name, actor: Name) -> None:
        for link in ((lost, actor), (actor, lost)):
            self.fences[link] = None
            self.flying.pop(link, None)

    # --- The world --------------------------------------------------------------------------------

    def _began(self, host: Name, began: Began) -> None:
        """An incarnation: after the end of the one before it, if that was seen."""
        ended = [key for key in self.crashes if key[0] == host and key[1] < began.epoch]
        if ended and self.patient:
            raise NotYet(f"host {host} begins epoch {began.epoch}, and the last has not ended")
        self.epochs[host] = began.epoch
        if began.epoch == 1:
            return
        for name, home in self.placement.items():
            if home == host and name not in self.sealed:
                self.hosts[name].epoch = began.epoch
                self._state(HostStarted(self.hosts[name].n), name, began.ts_ns)

    def _told(self, told: Told) -> None:
        link = (SUPERVISOR, told.to)
        its_id = message_id(SUPERVISOR, told.serial, told.serial)
        self.flying.setdefault(link, deque()).append(
            (told.message, (told.serial, told.serial), None)
        )
        self._world(sent_fact(told.to, told.message, its_id), told)

    def _stated(self, stated: Stated) -> None:
        fact = stated.fact
        match fact:
            case HostCrashed():
                head = self.next.get(stated.host)
                if isinstance(head, Input | Began) and head.epoch <= stated.epoch:
                    raise NotYet(f"epoch {stated.epoch} of host {stated.host} has not ended")
                self.crashes.pop((stated.host, stated.epoch), None)
            case HostGone():
                if stated.of not in self.sealed:
                    raise NotYet(f"the journal of {stated.of} is not sealed")
                self.lost[stated.of] = None
            case RunEnded():
                self.ended, self.quiet = True, fact.quiet
            case _:
                pass
        if stated.of:
            self._state(fact, stated.of, stated.ts_ns)
        else:
            self._world(fact, stated)

    def _ended(self, end: Ended) -> None:
        host = self.hosts.get(end.actor)
        if host is None:
            raise UnreadableError(f"{self.folder}: '{end.actor}' is not an actor of this run")
        if host.n < end.n:
            raise NotYet(f"{end.actor}: its journal ends at input {host.n} of {end.n}")
        if host.n > end.n or host.state_hash().hex() != end.hash:
            raise DivergedError(
                f"{end.actor} comes to another state than it had after its input {end.n}"
            )

    def _close(self) -> None:
        if not self.ended:
            raise IncompleteError(f"{self.folder}: the run was cut off before its end")
        if not self.quiet:
            return
        for (source, destination), flying in self.flying.items():
            if flying and not {source, destination} & self.lost.keys():
                message, its_id, _ = flying[0]
                raise IncompleteError(
                    f"{destination} never got {type(message).__name__}"
                    f" ({message_id(source, *its_id)}) from {source}"
                )

    # --- Records ----------------------------------------------------------------------------------

    def _say(self, host: Host, entry: Input) -> None:
        if self.observe is None:
            return
        assert host.moment is not None
        stamp = stamp_of(host.moment)
        its_id = message_id(entry.source, *entry.id)
        self.observe(Record(stamp, delivered_fact(entry.source, entry.message, its_id)))
        for k, effect in enumerate(host.out.effects, start=1):
            if isinstance(effect, Send):
                its_id = message_id(host.name, host.n, k)
                self.observe(Record(stamp, sent_fact(effect.to, effect.message, its_id)))
        for fact in host.out.facts:
            self.observe(Record(stamp, fact))

    def _world(self, fact: Event, line: Told | Stated) -> None:
        if self.observe is not None:
            clock = {SUPERVISOR: line.serial}
            stamp = Stamp(actor=SUPERVISOR, n=line.serial, ts_ns=line.ts_ns, clock=clock)
            self.observe(Record(stamp, fact))

    def _state(self, fact: Event, of: Name, ts_ns: int) -> None:
        """The world's fact about one actor: stamped as its last input, as the simulator does."""
        if self.observe is None:
            return
        host = self.hosts[of]
        if host.moment is None:
            stamp = Stamp(actor=of, n=0, epoch=host.epoch, ts_ns=ts_ns)
        else:
            stamp = stamp_of(host.moment)
        self.observe(Record(stamp, fact))
