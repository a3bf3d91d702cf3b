"""The journal of a host on a Redis server, for nodes that share no disk.

Two keys and a snapshot per host, named after the run: a hash with the head, a list of rows.  What
may be written is decided on the server, in one script, so that nothing slips in between: the epoch
and the head must be those that the writer knows.  A script that was run and whose answer was lost
may be sent again; the second time it finds its own head there and does nothing.

An address is `redis://host:port/database#run`, with user and password if the server wants them.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit, urlunsplit

from clusters.live.journal import (
    JOURNAL_FORMAT,
    SNAPSHOT_BYTES_MAX,
    TAIL_BYTES,
    Began,
    Entry,
    Head,
    Sealed,
    Snapshot,
    SqliteJournal,
    chained,
    checked_head,
    fenced,
    first_tail,
)
from clusters.live.mark import mark_path
from clusters.live.reading import entry_of, rows_of
from protocol.errors import ClusterError, ExperimentError, IncompleteError, UnreadableError
from protocol.names import Name

if TYPE_CHECKING:
    from redis import Redis

SCHEMES: Final = ("redis", "rediss")
SECONDS: Final = 10.0
"""A server that says nothing for so long is gone."""
RETRIES: Final = 3
PAGE_ROWS: Final = 1_000
NUMBER_DIGITS: Final = 19
ROWS_MAX: Final = 100_000_000

WRITE: Final = """
-- head, log; epoch, count, new head (epoch, count, tail, sum), rows
local head = redis.call('HMGET', KEYS[1], 'epoch', 'count', 'tail')
if not head[1] then return 'gone' end
if head[1] == ARGV[3] and head[2] == ARGV[4] and head[3] == ARGV[5] then return 'done' end
if head[1] ~= ARGV[1] then return 'fenced' end
if head[2] ~= ARGV[2] or redis.call('LLEN', KEYS[2]) ~= tonumber(head[2]) then return 'other' end
for k = 7, #ARGV do redis.call('RPUSH', KEYS[2], ARGV[k]) end
redis.call('HSET', KEYS[1], 'epoch', ARGV[3], 'count', ARGV[4], 'tail', ARGV[5], 'sum', ARGV[6])
return 'done'
"""
ASK: Final = """
-- head, log: both at one moment; a transaction would not be heard by a server that is full
return {redis.call('HGETALL', KEYS[1]), redis.call('LLEN', KEYS[2])}
"""
SAVE: Final = """
-- head, snapshot; epoch, row, tail, state, sum
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch then return 'gone' end
if epoch ~= ARGV[1] then return 'fenced' end
redis.call('HSET', KEYS[2], 'row', ARGV[2], 'tail', ARGV[3], 'state', ARGV[4], 'sum', ARGV[5])
return 'done'
"""
MAKE: Final = """
-- head; host, format, tail, sum
if redis.call('EXISTS', KEYS[1]) == 1 then return 'there' end
redis.call('HSET', KEYS[1], 'host', ARGV[1], 'format', ARGV[2], 'epoch', '0', 'count', '0',
    'tail', ARGV[3], 'sum', ARGV[4])
return 'done'
"""


def is_address(said: str) -> bool:
    """Whether a journal is said to be on a server."""
    return said.partition("://")[0] in SCHEMES and "://" in said


class RedisJournal:
    """The journal of one host on a server, which `make` has made."""

    def __init__(self, address: str, host: Name, durability: str = "process") -> None:
        """Ask for it: what is not there, or of another format, is refused."""
        self.host = host
        self.epoch = 0
        self.where = f"{hidden(address)} {host}"
        run = urlsplit(address).fragment
        self._head_key, self._log_key, self._snapshot_key = (
            f"pasidlab:{{{run}/{host}}}:{what}" for what in ("head", "log", "snapshot")
        )
        self._redis = connect(address)
        with talking(self.where):
            require(self._redis, durability, self.where)
            self._write = self._redis.register_script(WRITE)
            self._save = self._redis.register_script(SAVE)
        self._head, _ = self._ask()

    @classmethod
    def make(cls, address: str, host: Name, durability: str = "process") -> None:
        """An empty journal; one that is there already is not touched."""
        run = urlsplit(address).fragment
        if not run:
            raise ExperimentError(f"{hidden(address)}: wants the name of a run behind a '#'")
        head = Head.of(host, 0, 0, first_tail(host))
        key, where = f"pasidlab:{{{run}/{host}}}:head", f"{hidden(address)} {host}"
        redis = connect(address)
        with talking(where):
            require(redis, durability, where)
            said: list[str | bytes] = [host, str(JOURNAL_FORMAT), head.tail, head.sum]
            answer = redis.register_script(MAKE)(keys=[key], args=said)
            redis.close()
        if answer != b"done":
            raise ClusterError(f"{where}: there is a journal already")

    def begin(self, pid: int) -> int:
        """Raise the epoch, if all that recovery will read is as it was written."""
        for _ in self._verified(self.snapshot()):
            pass
        while True:
            head, _ = self._ask()
            began = Began(head.epoch + 1, head.count, pid, time.time_ns())
            if self._put(head, [began], began.epoch) == "done":
                self.epoch = began.epoch
                return self.epoch

    def snapshot(self) -> Snapshot | None:
        """The newest, if it fits the rows."""
        keys = ("row", "tail", "state", "sum")
        with talking(self.where):
            said = cast("list[bytes | None]", self._redis.hmget(self._snapshot_key, keys))
        row, tail, state, its_sum = (one or b"" for one in said)
        if not row.isdigit() or not 0 < int(row) <= ROWS_MAX:
            return None
        with talking(self.where):
            found = cast("bytes | None", self._redis.lindex(self._log_key, int(row) - 1))
        snapshot = Snapshot(int(row), tail, state)
        fits = found is not None and found[:TAIL_BYTES] == tail
        return snapshot if fits and snapshot.sum == its_sum else None

    def read(self, after: Snapshot | None = None) -> Iterator[Entry]:
        """All entries, checked row by row."""
        for row, blob in self._verified(after):
            yield entry_of(blob, f"{self.where}: row {row}")

    def append(self, entries: Sequence[Entry]) -> None:
        """One script: the epoch is looked at inside it."""
        answer = self._put(self._head, entries, self.epoch)
        if answer == "done":
            return
        head, _ = self._ask()
        if head.epoch != self.epoch:
            raise fenced(self.where, head, self.epoch)
        raise UnreadableError(f"{self.where}: has {head.count} rows, of which this host knows not")

    def save(self, state: bytes) -> None:
        """The state behind the last row, in place of the one before."""
        if len(state) > SNAPSHOT_BYTES_MAX:
            raise ClusterError(
                f"{self.where}: a snapshot of {len(state)} bytes, at most {SNAPSHOT_BYTES_MAX}"
            )
        new = Snapshot(self._head.count, self._head.tail, state)
        keys = [self._head_key, self._snapshot_key]
        said: list[str | bytes] = [str(self.epoch), str(new.row), new.tail, new.state, new.sum]
        with talking(self.where):
            answer = self._save(keys=keys, args=said)
        if answer != b"done":
            raise fenced(self.where, self._ask()[0], self.epoch)

    def seal(self, actor: Name) -> None:
        """The actor is lost.  Raises the epoch as well: who runs it now can append no more."""
        while True:
            head, _ = self._ask()
            sealed = Sealed(actor, head.epoch + 1, time.time_ns())
            if self._put(head, [sealed], sealed.epoch) == "done":
                return

    def keep(self, path: Path) -> None:
        """Make the file of it that it would have been on a shared disk, then drop it here."""
        head, _ = self._ask()
        SqliteJournal.make(path, self.host)
        file = SqliteJournal(path, self.host)
        try:
            file.copy(head.epoch, self._verified(None))
            file.keep()
        except BaseException:
            file.close()
            for part in (path, mark_path(path)):  # They would pass for a journal that is empty.
                part.unlink(missing_ok=True)
            raise
        with talking(self.where):
            self._redis.delete(self._head_key, self._log_key, self._snapshot_key)
        self.close()

    def close(self) -> None:
        """Let go of the server."""
        self._redis.close()

    def _ask(self) -> tuple[Head, int]:
        """What the journal says of itself, and how many rows there are, at one moment."""
        with talking(self.where):
            answer = self._redis.register_script(ASK)(keys=[self._head_key, self._log_key])
        said, rows = cast("tuple[list[bytes], int]", answer)
        if not said:
            raise IncompleteError(f"{self.where}: there is no such journal (never made, or lost)")
        pairs = zip(said[::2], said[1::2], strict=True)
        fields = {key.decode("latin-1"): value for key, value in pairs}
        version = fields.pop("format", b"").decode("latin-1")
        if version != str(JOURNAL_FORMAT):
            raise UnreadableError(
                f"{self.where}: a journal of format {version}; this program reads {JOURNAL_FORMAT}"
            )
        head = checked_head({key: _typed(key, one) for key, one in fields.items()}, self.where)
        if head.host != self.host:
            raise UnreadableError(f"{self.where}: the journal of host '{head.host}'")
        if rows < head.count:
            raise IncompleteError(f"{self.where}: ends at row {rows} of {head.count}")
        if rows > head.count:
            raise UnreadableError(
                f"{self.where}: its {rows} rows are not those its head was written for"
            )
        return head, rows

    def _verified(self, after: Snapshot | None) -> Iterator[tuple[int, bytes]]:
        head, _ = self._ask()
        return rows_of(self.where, head, after, self._rows(head, after))

    def _rows(self, head: Head, after: Snapshot | None) -> Iterator[tuple[int, bytes, bytes]]:
        """As many as the head says, page by page; what is appended meanwhile is not seen."""
        at = after.row if after else 0
        while at < head.count:
            last = min(at + PAGE_ROWS, head.count) - 1
            with talking(self.where):
                page = cast("list[bytes]", self._redis.lrange(self._log_key, at, last))
            if not page:
                return
            for row, data in enumerate(page, start=at + 1):
                yield row, data[TAIL_BYTES:], data[:TAIL_BYTES]
            at += len(page)

    def _put(self, old: Head, entries: Sequence[Entry], epoch: int) -> str:
        new, rows = chained(old, entries, epoch)
        said: list[str | bytes] = [str(old.epoch), str(old.count)]
        said += [str(new.epoch), str(new.count), new.tail, new.sum]
        said += [tail + blob for _, blob, tail in rows]
        with talking(self.where):
            answer = cast("bytes", self._write(keys=[self._head_key, self._log_key], args=said))
        if answer == b"done":
            self._head = new
        return answer.decode()


def _typed(key: str, value: bytes) -> object:
    """A field of a head; numbers are text there."""
    if key in {"epoch", "count"}:
        return int(value) if value.isdigit() and len(value) < NUMBER_DIGITS else value
    return value.decode("utf-8", "replace") if key == "host" else value


def hidden(address: str) -> str:
    """The address as it may be said: without user, password and run."""
    parts = urlsplit(address)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def connect(address: str) -> "Redis":
    """The server; a call that fails is tried again, for a script may be run twice."""
    try:
        from redis import Redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ExperimentError(
            f"{hidden(address)}: the package 'redis' is not installed (pip install pasidlab[live])"
        ) from error
    url = urlunsplit(urlsplit(address)._replace(fragment=""))
    try:
        return Redis.from_url(
            url,
            socket_timeout=SECONDS,
            socket_connect_timeout=SECONDS,
            retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
        )
    except ValueError as error:
        raise ExperimentError(f"{hidden(address)}: not a server's address: {error}") from error


def require(redis: "Redis", durability: str, where: str) -> None:
    """`power` is the server's affair: it has to sync its log before it answers."""
    if durability != "power":
        return
    said = cast("dict[str, str]", redis.config_get("append*"))
    if (said.get("appendonly"), said.get("appendfsync")) != ("yes", "always"):
        raise ExperimentError(
            f"{where}: durability 'power' wants a server with appendonly yes and appendfsync always"
        )


@contextmanager
def talking(where: str) -> Iterator[None]:
    """A server that is gone, full or of another mind is the cluster's failure."""
    from redis.exceptions import RedisError

    try:
        yield
    except RedisError as error:
        raise ClusterError(f"{where}: the journal's server fails: {error}") from error
