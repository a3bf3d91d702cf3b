"""Live hosts without Ray: calls between them are lists, and a test decides what becomes of each."""

from collections.abc import Callable
from pathlib import Path
from random import Random

from clusters.host import Host
from clusters.live.cast import Cast, Setting, write_setting
from clusters.live.chance import LiveChance
from clusters.live.chronicle import Chronicle
from clusters.live.journal import Input
from clusters.live.journals import keep_journal, make_journal, open_journal
from clusters.live.link_faults import Lasting, LinkFault, LinkFaults
from clusters.live.live_host import SNAPSHOT_INPUTS, LiveHost
from clusters.live.mail import Mail
from clusters.live.placement import Placement
from clusters.live.reading import read_journal, summary
from clusters.live.reexecute import CHRONICLE, JOURNALS, SETTING, journal_path
from clusters.live.seal import Seal
from protocol.facts.world import (
    FaultBegun,
    FaultHealed,
    HostCrashed,
    HostGone,
    RunEnded,
    RunStarted,
)
from protocol.history import HISTORY_FORMAT
from protocol.machine import Machine
from protocol.messages import HostLost, Start
from protocol.names import SUPERVISOR, Name
from protocol.wire import WIRE_FORMAT, Frame, encode_batch
from tests.live.toys import NUMBERS, RING, Runner, ring

SUM = NUMBERS * (NUMBERS + 1) // 2
TOYS = "tests.live.toys:ring"
TWO_HOSTS = {"a": "left", "b": "left", "c": "right", "d": "right"}
EACH = {name: name for name in RING}

Call = Callable[["LiveHost"], None]


def sealed(*frames: Frame) -> bytes:
    """A batch as a host of the same run sends it."""
    return Seal().close(encode_batch(frames))


def quiet(event: str, **fields: object) -> None:
    """Nobody reads the operational log here."""


class Wire:
    """Calls between hosts as Ray makes them: in order per pair, lost with a host that dies."""

    def __init__(self, folder: Path, placement: Placement, seed: int = 0, server: str = "") -> None:
        self.folder = folder
        self.server = server
        self.placement = placement
        self.random = Random(seed)
        self.calls: dict[tuple[Name, Name], list[Call]] = {}
        self.save_every = SNAPSHOT_INPUTS
        self.recovered: list[int] = []
        self.loss = 0.0
        self.doubles = 0.0
        self.overtaking = 0.0
        self.lasting = Lasting()
        self.logged: list[str] = []
        self.hosts: dict[Name, LiveHost] = {}
        self.said: dict[Name, int] = {}
        self.now = 0
        journals = folder / JOURNALS
        journals.mkdir()
        machine = Machine((), (), ())
        write_setting(journals / SETTING, Setting(Cast(machine, {}, {}, TOYS), placement))
        self.chronicle = Chronicle(journals / CHRONICLE)
        self.chronicle.stated(RunStarted(HISTORY_FORMAT, "", "", seed, "live", "sound", machine))
        for name in dict.fromkeys(placement.values()):
            make_journal(self.at(name), name, "process")
            self.begin(name)

    def at(self, name: Name) -> str:
        """Where a host's journal is."""
        if self.server:
            return f"{self.server}#{self.folder.name}"
        return str(journal_path(self.folder, name))

    def begin(self, name: Name) -> LiveHost:
        """An incarnation of the host; the old one, if any, is just no longer called."""
        mine = self.placement_of(name)
        hosts = {actor: Host(actor, one) for actor, one in ring().items() if actor in mine}
        journal = open_journal(self.at(name), name)
        mail = Mail(name, self.placement, Way(self, name), LinkFaults(7))
        live = LiveHost(hosts, mail, journal, self.log)
        live.save_every = self.save_every
        self.recovered.append(live.recover(1, LiveChance(7, (), {})))
        self.hosts[name] = live
        return live

    def log(self, event: str, **fields: object) -> None:
        """What a host would write into its operational log."""
        self.logged.append(event)

    def suffer(
        self,
        *faults: tuple[str, str] | tuple[str, str, float] | tuple[str, str, float, tuple[int, int]],
    ) -> None:
        """These faults of links last from here on; hosts hear of it as time passes."""
        version = self.lasting.version + 1
        found = [LinkFault(10 * version + k, *said) for k, said in enumerate(faults)]
        self.lasting = Lasting(version, tuple(found))
        self.tick()

    def kill(self, name: Name) -> None:
        """What was on its way to it or from it is gone."""
        live = self.hosts[name]
        live.journal.close()
        self.chronicle.stated(FaultBegun("crash", name))
        for actor in live.hosts:
            self.chronicle.stated(HostCrashed(), actor, name, live.journal.epoch)
        for pair in list(self.calls):
            if name in pair:
                self.calls[pair] = self.calls[pair][: self.random.randint(0, 1)]

    def crash(self, name: Name) -> LiveHost:
        """Killed, and there again."""
        self.kill(name)
        live = self.begin(name)
        self.chronicle.stated(FaultHealed("crash", name))
        return live

    def lose(self, actor: Name) -> None:
        """The actor is gone for good; its host comes back with the others, who are told."""
        home = self.placement[actor]
        sealing = open_journal(self.at(home), home)
        sealing.seal(actor)
        sealing.close()
        self.kill(home)
        self.chronicle.stated(HostGone(), actor, home, self.hosts[home].journal.epoch)
        if self.placement_of(home) != [actor]:
            self.begin(home)
        else:
            del self.hosts[home]
        for other in self.placement:
            if other != actor:
                self.say(other, HostLost(actor))

    def placement_of(self, home: Name) -> list[Name]:
        """The actors of a host."""
        return [actor for actor, its in self.placement.items() if its == home]

    def say(self, actor: Name, message: Start | HostLost) -> None:
        self.said[actor] = sequence = self.said.get(actor, 0) + 1
        serial = self.chronicle.told(actor, sequence, message)
        its = ((serial, serial), ("", 0, 0), message)
        frame = Frame(WIRE_FORMAT, 1, SUPERVISOR, actor, sequence, 0, *its)
        self.hosts[self.placement[actor]].take(sealed(frame))

    def finish(self, *, quiet: bool = True) -> Path:
        """The run folder as a supervisor leaves it."""
        for live in self.hosts.values():
            for actor, (n, state_hash) in live.hashes().items():
                self.chronicle.final(actor, n, state_hash)
            live.journal.close()
        for name in dict.fromkeys(self.placement.values()):
            path = journal_path(self.folder, name)
            keep_journal(self.at(name), name, path)
            head = summary(path)
            self.chronicle.kept(name, head.count, head.tail)
        self.chronicle.stated(RunEnded(quiet, sum(self.said.values())))
        return self.folder

    def step(self) -> bool:
        """One call arrives; if there is none, time passes for all."""
        pairs = [pair for pair, calls in self.calls.items() if calls]
        if not pairs:
            self.tick()
            return any(calls for calls in self.calls.values())
        pair = self.random.choice(pairs)
        calls = self.calls[pair]
        late = len(calls) > 1 and self.random.random() < self.overtaking
        call = calls.pop(1 if late else 0)
        if self.random.random() < self.doubles:
            self.calls[pair].append(call)
        if pair[1] in self.hosts and self.random.random() >= self.loss:
            call(self.hosts[pair[1]])
        return True

    def tick(self) -> None:
        self.now += 1_000_000_000
        for live in self.hosts.values():
            live.tick(self.now, self.lasting)

    def run(self) -> None:
        """Until all is quiet."""
        for _ in range(100_000):
            busy = self.step()
            failures = [live.failure for live in self.hosts.values() if live.failure]
            assert not failures, [one.message for one in failures]
            if not busy and all(live.status().idle for live in self.hosts.values()):
                return
        raise AssertionError([live.status() for live in self.hosts.values()])

    def runners(self) -> dict[Name, Runner]:
        found = {}
        for live in self.hosts.values():
            for name, host in live.hosts.items():
                assert isinstance(host.actor, Runner)
                found[name] = host.actor
        return found


class Way:
    """A host's way out."""

    def __init__(self, wire: Wire, name: Name) -> None:
        self.wire = wire
        self.name = name

    def frames(self, host: Name, data: bytes) -> None:
        self._call(host, lambda live: live.take(data))

    def hello(self, host: Name, data: bytes, *, asks: bool) -> None:
        self._call(host, lambda live: live.hello(self.name, data, asks=asks))

    def again(self) -> None:
        self._call(self.name, lambda live: live.go_on())

    def _call(self, host: Name, call: Call) -> None:
        self.wire.calls.setdefault((self.name, host), []).append(call)


def started(folder: Path, placement: Placement, seed: int = 0, server: str = "") -> Wire:
    wire = Wire(folder, placement, seed, server)
    for actor in RING:
        wire.say(actor, Start())
    return wire


def assert_ring(wire: Wire) -> None:
    """Everybody sent and got every number once, in order."""
    for runner in wire.runners().values():
        assert (runner.left, runner.expected, runner.sum) == (0, NUMBERS + 1, SUM)


def assert_whole(wire: Wire) -> None:
    """The same, and the journals, which are files, say so."""
    assert_ring(wire)
    for name, live in wire.hosts.items():
        live.journal.close()
        links: dict[tuple[Name, Name], int] = {}
        for one in read_journal(journal_path(wire.folder, name)):
            if isinstance(one, Input) and one.sequence:
                link = (one.source, one.actor)
                assert one.sequence == links.get(link, 0) + 1
                links[link] = one.sequence
