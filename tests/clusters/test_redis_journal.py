import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, cast

import pytest

from clusters.live.journal import Began, Entry, Fenced, Input, Sealed
from clusters.live.journals import keep_journal, make_journal, open_journal
from clusters.live.mark import mark_path
from clusters.live.redis_journal import RedisJournal, connect, hidden
from clusters.live.redis_server import RedisServer, redis_server, why_none
from clusters.live.reexecute import reexecute
from protocol.errors import ClusterError, ExperimentError, IncompleteError, UnreadableError
from protocol.names import Name
from tests.clusters.journal_hands import entry, opened, read
from tests.live.without_ray import TWO_HOSTS, assert_ring, started

if TYPE_CHECKING:
    from redis import Redis

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(why_none()), reason=why_none())]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as one:
        yield one


@pytest.fixture
def run(running: RedisServer, request: pytest.FixtureRequest) -> str:
    """An address of this test's own."""
    return f"{running.address}#{request.node.name}"


def made(run: str, host: Name = "core") -> RedisJournal:
    RedisJournal.make(run, host)
    return RedisJournal(run, host)


def filled(run: str, count: int = 5) -> RedisJournal:
    journal = made(run)
    journal.begin(pid=1)
    journal.append([entry(n) for n in range(1, count + 1)])
    return journal


def key(run: str, what: str, host: Name = "core") -> str:
    return f"pasidlab:{{{run.partition('#')[2]}/{host}}}:{what}"


def inputs(entries: Iterator[Entry]) -> list[Entry]:
    return [one for one in entries if isinstance(one, Input)]


def test_what_was_appended_is_read_back_by_the_next_incarnation(run: str) -> None:
    first = filled(run)
    second = RedisJournal(run, "core")
    assert (first.epoch, second.begin(pid=2)) == (1, 2)
    assert inputs(second.read()) == [entry(n) for n in range(1, 6)]
    began = [one for one in second.read() if isinstance(one, Began)]
    assert [(one.epoch, one.recovered, one.pid) for one in began] == [(1, 0, 1), (2, 6, 2)]


def test_a_journal_longer_than_a_page_is_read_page_by_page(run: str) -> None:
    journal = filled(run, 2_500)
    assert inputs(journal.read()) == [entry(n) for n in range(1, 2_501)]


def test_err_a_zombie_cannot_append_and_cannot_save(run: str) -> None:
    zombie = filled(run, 1)
    newest = RedisJournal(run, "core")
    newest.begin(pid=2)
    with pytest.raises(Fenced, match="epoch 1 of host 'core' may not append: epoch 2 has begun"):
        zombie.append([entry(2)])
    with pytest.raises(Fenced):
        zombie.save(b"old")
    newest.append([entry(2, epoch=2)])
    assert inputs(newest.read()) == [entry(1), entry(2, epoch=2)]
    assert newest.snapshot() is None


def test_err_sealing_an_actor_fences_whoever_runs_it(run: str) -> None:
    journal = filled(run, 1)
    open_journal(run, "core").seal("vm2.guest")
    with pytest.raises(Fenced):
        journal.append([entry(2)])
    sealed = [one for one in RedisJournal(run, "core").read() if isinstance(one, Sealed)]
    assert [(one.actor, one.epoch) for one in sealed] == [("vm2.guest", 2)]


def test_err_of_many_incarnations_at_once_only_the_newest_writes(run: str) -> None:
    """They begin and append as fast as they can, until they find themselves fenced."""
    RedisJournal.make(run, "core")
    said: list[BaseException] = []

    def live(pid: int) -> None:
        journal = RedisJournal(run, "core")
        epoch = journal.begin(pid)
        try:
            for n in range(1, 40):
                journal.append([entry(n, epoch=epoch), entry(n, epoch=epoch)])
        except Fenced:
            pass
        except BaseException as error:  # noqa: BLE001  the test has to hear of it
            said.append(error)

    threads = [Thread(target=live, args=(pid,)) for pid in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == []
    entries = list(RedisJournal(run, "core").read())
    epochs = [one.epoch for one in entries]
    assert epochs == sorted(epochs)
    assert [one.epoch for one in entries if isinstance(one, Began)] == [1, 2, 3, 4, 5, 6]
    assert len([one for one in entries if one.epoch == 6]) == 1 + 2 * 39


def test_a_write_whose_answer_was_lost_is_not_done_twice(run: str) -> None:
    journal = filled(run, 1)
    before = journal._head
    journal.append([entry(2)])
    assert journal._put(before, [entry(2)], journal.epoch) == "done"
    journal.append([entry(3)])
    assert inputs(journal.read()) == [entry(1), entry(2), entry(3)]


def test_recovery_goes_on_from_a_snapshot_and_reads_all_without_it(run: str) -> None:
    journal = filled(run, 3)
    journal.save(b"state")
    journal.append([entry(4)])
    snapshot = journal.snapshot()
    assert snapshot is not None
    assert (snapshot.row, snapshot.state) == (4, b"state")
    assert list(journal.read(snapshot)) == [entry(4)]
    connect(run).hset(key(run, "snapshot"), "state", "other")
    assert journal.snapshot() is None
    assert len(list(journal.read())) == 5


# --- A run of it ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
def test_killed_hosts_come_back_and_the_run_re_executes(
    tmp_path: Path, running: RedisServer, seed: int
) -> None:
    wire = started(tmp_path, TWO_HOSTS, seed, running.address)
    for _ in range(6):
        for _ in range(wire.random.randint(1, 60)):
            wire.step()
        wire.crash(wire.random.choice(list(wire.hosts)))
    wire.run()
    assert_ring(wire)
    match = reexecute(wire.finish())
    assert match.whole, match
    assert sum(match.epochs.values()) == 8
    left = connect(running.address).keys(f"*{tmp_path.name}*")
    assert left == []  # The run folder has it all.


def test_a_kept_journal_is_the_file_that_it_would_have_been(tmp_path: Path, run: str) -> None:
    journal = filled(run)
    entries = list(journal.read())
    keep_journal(run, "core", tmp_path / "core.sqlite")
    assert read(tmp_path / "core.sqlite") == entries
    with pytest.raises(IncompleteError, match="there is no such journal"):
        journal.append([entry(6)])


# --- What is wrong with it ------------------------------------------------------------------------


Damage = Callable[["Redis", str, str], object]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda redis, head, _log: redis.delete(head), "there is no such journal"),
        (lambda redis, _head, log: redis.delete(log), "ends at row 0 of 6"),
        (lambda redis, _head, log: redis.rpop(log), "ends at row 5 of 6"),
        (lambda redis, _head, log: redis.rpush(log, b"more"), "its 7 rows are not those"),
        (lambda redis, _head, log: redis.lset(log, 2, b"x" * 40), "row 3 of 6 does not match"),
        (lambda redis, _head, log: redis.lset(log, 2, b""), "row 3 of 6 does not match"),
        (lambda redis, head, _log: redis.hset(head, "epoch", "7"), "head does not match its"),
        (lambda redis, head, _log: redis.hset(head, "count", "x"), "head is not one"),
        (lambda redis, head, _log: redis.hset(head, "tail", "x"), "head does not match its"),
        (lambda redis, head, _log: redis.hdel(head, "sum"), "head is not one"),
        (lambda redis, head, _log: redis.hset(head, "format", "1"), "a journal of format 1; this"),
    ],
)
def test_err_what_was_changed_is_named_and_nothing_is_written(
    run: str, damage: Damage, said: str
) -> None:
    filled(run).close()
    redis = connect(run)
    damage(redis, key(run, "head"), key(run, "log"))
    before = {one: redis.dump(one) for one in (key(run, "head"), key(run, "log"))}
    with pytest.raises((IncompleteError, UnreadableError), match=said):
        RedisJournal(run, "core").begin(pid=2)
    assert {one: redis.dump(one) for one in before} == before


def test_err_the_journal_of_another_host(run: str) -> None:
    filled(run).close()
    made(run, "vm1").close()
    redis = connect(run)
    for what in ("head", "log"):
        redis.rename(key(run, what), key(run, what, "vm1"))
    with pytest.raises(UnreadableError, match="the journal of host 'core'"):
        RedisJournal(run, "vm1")


def test_err_a_damaged_journal_is_not_kept(tmp_path: Path, run: str) -> None:
    filled(run).close()
    redis = connect(run)
    redis.lset(key(run, "log"), 2, "x" * 40)
    path = tmp_path / "core.sqlite"
    with pytest.raises(UnreadableError, match="row 3 of 6 does not match its checksum"):
        keep_journal(run, "core", path)
    assert not path.exists()
    assert not mark_path(path).exists()
    assert redis.exists(key(run, "head"))


def test_err_a_journal_is_made_once(run: str) -> None:
    filled(run).close()
    with pytest.raises(ClusterError, match="there is a journal already"):
        make_journal(run, "core", "process")
    assert len(list(RedisJournal(run, "core").read())) == 6


def test_err_a_run_must_have_a_name(running: RedisServer) -> None:
    with pytest.raises(ExperimentError, match="wants the name of a run"):
        make_journal(running.address, "core", "process")


def test_err_a_server_that_is_gone_is_the_clusters_failure(tmp_path: Path) -> None:
    with redis_server(tmp_path) as one:
        address = one.address.replace("://", "://somebody:secret@") + "#run"
        assert hidden(address) == one.address
        journal = filled(one.address + "#run")
        one.stop(signal.SIGKILL)
    with pytest.raises(ClusterError, match="the journal's server fails") as error:
        journal.append([entry(6)])
    with pytest.raises(ClusterError, match="the journal's server fails") as other:
        RedisJournal(address, "core")
    assert "secret" not in f"{error.value}{other.value}"


def test_err_a_server_that_is_full_takes_nothing_and_keeps_what_it_has(tmp_path: Path) -> None:
    with redis_server(tmp_path) as one:
        journal = filled(f"{one.address}#run")
        connect(one.address).config_set("maxmemory", "1kb")
        with pytest.raises(ClusterError, match=r"fails: .*maxmemory"):
            journal.append([entry(6)])
        assert inputs(journal.read()) == [entry(n) for n in range(1, 6)]


# --- Durability -----------------------------------------------------------------------------------


def test_err_power_wants_a_server_that_syncs(running: RedisServer) -> None:
    with pytest.raises(ExperimentError, match="appendonly yes and appendfsync always"):
        make_journal(f"{running.address}#power", "core", "power")


def test_power_outlives_the_server(tmp_path: Path) -> None:
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(tmp_path, *options) as one:
        run = f"{one.address}#run"
        make_journal(run, "core", "power")
        journal = open_journal(run, "core", "power")
        journal.begin(pid=1)
        journal.append([entry(1), entry(2)])
        one.stop(signal.SIGKILL)
        one.start()
        journal.append([entry(3)])  # The server is back before anybody missed it.
        again = cast("RedisJournal", open_journal(run, "core", "power"))
        assert again.begin(pid=2) == 2
        assert inputs(again.read()) == [entry(1), entry(2), entry(3)]


def test_the_same_entries_have_the_same_checksums_wherever_they_are(
    tmp_path: Path, run: str
) -> None:
    file = opened(tmp_path / "core.sqlite")
    other = made(run)
    for one in (file, other):
        one.begin(pid=1)
        one.append([entry(1)])
    rows = list(other._rows(other._head, None))
    assert [row[1] for row in rows[1:]] == [
        blob for (blob,) in file._db.execute("SELECT entry FROM log WHERE row > 1")
    ]
    file.close()
