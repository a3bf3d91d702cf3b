"""The way back from a journal's bytes: bounded, checked row by row, never half of it in silence.

What is not whole is an IncompleteError, what was changed or is no journal an UnreadableError; both
say in one sentence which file, which row and what is wrong with it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from clusters.live.journal import (
    APPLICATION_ID,
    ENTRY_BYTES_MAX,
    JOURNAL_BYTES_MAX,
    JOURNAL_FORMAT,
    SCHEMA,
    Entry,
    Head,
    chain,
    first_tail,
    read_head,
)
from protocol.errors import IncompleteError, UnreadableError
from protocol.wire import Limits, split

MAGIC: Final = b"SQLite format 3\0"
PAGES_AT: Final = slice(28, 32)
PAGE_SIZE_AT: Final = slice(16, 18)
HEADER_BYTES: Final = 100
ENTRY_LIMITS: Final = Limits(size=ENTRY_BYTES_MAX, binary=64)

_decode: Final = msgspec.msgpack.Decoder(Entry).decode


def read_journal(path: Path) -> Iterator[Entry]:
    """Every entry of a journal that nobody writes any more."""
    with _opened(path) as db:
        yield from entries_of(db, path)


class Summary(Struct, frozen=True):
    """What a journal says of itself, before its rows are looked at."""

    epoch: int
    count: int
    tail: bytes

    @property
    def inputs(self) -> int:
        """Every row that is no input raised the epoch by one."""
        return self.count - self.epoch


def summary(path: Path) -> Summary:
    """Its newest epoch, how many rows it should have, and the checksum behind the last of them."""
    with _opened(path) as db:
        _check_schema(db, path)
        head = read_head(db, path)
        return Summary(head.epoch, head.count, head.tail)


def entries_of(db: sqlite3.Connection, path: Path) -> Iterator[Entry]:
    """Every entry behind a connection, in one consistent view."""
    with _reading(path):
        db.execute("BEGIN")
        try:
            _check_schema(db, path)
            head = read_head(db, path)
            yield from _walk(db, path, head)
        finally:
            db.execute("ROLLBACK")


def _walk(db: sqlite3.Connection, path: Path, head: Head) -> Iterator[Entry]:
    tail, count = first_tail(head.host), 0
    for row, blob, said in db.execute("SELECT row, entry, tail FROM log ORDER BY row"):
        count += 1
        if row != count:
            raise IncompleteError(f"{path}: row {count} is missing; row {row} comes next")
        if not isinstance(blob, bytes) or not isinstance(said, bytes):
            raise UnreadableError(f"{path}: row {row} of {head.count} is not bytes")
        tail = chain(tail, blob)
        if tail != said:
            raise UnreadableError(
                f"{path}: row {row} of {head.count} does not match its checksum:"
                " it, or one before it, was changed after it was written"
            )
        yield _entry(blob, f"{path}: row {row}")
    if count < head.count:
        raise IncompleteError(f"{path}: ends at row {count} of {head.count}")
    if count > head.count or tail != head.tail:
        raise UnreadableError(f"{path}: its {count} rows are not those its head was written for")


def _entry(blob: bytes, where: str) -> Entry:
    """Bounded first, typed then."""
    items, refusal = split(blob, where, ENTRY_LIMITS)
    if refusal is not None:
        raise refusal
    if len(items) != 1:
        raise UnreadableError(f"{where}: {len(items)} entries where one is expected")
    try:
        entry: Entry = _decode(blob)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{where}: not an entry of a journal: {error}") from error
    return entry


def _check_file(path: Path) -> None:
    """What can be said before SQLite looks at it: is it there, is it one, is all of it there."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        raise IncompleteError(f"{path}: the journal cannot be opened: {error.strerror}") from error
    if size > JOURNAL_BYTES_MAX:
        raise UnreadableError(
            f"{path}: has {size} bytes, a journal has at most {JOURNAL_BYTES_MAX}"
        )
    if not header.startswith(MAGIC[: len(header)]):
        raise UnreadableError(f"{path}: not a journal (no SQLite file)")
    if len(header) < HEADER_BYTES:
        raise IncompleteError(f"{path}: ends at byte {size}, in its header")

    page = int.from_bytes(header[PAGE_SIZE_AT]) or 1
    whole = int.from_bytes(header[PAGES_AT]) * (page if page > 1 else 1 << 16)
    if size < whole:
        raise IncompleteError(f"{path}: ends at byte {size} of {whole}")


def _check_schema(db: sqlite3.Connection, path: Path) -> None:
    if db.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise UnreadableError(f"{path}: not a journal (another program's SQLite file)")
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version != JOURNAL_FORMAT:
        raise UnreadableError(
            f"{path}: a journal of format {version}; this program reads {JOURNAL_FORMAT}"
        )
    tables = [row[0] for row in db.execute("SELECT sql FROM sqlite_master ORDER BY name")]
    if tables != sorted(SCHEMA):
        raise UnreadableError(f"{path}: not a journal (its tables are others)")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    _check_file(path)
    with _reading(path):
        # Without a WAL beside it the file is all there is, also on a disk that may not be written.
        wal = path.with_name(path.name + "-wal").exists()
        uri = f"{path.resolve().as_uri()}?mode=ro{'' if wal else '&immutable=1'}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, ENTRY_BYTES_MAX)
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            yield db


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise UnreadableError(f"{path}: the journal is damaged: {error}") from error
