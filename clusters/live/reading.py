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
    SNAPSHOT_BYTES_MAX,
    Entry,
    Head,
    Snapshot,
    chain,
    first_tail,
    read_head,
)
from clusters.live.mark import Mark, read_mark
from protocol.errors import IncompleteError, UnreadableError
from protocol.names import Name
from protocol.wire import Limits, split

MAGIC: Final = b"SQLite format 3\0"
PAGES_AT: Final = slice(28, 32)
PAGE_SIZE_AT: Final = slice(16, 18)
HEADER_BYTES: Final = 100
ENTRY_LIMITS: Final = Limits(size=ENTRY_BYTES_MAX, binary=64)

_decode: Final = msgspec.msgpack.Decoder(Entry).decode


Rows = Iterator[tuple[int, bytes, bytes]]


def read_journal(path: Path) -> Iterator[Entry]:
    """Every entry of a journal that nobody writes any more."""
    mark = read_mark_of(path)
    with _opened(path) as db:
        yield from entries_of(db, path, mark=mark)


class Summary(Struct, frozen=True):
    """What a journal says of itself, before its rows are looked at."""

    host: Name
    epoch: int
    count: int
    tail: bytes

    @property
    def inputs(self) -> int:
        """Every row that is no input raised the epoch by one."""
        return self.count - self.epoch


def summary(path: Path) -> Summary:
    """Its newest epoch, how many rows it should have, and the checksum behind the last of them."""
    mark = read_mark_of(path)
    with _opened(path) as db:
        head = checked(db, path, mark)
        return Summary(head.host, head.epoch, head.count, head.tail)


def verify(path: Path) -> Head:
    """All that a recovery reads is as it was written; nothing is changed to find that out."""
    mark = read_mark_of(path)
    with _opened(path) as db, _reading(path), _view(db):
        head = checked(db, path, mark)
        after = snapshot_of(db)
        for _ in rows_of(path, head, after, _rows(db, after)):
            pass
        return head


def read_mark_of(path: Path) -> Mark:
    """The mark, read before the journal: so it can be behind it, and never is ahead."""
    _check_file(path)
    return read_mark(path)


def entries_of(
    db: sqlite3.Connection, path: Path, after: Snapshot | None = None, mark: Mark | None = None
) -> Iterator[Entry]:
    """Every entry behind a connection, or those behind a snapshot, in one consistent view."""
    with _reading(path), _view(db):
        head = checked(db, path, mark)
        for row, blob in rows_of(path, head, after, _rows(db, after)):
            yield entry_of(blob, f"{path}: row {row}")


def checked(db: sqlite3.Connection, path: Path, mark: Mark | None) -> Head:
    """The head, if this is a journal, of the host that its name says, and as long as it was."""
    _check_schema(db, path)
    head = read_head(db, path)
    if head.host != path.stem:
        raise UnreadableError(f"{path}: the journal of host '{head.host}', not of '{path.stem}'")
    if mark is None:
        return head
    if mark.host != head.host:
        raise UnreadableError(f"{path}: the mark beside it is that of host '{mark.host}'")
    if mark.epoch > head.epoch or mark.count > head.count:
        raise IncompleteError(f"{path}: ends at row {head.count} of {mark.count}")
    found = db.execute("SELECT tail FROM log WHERE row = ?", (mark.count,)).fetchone()
    if mark.count and found is None:
        raise IncompleteError(f"{path}: row {mark.count} of {head.count} is missing")
    if (found[0] if found else first_tail(head.host)) != mark.tail:
        raise UnreadableError(f"{path}: row {mark.count} is another than the mark was written for")
    return head


def snapshot_of(db: sqlite3.Connection) -> Snapshot | None:
    """The snapshot, if it is as it was written and stands behind a row of this journal."""
    try:
        query = "SELECT row, tail, state, sum FROM snapshot"
        row, tail, state, its_sum = db.execute(query).fetchone() or (0, b"", b"", b"")
        found = db.execute("SELECT tail FROM log WHERE row = ?", (row,)).fetchone()
        snapshot = msgspec.convert({"row": row, "tail": tail, "state": state}, Snapshot)
    except (sqlite3.Error, msgspec.ValidationError):
        return None
    return snapshot if found == (tail,) and snapshot.sum == its_sum else None


def _rows(db: sqlite3.Connection, after: Snapshot | None) -> Rows:
    query = "SELECT row, entry, tail FROM log WHERE row > ? ORDER BY row"
    return db.execute(query, (after.row if after else 0,))


def rows_of(
    where: object, head: Head, after: Snapshot | None, rows: Rows
) -> Iterator[tuple[int, bytes]]:
    """Each row's number and entry, when its checksum is right; in the end, whether all were there.

    What is in front of a snapshot is not looked at: only a re-execution reads that.
    """
    tail, count = (after.tail, after.row) if after else (first_tail(head.host), 0)
    for row, blob, said in rows:
        count += 1
        if row != count:
            raise IncompleteError(f"{where}: row {count} is missing; row {row} comes next")
        if not isinstance(blob, bytes) or not isinstance(said, bytes):
            raise UnreadableError(f"{where}: row {row} of {head.count} is not bytes")
        tail = chain(tail, blob)
        if tail != said:
            raise UnreadableError(
                f"{where}: row {row} of {head.count} does not match its checksum:"
                " it, or one before it, was changed after it was written"
            )
        yield row, blob
    if count < head.count:
        raise IncompleteError(f"{where}: ends at row {count} of {head.count}")
    if count > head.count or tail != head.tail:
        raise UnreadableError(f"{where}: its {count} rows are not those its head was written for")


def entry_of(blob: bytes, where: str) -> Entry:
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

    if _wal(path).exists():
        return  # It may hold what is not in the file yet: a kill can come while it is folded in.
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


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    _check_file(path)
    with _reading(path):
        # Without a WAL beside it the file is all there is, also on a disk that may not be written.
        alone = "" if _wal(path).exists() else "&immutable=1"
        uri = f"{path.resolve().as_uri()}?mode=ro{alone}"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as db:
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, SNAPSHOT_BYTES_MAX + ENTRY_BYTES_MAX)
            db.execute("PRAGMA trusted_schema = OFF")
            db.execute("PRAGMA cell_size_check = ON")
            yield db


@contextmanager
def _view(db: sqlite3.Connection) -> Iterator[None]:
    """What others write meanwhile is not seen."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnreadableError(f"{path}: the journal is damaged: {error}") from error
