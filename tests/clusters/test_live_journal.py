from collections.abc import Callable
from pathlib import Path
from threading import Thread

import pytest

from clusters.live import journal as journal_module
from clusters.live.journal import (
    Began,
    Entry,
    Fenced,
    Input,
    Sealed,
    SqliteJournal,
    encode_entry,
)
from clusters.live.mark import mark_path
from protocol.errors import ClusterError, IncompleteError, UnreadableError
from tests.clusters.journal_hands import changed, entry, opened, read, vouched, written


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    entries = read(written(tmp_path))
    assert entries[1:] == [entry(n) for n in range(1, 6)]
    assert isinstance(entries[0], Began)
    assert (entries[0].epoch, entries[0].recovered, entries[0].pid) == (1, 0, 7)


@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_new_incarnation_reads_what_the_killed_one_wrote(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "core.sqlite"
    first = opened(path, "core", durability)
    assert first.begin(pid=1) == 1
    first.append([entry(1), entry(2)])

    second = SqliteJournal(path, "core", durability)
    assert second.begin(pid=2) == 2
    began = [one for one in second.read() if isinstance(one, Began)]
    assert [(one.epoch, one.recovered) for one in began] == [(1, 0), (2, 3)]
    assert [one for one in second.read() if isinstance(one, Input)] == [entry(1), entry(2)]
    second.close()
    first.close()


def test_err_a_zombie_cannot_append(tmp_path: Path) -> None:
    zombie = opened(tmp_path / "core.sqlite", "core")
    zombie.begin(pid=1)
    newest = SqliteJournal(tmp_path / "core.sqlite", "core")
    newest.begin(pid=2)

    with pytest.raises(Fenced, match="epoch 1 of host 'core' may not append: epoch 2 has begun"):
        zombie.append([entry(1)])

    newest.append([entry(1, epoch=2)])
    assert [one for one in newest.read() if isinstance(one, Input)] == [entry(1, epoch=2)]
    zombie.close()
    newest.close()


def test_err_of_many_incarnations_at_once_only_the_newest_writes(tmp_path: Path) -> None:
    """They begin and append as fast as they can, until they find themselves fenced."""
    path = tmp_path / "core.sqlite"
    SqliteJournal.make(path, "core")
    said: list[BaseException] = []

    def live(pid: int) -> None:
        journal = SqliteJournal(path, "core")
        try:
            epoch = journal.begin(pid)
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
    entries = read(path)
    epochs = [one.epoch for one in entries]
    assert epochs == sorted(epochs)
    assert [one.epoch for one in entries if isinstance(one, Began)] == [1, 2, 3, 4, 5, 6]
    assert len([one for one in entries if one.epoch == 6]) == 1 + 2 * 39


def test_a_mark_may_be_behind_its_journal_and_never_ahead(tmp_path: Path) -> None:
    """Who is stopped between the one and the other comes late with the mark, or not at all."""
    path = tmp_path / "core.sqlite"
    journal = opened(path)
    journal.begin(pid=1)
    early = mark_path(path).read_bytes()
    journal.append([entry(1)])
    late = mark_path(path).read_bytes()
    journal.close()
    mark_path(path).write_bytes(early)
    assert read(path)[1:] == [entry(1)]
    changed(path, "DELETE FROM log WHERE row = 2")
    vouched(path)
    mark_path(path).write_bytes(late)
    with pytest.raises(IncompleteError, match="ends at row 1 of 2"):
        read(path)


def test_err_a_journal_that_is_missing_is_not_made_anew(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.unlink()
    with pytest.raises(IncompleteError, match="cannot be opened: No such file"):
        SqliteJournal(path, "core")
    assert not path.exists()


def test_err_a_journal_is_made_once(tmp_path: Path) -> None:
    path = written(tmp_path)
    before = read(path)
    with pytest.raises(ClusterError, match="File exists"):
        SqliteJournal.make(path, "core")
    assert read(path) == before


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda data: data[:100], IncompleteError, "ends at byte 100 of 256"),
        (lambda data: data + b"x", UnreadableError, "does not match its checksum"),
        (lambda data: data.replace(b"core 1", b"core 2"), UnreadableError, "its checksum"),
        (lambda data: data.replace(b"mark-1", b"mark-2"), UnreadableError, "not a mark of this"),
        (lambda _data: bytes(256), UnreadableError, "not a mark of this format"),
    ],
)
def test_err_a_damaged_mark_vouches_for_nothing(
    tmp_path: Path, change: Callable[[bytes], bytes], error: type[Exception], said: str
) -> None:
    path = written(tmp_path)
    mark_path(path).write_bytes(change(mark_path(path).read_bytes()))
    with pytest.raises(error, match=said):
        read(path)


def test_err_sealing_an_actor_fences_whoever_runs_it(tmp_path: Path) -> None:
    running = opened(tmp_path / "vm2.sqlite", "vm2")
    running.begin(pid=1)
    running.append([entry(1, "vm2.guest")])
    supervisor = SqliteJournal(tmp_path / "vm2.sqlite", "vm2")
    supervisor.seal("vm2.guest")

    with pytest.raises(Fenced):
        running.append([entry(2, "vm2.guest")])
    sealed = [one for one in supervisor.read() if isinstance(one, Sealed)]
    assert [(one.actor, one.epoch) for one in sealed] == [("vm2.guest", 2)]
    assert supervisor.begin(pid=2) == 3
    supervisor.close()
    running.close()


def test_an_append_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = opened(tmp_path / "core.sqlite")
    journal.begin(pid=1)

    def broken(one: Entry) -> bytes:
        if one == entry(2):
            raise RuntimeError
        return encode_entry(one)

    monkeypatch.setattr(journal_module, "encode_entry", broken)
    with pytest.raises(RuntimeError):
        journal.append([entry(1), entry(2)])
    journal.append([entry(1)])
    assert list(journal.read())[1:] == [entry(1)]
    journal.close()


def test_a_journal_that_its_writer_never_closed_is_whole(tmp_path: Path) -> None:
    """A killed process leaves its WAL behind; what was committed is in it."""
    journal = opened(tmp_path / "core.sqlite")
    journal.begin(pid=1)
    journal.append([entry(1)])
    assert read(tmp_path / "core.sqlite")[1:] == [entry(1)]
    journal.close()


def test_a_journal_whose_writer_was_killed_while_it_folded_its_wal_is_whole(tmp_path: Path) -> None:
    """Its header counts pages that are still in the WAL alone."""
    path = tmp_path / "core.sqlite"
    journal = opened(path)
    journal.begin(pid=1)
    journal.append([entry(n) for n in range(1, 500)])
    wal = path.with_name("core.sqlite-wal")
    before, folded = path.read_bytes(), wal.read_bytes()
    whole = read(path)
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.close()
    path.write_bytes(path.read_bytes()[:4096] + before[4096:])
    wal.write_bytes(folded)
    assert read(path) == whole
    again = SqliteJournal(path, "core")
    again.begin(pid=2)
    again.keep()
    assert read(path)[:-1] == whole


def test_err_the_journal_of_another_host(tmp_path: Path) -> None:
    path = written(tmp_path, host="vm1")
    with pytest.raises(UnreadableError, match="the journal of host 'vm1', not of 'core'"):
        SqliteJournal(path, "core")
    for end in (".sqlite", ".mark"):
        path.with_suffix(end).rename(tmp_path / f"core{end}")
    with pytest.raises(UnreadableError, match="the journal of host 'vm1', not of 'core'"):
        read(tmp_path / "core.sqlite")


def test_err_a_full_disk_is_the_clusters_failure(tmp_path: Path) -> None:
    journal = opened(tmp_path / "core.sqlite")
    journal.begin(pid=1)
    pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
    journal._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ClusterError, match="cannot be written: database or disk is full"):
        journal.append([entry(n) for n in range(1, 1000)])
    assert len(list(journal.read())) == 1
    journal.close()


def test_err_a_file_cut_short_is_incomplete(tmp_path: Path) -> None:
    path = written(tmp_path, count=500)
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 4096, 99, 10, 0):
        path.write_bytes(whole[:size])
        with pytest.raises(IncompleteError, match=f"ends at byte {size}"):
            read(path)


def test_err_a_missing_file_is_incomplete(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match="cannot be opened: No such file"):
        read(tmp_path / "core.sqlite")


def test_err_every_flipped_byte_of_an_entry_is_noticed(tmp_path: Path) -> None:
    """Wherever the bit is: in the row, in its checksum, in SQLite's own pages."""
    path = written(tmp_path, count=3)
    before = read(path)
    whole = path.read_bytes()
    at = whole.index(encode_entry(entry(2)))
    for place in range(at - 8, at + len(encode_entry(entry(2))) + 16):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises((UnreadableError, IncompleteError), match=r"core\.sqlite"):
            read(path)
    path.write_bytes(whole)
    assert read(path) == before


Damage = Callable[[Path], None]


@pytest.mark.parametrize(
    ("statement", "error", "said"),
    [
        ("DELETE FROM log WHERE row = 4", IncompleteError, "row 4 is missing; row 5 comes next"),
        ("DELETE FROM log WHERE row >= 4", IncompleteError, "row 6 of 6 is missing"),
        ("DELETE FROM head", IncompleteError, "has lost its head"),
        ("UPDATE log SET entry = 'x' WHERE row = 2", UnreadableError, "row 2 of 6 is not bytes"),
        ("UPDATE log SET entry = x'90' WHERE row = 2", UnreadableError, "its checksum"),
        ("UPDATE head SET count = 5", UnreadableError, "head does not match its checksum"),
        ("UPDATE head SET epoch = 5", UnreadableError, "head does not match its checksum"),
        ("UPDATE head SET epoch = 'new'", UnreadableError, "head is not one"),
        ("PRAGMA user_version = 1", UnreadableError, "a journal of format 1; this program reads 2"),
        ("PRAGMA application_id = 1", UnreadableError, "another program's SQLite file"),
        ("CREATE VIEW more AS SELECT 1", UnreadableError, "its tables are others"),
    ],
)
def test_err_what_was_changed_is_named(
    tmp_path: Path, statement: str, error: type[Exception], said: str
) -> None:
    path = written(tmp_path)
    changed(path, statement)
    with pytest.raises(error, match=said):
        read(path)


def test_err_another_file_is_no_journal(tmp_path: Path) -> None:
    path = written(tmp_path)
    path.write_bytes(b"hello" * 100)
    with pytest.raises(UnreadableError, match="not a journal"):
        read(path)
    with pytest.raises(UnreadableError, match="not a journal"):
        SqliteJournal(path, "core")


@pytest.mark.parametrize(
    ("blob", "said"),
    [
        (b"\xdd\xff\xff\xff\xff", "too large"),
        (b"\x91" * 40 + b"\x01", "deeper"),
        (b"\x91\xa1i", "not an entry of a journal"),
        (b"\x01\x01", "2 entries where one is expected"),
    ],
)
def test_err_an_entry_that_was_never_one(tmp_path: Path, blob: bytes, said: str) -> None:
    """Its checksum is right: somebody made it, so it is read with limits."""
    path = tmp_path / "core.sqlite"
    journal = opened(path)
    journal.begin(pid=1)
    tail = journal_module.chain(journal_module.read_head(journal._db, path).tail, blob)
    journal._db.execute("INSERT INTO log VALUES (2, ?, ?)", (blob, tail))
    journal.close()
    vouched(path)
    with pytest.raises(UnreadableError, match=said):
        read(path)
