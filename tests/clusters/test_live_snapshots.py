from pathlib import Path
from typing import Final

import pytest
from msgspec import structs
from msgspec.msgpack import encode

from clusters.host import Host
from clusters.live import journal as journal_module
from clusters.live.chance import LiveChance
from clusters.live.host_state import STATE_FORMAT, HostState, Luck, Post
from clusters.live.journal import Snapshot, SqliteJournal
from clusters.live.live_host import LiveHost
from clusters.live.mail import Mail
from clusters.live.placement import Placement
from clusters.live.reexecute import journal_path, reexecute
from experiments.harness import bench_journal
from protocol.errors import ClusterError
from protocol.names import Name
from tests.clusters.journal_hands import changed
from tests.live.toys import NUMBERS, ring
from tests.live.without_ray import EACH, TWO_HOSTS, Way, Wire, assert_whole, started

pytestmark = pytest.mark.long

EVERY = 40


class WithoutSnapshot(SqliteJournal):
    """A journal whose host has to live its whole life again."""

    def snapshot(self) -> Snapshot | None:
        return None


class Untouched(SqliteJournal):
    """A journal as its host finds it: nothing begins."""

    def begin(self, pid: int) -> int:
        self.epoch = 9
        return 9


class Looking(Untouched, WithoutSnapshot):
    """Both."""


def saving(folder: Path, placement: Placement, seed: int = 0) -> Wire:
    wire = started(folder, placement, seed)
    wire.save_every = EVERY
    for live in wire.hosts.values():
        live.save_every = EVERY
    return wire


def again(wire: Wire, name: Name, kind: type[SqliteJournal], said: list[str]) -> LiveHost:
    """What the next incarnation would be; the run does not notice."""
    mine = wire.placement_of(name)
    hosts = {actor: Host(actor, one) for actor, one in ring().items() if actor in mine}
    journal = kind(journal_path(wire.folder, name), name)
    mail = Mail(name, wire.placement, Way(wire, name))

    def log(event: str, **fields: object) -> None:
        said.append(f"{event} {fields.get('message')}")

    live = LiveHost(hosts, mail, journal, log)
    live.recover(1, LiveChance(7, (), {}))
    journal.close()
    return live


def all_of(live: LiveHost) -> dict[str, object]:
    """Everything that a recovery restores, but for what was sent."""
    mail = live.mail
    return {
        "actors": live.hashes(),
        "timers": list(live.timers),
        "outcomes": live.meter.outcomes,
        "passages": live.chance.passages,
        "failed": live.chance.failed,
        "here": mail.here,
        "last": {link: one.last for link, one in mail.outgoing.items()},
        "received": {link: one.received for link, one in mail.incoming.items()},
        "epochs": mail.epochs.newest,
        "fences": mail.fences,
        "lost": mail.lost,
    }


def assert_sent_alike(short: LiveHost, long: LiveHost) -> None:
    """Who lived a whole life again has all that it ever sent, until peers say what they have."""
    for link, one in short.mail.outgoing.items():
        letters = list(long.mail.outgoing[link].waiting)
        assert letters[len(letters) - len(one.waiting) :] == list(one.waiting)


@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH])
def test_a_snapshot_and_what_is_behind_it_are_the_whole_life(
    tmp_path: Path, placement: Placement
) -> None:
    wire = saving(tmp_path, placement)
    for round_ in range(8):
        for _ in range(40):
            wire.step()
        if round_ == 4:
            wire.lose("b")
        for name in wire.hosts:
            said: list[str] = []
            short, long = (again(wire, name, kind, said) for kind in (Untouched, Looking))
            assert all_of(short) == all_of(long)
            assert_sent_alike(short, long)
            assert said == []
    wire.run()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("placement", [TWO_HOSTS, EACH])
def test_hosts_that_come_back_by_snapshots_lose_nothing(
    tmp_path: Path, placement: Placement, seed: int
) -> None:
    wire = saving(tmp_path, placement, seed)
    for _ in range(12):
        for _ in range(wire.random.randint(1, 60)):
            wire.step()
        wire.crash(wire.random.choice(list(wire.hosts)))
    wire.run()
    assert_whole(wire)
    match = reexecute(wire.finish())  # By the whole journals: no row was taken out.
    assert match.whole, match
    assert match.total > 4 * NUMBERS


def test_recovery_is_bounded_by_what_came_since_the_snapshot(tmp_path: Path) -> None:
    wire = saving(tmp_path, TWO_HOSTS)
    wire.run()
    wire.recovered.clear()
    live = wire.crash("left")
    assert wire.recovered[0] < EVERY < sum(one.n for one in live.hosts.values())
    wire.run()
    assert_whole(wire)


def test_all_actors_of_a_machine_come_back_by_a_snapshot_as_they_were(tmp_path: Path) -> None:
    at = str(tmp_path / "all.sqlite")
    lived = bench_journal.live(at, 3_000, 1_900)
    back = bench_journal.everybody(at)
    assert 0 < back.unsaved < 1_900
    assert back.hashes() == lived.hashes()
    assert back.timers == lived.timers
    back.journal.close()


# --- One that is of no use ------------------------------------------------------------------------


STRANGE: Final = HostState(
    STATE_FORMAT, {"z": (1, b"")}, (), {}, Post({}, (), (), {}, (), ()), Luck((), ())
)
OTHER_FORMAT: Final = structs.replace(STRANGE, format=STATE_FORMAT + 1, actors={})
OTHER_FAULTS: Final = structs.replace(STRANGE, actors={}, luck=Luck((), (1, 2)))
NO_ACTOR: Final = structs.replace(STRANGE, actors={"a": (1, b"\x90")})


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (b"", "not the state of this host"),
        (b"\xdd\xff\xff\xff\xff", "not the state of this host"),
        (encode(STRANGE), "'z' is not an actor of this host"),
        (encode(OTHER_FORMAT), "a state of format 2; this is 1"),
        (encode(OTHER_FAULTS), "its faults are 2, not 0"),
        (encode(NO_ACTOR), "not the state of this host"),
    ],
)
def test_err_a_state_that_is_none_is_said_and_the_journal_is_lived_again(
    tmp_path: Path, state: bytes, said: str
) -> None:
    wire = saving(tmp_path, TWO_HOSTS)
    for _ in range(100):
        wire.step()
    left = wire.hosts["left"]
    left.journal.save(state)
    told: list[str] = []
    back = again(wire, "left", Untouched, told)
    assert len(told) == 1
    assert told[0].startswith(f"snapshot.refused {said}")
    assert back.hashes() == left.hashes()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE snapshot SET state = x'00'",
        "UPDATE snapshot SET row = row - 1",
        "UPDATE snapshot SET tail = x'00'",
        "UPDATE snapshot SET sum = 7",
        "DELETE FROM snapshot",
    ],
)
def test_err_a_damaged_snapshot_is_not_one(tmp_path: Path, statement: str) -> None:
    wire = saving(tmp_path, TWO_HOSTS)
    for _ in range(100):
        wire.step()
    left = wire.hosts["left"]
    left.journal.close()
    changed(journal_path(tmp_path, "left"), statement)
    wire.recovered.clear()
    assert wire.begin("left").hashes() == left.hashes()
    assert wire.recovered == [sum(n for n, _ in left.hashes().values())]
    wire.run()
    assert_whole(wire)


def test_err_a_zombie_saves_nothing(tmp_path: Path) -> None:
    wire = started(tmp_path, TWO_HOSTS)
    zombie = wire.hosts["left"]
    newest = wire.begin("left")
    zombie.save()
    assert zombie.fenced
    assert newest.journal.snapshot() is None


def test_a_snapshot_that_cannot_be_saved_is_said_and_the_host_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only an append is worth giving up for."""
    wire = saving(tmp_path, TWO_HOSTS)
    said = []

    def full(_state: bytes) -> None:
        raise ClusterError("left.sqlite: the journal cannot be written: disk is full")

    left = wire.hosts["left"]
    monkeypatch.setattr(left.journal, "save", full)
    monkeypatch.setattr(left, "log", lambda event, **_: said.append(event))
    wire.run()
    assert_whole(wire)
    assert set(said) == {"snapshot.failed"}


def test_err_a_state_that_is_too_large_is_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "SNAPSHOT_BYTES_MAX", 100)
    wire = started(tmp_path, TWO_HOSTS)
    with pytest.raises(ClusterError, match="a snapshot of 101 bytes, at most 100"):
        wire.hosts["left"].journal.save(bytes(101))
