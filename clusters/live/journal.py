"""The journal of a host: what its actors were handed, durable before the effects of it leave.

One SQLite file per host, in WAL mode, append only.  Every incarnation of the host raises the epoch
in the journal before it reads it, and only the newest epoch may append: a second incarnation makes
the first one a zombie that can write nothing, and so do nothing.  Each row carries a checksum over
itself and all rows before it; `reading.py` is the way back.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from protocol.errors import ClusterError, IncompleteError, UnreadableError
from protocol.messages import AnyMessage
from protocol.names import Name

APPLICATION_ID: Final = 0x70_61_73_64
"""Marks the file as a journal of ours (SQLite's `application_id`)."""
JOURNAL_FORMAT: Final = 1
ENTRY_BYTES_MAX: Final = 1 << 20
JOURNAL_BYTES_MAX: Final = 16 << 30
BUSY_SECONDS: Final = 10.0
"""How long a writer waits for another one of the same file: a sealing supervisor, a zombie."""
TAIL_BYTES: Final = 16
DURABILITIES: Final = {"process": "NORMAL", "power": "FULL"}
"""What must survive -> SQLite's `synchronous`: a killed process, or a machine without power."""

SCHEMA: Final = (
    (
        "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), host TEXT NOT NULL,"
        " epoch INTEGER NOT NULL, count INTEGER NOT NULL, tail BLOB NOT NULL)"
    ),
    "CREATE TABLE log (row INTEGER PRIMARY KEY, entry BLOB NOT NULL, tail BLOB NOT NULL)",
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


class Fenced(Exception):
    """The writer is not the newest incarnation: it must stop, and nothing it did may leave."""


class Head(Struct, frozen=True):
    """What the file says of itself: the newest epoch, and where its rows end."""

    host: Name
    epoch: int
    count: int
    tail: bytes


class Journal(Protocol):
    """What a host needs of its journal; SQLite is one, a server may be another."""

    epoch: int

    def begin(self, pid: int) -> int:
        """Raise the epoch and become the one writer."""

    def read(self) -> Iterator[Entry]:
        """Everything from the first entry on, verified."""

    def append(self, entries: Sequence[Entry]) -> None:
        """All or nothing, durable on return; `Fenced` when another incarnation has begun."""

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


class SqliteJournal:
    """The journal of one host in one file."""

    def __init__(self, path: Path, host: Name, durability: str = "process") -> None:
        """Open the file, or make it."""
        self.path = path
        self.host = host
        self.epoch = 0
        with _writing(path):
            self._db = _connect(path)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute(f"PRAGMA synchronous = {DURABILITIES[durability]}")
            self._db.execute("PRAGMA wal_autocheckpoint = 4000")
            self._make()
        head = read_head(self._db, path)
        if head.host != host:
            self.close()
            raise UnreadableError(f"{path}: the journal of host '{head.host}', not of '{host}'")

    def _make(self) -> None:
        """The tables, unless they are there; two incarnations may come here at once."""
        self._db.execute("BEGIN IMMEDIATE")
        if not self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            for table in SCHEMA:
                self._db.execute(table)
            row = (self.host, first_tail(self.host))
            self._db.execute("INSERT INTO head VALUES (1, ?, 0, 0, ?)", row)
            self._db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version = {JOURNAL_FORMAT}")
        self._db.execute("COMMIT")

    def begin(self, pid: int) -> int:
        """Raise the epoch; from here on no older incarnation can append."""
        with self._transaction() as head:
            self.epoch = head.epoch + 1
            self._write(head, [Began(self.epoch, head.count, pid, time.time_ns())], self.epoch)
        return self.epoch

    def read(self) -> Iterator[Entry]:
        """All entries, checked row by row; errors say what is wrong and where."""
        from clusters.live.reading import entries_of

        yield from entries_of(self._db, self.path)

    def append(self, entries: Sequence[Entry]) -> None:
        """One transaction: the epoch is looked at inside it, so no zombie slips in between."""
        with self._transaction() as head:
            if head.epoch != self.epoch:
                raise Fenced(
                    f"{self.path}: epoch {self.epoch} of host '{self.host}' may not append:"
                    f" epoch {head.epoch} has begun"
                )
            self._write(head, entries, head.epoch)

    def seal(self, actor: Name) -> None:
        """The actor is lost.  Raises the epoch as well: who runs it now can append no more."""
        with self._transaction() as head:
            epoch = head.epoch + 1
            self._write(head, [Sealed(actor, epoch, time.time_ns())], epoch)

    def keep(self) -> None:
        """Fold the WAL into the file, so that the file alone is the journal; then close."""
        with _writing(self.path):
            self._db.execute("PRAGMA journal_mode = DELETE")
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[Head]:
        with _writing(self.path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield read_head(self._db, self.path)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _write(self, head: Head, entries: Sequence[Entry], epoch: int) -> None:
        tail, rows = head.tail, []
        for row, entry in enumerate(entries, start=head.count + 1):
            blob = encode_entry(entry)
            tail = chain(tail, blob)
            rows.append((row, blob, tail))
        self._db.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)
        values = (epoch, head.count + len(rows), tail)
        self._db.execute("UPDATE head SET epoch = ?, count = ?, tail = ?", values)


def read_head(db: sqlite3.Connection, path: Path) -> Head:
    """What the file says of itself."""
    row = db.execute("SELECT host, epoch, count, tail FROM head").fetchone()
    if row is None:
        raise IncompleteError(f"{path}: the journal has lost its head")
    try:
        return msgspec.convert(dict(zip(Head.__struct_fields__, row, strict=True)), Head)
    except msgspec.ValidationError as error:
        raise UnreadableError(f"{path}: the journal's head is not one: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    """Ray may open it in one thread and append in another, never in two at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA trusted_schema = OFF")
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ENTRY_BYTES_MAX)
    return db


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A disk that is full or gone is the cluster's failure, not the protocol's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise ClusterError(f"{path}: the journal cannot be written: {error}") from error
    except sqlite3.DatabaseError as error:
        raise UnreadableError(f"{path}: not a journal: {error}") from error
