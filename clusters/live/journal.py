"""The journal of a host: what its actors were handed, durable before the effects of it leave.

One SQLite file per host, in WAL mode, append only.  Every incarnation of the host raises the epoch
in the journal before it reads it, and only the newest epoch may append: a second incarnation makes
the first one a zombie that can write nothing, and so do nothing.  Each row carries a checksum over
itself and all rows before it, the head one over itself, and a mark outside says how far it had
come; `reading.py` is the way back.  A snapshot bounds recovery only: no row is ever taken out, for
a re-execution needs them all.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from clusters.live.mark import Mark, MarkFile, sync_folders
from protocol.errors import ClusterError, IncompleteError, UnreadableError
from protocol.messages import AnyMessage
from protocol.names import Name

APPLICATION_ID: Final = 0x70_61_73_64
"""Marks the file as a journal of ours (SQLite's `application_id`)."""
JOURNAL_FORMAT: Final = 2
"""1 had no snapshots, no mark, and a head without a checksum."""
ENTRY_BYTES_MAX: Final = 1 << 20
SNAPSHOT_BYTES_MAX: Final = 64 << 20
"""A larger state has no snapshot: its host comes back by its whole journal."""
JOURNAL_BYTES_MAX: Final = 16 << 30
BUSY_SECONDS: Final = 30.0
"""How long a writer waits for another one of the same file: a sealing supervisor, a zombie."""
TAIL_BYTES: Final = 16
DURABILITIES: Final = {"process": "NORMAL", "power": "FULL"}
"""What must survive -> SQLite's `synchronous`: a killed process, or a machine without power."""

SCHEMA: Final = (
    (
        "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), host TEXT NOT NULL,"
        " epoch INTEGER NOT NULL, count INTEGER NOT NULL, tail BLOB NOT NULL, sum BLOB NOT NULL)"
    ),
    "CREATE TABLE log (row INTEGER PRIMARY KEY, entry BLOB NOT NULL, tail BLOB NOT NULL)",
    (
        "CREATE TABLE snapshot (one INTEGER PRIMARY KEY CHECK (one = 1), row INTEGER NOT NULL,"
        " tail BLOB NOT NULL, state BLOB NOT NULL, sum BLOB NOT NULL)"
    ),
)


class Input(Struct, frozen=True, array_like=True, tag="i"):
    """An actor was handed a message.

    `id` is the message's (n, k) at its source, `sequence` its number on the link, both 0 when the
    world made it up here (a timer).  `answers` are what chance said, `digest` is of the effects.
    """

    actor: Name
    n: int
    epoch: int
    source: Name
    source_epoch: int
    sequence: int
    id: tuple[int, int]
    message: AnyMessage
    answers: tuple[int, ...]
    digest: bytes
    ts_ns: int


class Began(Struct, frozen=True, array_like=True, tag="b"):
    """An incarnation of the host began; `recovered` rows were there before."""

    epoch: int
    recovered: int
    pid: int
    ts_ns: int


class Sealed(Struct, frozen=True, array_like=True, tag="s"):
    """The actor is lost: no incarnation may recover it."""

    actor: Name
    epoch: int
    ts_ns: int


Entry = Input | Began | Sealed
Row = tuple[int, bytes, bytes]
"""Number, entry, and the checksum of it and all rows before it."""


class Fenced(Exception):
    """The writer is not the newest incarnation: it must stop, and nothing it did may leave."""


class Head(Struct, frozen=True):
    """What a journal says of itself: the newest epoch, where its rows end, its own checksum."""

    host: Name
    epoch: int
    count: int
    tail: bytes
    sum: bytes

    @classmethod
    def of(cls, host: Name, epoch: int, count: int, tail: bytes) -> "Head":
        """With the checksum that it should have."""
        seen = blake2b(encode_entry((host, epoch, count, tail)), digest_size=TAIL_BYTES)
        return cls(host, epoch, count, tail, seen.digest())

    @property
    def mark(self) -> Mark:
        """What is said of it outside."""
        return Mark(self.host, self.epoch, self.count, self.tail)


class Snapshot(Struct, frozen=True):
    """A host's state behind row `row`, whose checksum is `tail`."""

    row: int
    tail: bytes
    state: bytes

    @property
    def sum(self) -> bytes:
        """The checksum that it should have."""
        seen = blake2b(encode_entry((self.row, self.tail)), digest_size=TAIL_BYTES)
        seen.update(self.state)
        return seen.digest()


class Journal(Protocol):
    """What a host needs of its journal; SQLite is one, Redis another."""

    epoch: int

    def begin(self, pid: int) -> int:
        """Verify it, raise the epoch and become the one writer."""

    def snapshot(self) -> Snapshot | None:
        """The state to go on from, if there is one that is whole."""

    def read(self, after: Snapshot | None = None) -> Iterator[Entry]:
        """Everything from the first entry on, or behind a snapshot; verified."""

    def append(self, entries: Sequence[Entry]) -> None:
        """All or nothing, durable on return; `Fenced` when another incarnation has begun."""

    def save(self, state: bytes) -> None:
        """This is the state behind the last row; `Fenced` as `append` is."""

    def seal(self, actor: Name) -> None:
        """The actor is lost: whoever runs it now is fenced, and nobody may recover it."""

    def close(self) -> None:
        """No more appends."""


encode_entry: Final = msgspec.msgpack.Encoder().encode


def chain(tail: bytes, entry: bytes) -> bytes:
    """The checksum of a row: over itself and, through `tail`, over all rows before it."""
    return blake2b(tail + entry, digest_size=TAIL_BYTES).digest()


def first_tail(host: Name) -> bytes:
    """What the first row's checksum stands on."""
    return blake2b(f"pasidlab journal {JOURNAL_FORMAT} {host}".encode(), digest_size=16).digest()


def chained(head: Head, entries: Sequence[Entry], epoch: int) -> tuple[Head, list[Row]]:
    """The rows that these entries make behind a head, and the head behind them."""
    tail, rows = head.tail, []
    for row, entry in enumerate(entries, start=head.count + 1):
        blob = encode_entry(entry)
        tail = chain(tail, blob)
        rows.append((row, blob, tail))
    return Head.of(head.host, epoch, head.count + len(rows), tail), rows


def fenced(where: object, head: Head, epoch: int) -> Fenced:
    """What a zombie is told."""
    return Fenced(
        f"{where}: epoch {epoch} of host '{head.host}' may not append: epoch {head.epoch} has begun"
    )


class SqliteJournal:
    """The journal of one host in one file, `<host>.sqlite`, which `make` has made."""

    def __init__(self, path: Path, host: Name, durability: str = "process") -> None:
        """Open it, after a look at it that changes nothing: a damaged one stays as it is."""
        from clusters.live.reading import summary

        self.path = path
        self.host = host
        self.durability = durability
        self.epoch = 0
        found = summary(path)
        if found.host != host:
            raise UnreadableError(f"{path}: the journal of host '{found.host}', not of '{host}'")
        self._mark = MarkFile(path)

    @cached_property
    def _db(self) -> sqlite3.Connection:
        """Not before it is written: whoever opens a file to write also tidies it up."""
        with writing(self.path):
            return _connect(self.path, self.durability)

    @classmethod
    def make(cls, path: Path, host: Name, durability: str = "process") -> None:
        """An empty journal.  Hosts only open theirs: one that has gone missing is noticed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        mark = MarkFile(path, durable=durability == "power", new=True)
        head = Head.of(host, 0, 0, first_tail(host))
        with writing(path):
            db = _connect(path, durability)
            db.execute("BEGIN IMMEDIATE")
            for table in SCHEMA:
                db.execute(table)
            values = (head.host, head.epoch, head.count, head.tail, head.sum)
            db.execute("INSERT INTO head VALUES (1, ?, ?, ?, ?, ?)", values)
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            db.execute(f"PRAGMA user_version = {JOURNAL_FORMAT}")
            db.execute("COMMIT")
            db.close()
        mark.set(head.mark)
        mark.close()
        if durability == "power":
            sync_folders(path)

    def begin(self, pid: int) -> int:
        """Raise the epoch; from here on no older incarnation can append.

        All of it that recovery will read is verified before, so that a damaged one is not written.
        """
        from clusters.live.reading import verify

        verified = verify(self.path)
        with self._transaction() as head:
            self._refuse_older(head, verified)
            self.epoch = head.epoch + 1
            new = self._write(
                head, [Began(self.epoch, head.count, pid, time.time_ns())], self.epoch
            )
        self._mark.set(new.mark)
        return self.epoch

    def _refuse_older(self, head: Head, verified: Head) -> None:
        """What was written since it was verified was written by one who can."""
        if head.epoch < verified.epoch or head.count < verified.count:
            raise IncompleteError(f"{self.path}: has lost its end while it was opened")

    def snapshot(self) -> Snapshot | None:
        """The newest, if it fits the rows."""
        from clusters.live.reading import snapshot_of

        return snapshot_of(self._db)

    def read(self, after: Snapshot | None = None) -> Iterator[Entry]:
        """All entries, checked row by row; errors say what is wrong and where."""
        from clusters.live.reading import entries_of

        yield from entries_of(self._db, self.path, after)

    def append(self, entries: Sequence[Entry]) -> None:
        """One transaction: the epoch is looked at inside it, so no zombie slips in between."""
        with self._transaction() as head:
            if head.epoch != self.epoch:
                raise fenced(self.path, head, self.epoch)
            new = self._write(head, entries, head.epoch)
        self._mark.set(new.mark)

    def save(self, state: bytes) -> None:
        """The state behind the last row, in place of the one before."""
        if len(state) > SNAPSHOT_BYTES_MAX:
            raise ClusterError(
                f"{self.path}: a snapshot of {len(state)} bytes, at most {SNAPSHOT_BYTES_MAX}"
            )
        with self._transaction() as head:
            if head.epoch != self.epoch:
                raise fenced(self.path, head, self.epoch)
            new = Snapshot(head.count, head.tail, state)
            values = (new.row, new.tail, new.state, new.sum)
            self._db.execute("REPLACE INTO snapshot VALUES (1, ?, ?, ?, ?)", values)

    def seal(self, actor: Name) -> None:
        """The actor is lost.  Raises the epoch as well: who runs it now can append no more."""
        with self._transaction() as head:
            epoch = head.epoch + 1
            new = self._write(head, [Sealed(actor, epoch, time.time_ns())], epoch)
        self._mark.set(new.mark)

    def copy(self, epoch: int, rows: Iterator[tuple[int, bytes]]) -> None:
        """Take over the rows of another journal of this host, as they are, or none of them."""
        with self._transaction() as head:
            tail, count = head.tail, head.count
            for count, blob in rows:
                tail = chain(tail, blob)
                self._db.execute("INSERT INTO log VALUES (?, ?, ?)", (count, blob, tail))
            self._set(Head.of(self.host, epoch, count, tail))

    def keep(self) -> None:
        """Fold the WAL into the file, so that the file alone is the journal; then close."""
        from clusters.live.reading import verify

        try:
            verify(self.path)
            with writing(self.path):
                self._db.execute("PRAGMA journal_mode = DELETE")
                head = read_head(self._db, self.path)
            self._mark.durable = True
            self._mark.set(head.mark)
        finally:
            self.close()

    def close(self) -> None:
        """Let go of the files; one that cannot be tidied up is read with its WAL."""
        if "_db" in self.__dict__:
            with suppress(sqlite3.Error):
                self._db.close()
        self._mark.close()

    @contextmanager
    def _transaction(self) -> Iterator[Head]:
        with writing(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield read_head(self._db, self.path)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _write(self, head: Head, entries: Sequence[Entry], epoch: int) -> Head:
        new, rows = chained(head, entries, epoch)
        self._db.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
        self._set(new)
        return new

    def _set(self, new: Head) -> None:
        values = (new.epoch, new.count, new.tail, new.sum)
        self._db.execute("UPDATE head SET epoch = ?, count = ?, tail = ?, sum = ?", values)


def read_head(db: sqlite3.Connection, path: Path) -> Head:
    """What the file says of itself."""
    row = db.execute("SELECT host, epoch, count, tail, sum FROM head").fetchone()
    if row is None:
        raise IncompleteError(f"{path}: the journal has lost its head")
    return checked_head(dict(zip(Head.__struct_fields__, row, strict=True)), path)


def checked_head(said: dict[str, object], where: object) -> Head:
    """A head that is what it was written as."""
    try:
        head = msgspec.convert(said, Head)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{where}: the journal's head is not one: {error}") from error
    if head != Head.of(head.host, head.epoch, head.count, head.tail):
        raise UnreadableError(f"{where}: the journal's head does not match its checksum")
    return head


def _connect(path: Path, durability: str) -> sqlite3.Connection:
    """Ray may open it in one thread and append in another, never in two at once."""
    db = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA trusted_schema = OFF")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, SNAPSHOT_BYTES_MAX + ENTRY_BYTES_MAX)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(f"PRAGMA synchronous = {DURABILITIES[durability]}")
    db.execute("PRAGMA wal_autocheckpoint = 4000")
    return db


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A disk that is full or gone is the cluster's failure, not the protocol's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ClusterError(f"{path}: the journal cannot be written: {error}") from error
    except sqlite3.Error as error:
        raise UnreadableError(f"{path}: not a journal: {error}") from error
