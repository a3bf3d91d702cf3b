"""What the supervisor of a live run said and saw: the part of a history that no host can journal.

One JSON object per line, numbered without gaps, with a checksum over itself and all lines before
it; a host's journal says the rest.  The last lines say how each journal and each actor ended, so
that a journal that lost its end is noticed.
"""

import os
from collections.abc import Iterator
from hashlib import blake2b
from io import BufferedReader
from pathlib import Path
from time import time_ns
from typing import Final

import msgspec
from msgspec import Struct

from clusters.live.mark import sync_folders
from protocol.errors import ClusterError, IncompleteError, UnreadableError
from protocol.facts import Fact
from protocol.messages import AnyMessage
from protocol.names import Name

LINE_BYTES_MAX: Final = 1 << 20
LINES_MAX: Final = 10_000_000
CHRONICLE_FORMAT: Final = 2
"""1 had no checksums."""
SUM_BYTES: Final = 16
SUM_AT: Final = b',"sum":"'
"""What follows is the checksum, and the end of the line."""


class Line(Struct, frozen=True, kw_only=True, tag_field="line", tag=True):
    """`serial` numbers the lines; it is the supervisor's `n` in the history, too."""

    serial: int
    ts_ns: int


class Told(Line, frozen=True, kw_only=True, tag="told"):
    """The supervisor sent a message: number `sequence` of its link to that actor."""

    to: Name
    sequence: int
    message: AnyMessage


class Stated(Line, frozen=True, kw_only=True, tag="stated", omit_defaults=True):
    """The world's fact.

    If it is about an actor, `of` says which; if the actor's host died, `host` and `epoch` which
    incarnation of it.
    """

    fact: Fact
    of: Name = ""
    host: Name = ""
    epoch: int = 0


class Kept(Line, frozen=True, kw_only=True, tag="kept"):
    """A host's journal as it was collected: so many rows, with this checksum behind the last."""

    host: Name
    count: int
    tail: str


class Ended(Line, frozen=True, kw_only=True, tag="final"):
    """An actor's last input and the hash of its state behind it."""

    actor: Name
    n: int
    hash: str


AnyLine = Told | Stated | Kept | Ended

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(AnyLine).decode


class Chronicle:
    """Written line by line, as things happen: before anything is done about them.

    A line outlives the death of this process; with `durability = "power"` that of the machine, too.
    """

    def __init__(self, path: Path, durability: str = "process") -> None:
        self.path = path
        self.serial = 0
        self.durable = durability == "power"
        self._sum = first_sum()
        path.touch(exist_ok=False)
        if self.durable:
            sync_folders(path)

    def told(self, to: Name, sequence: int, message: AnyMessage) -> int:
        """The supervisor is about to send; the serial."""
        serial, ts_ns = self._next()
        self._write(Told(serial=serial, ts_ns=ts_ns, to=to, sequence=sequence, message=message))
        return serial

    def stated(self, fact: Fact, of: Name = "", host: Name = "", epoch: int = 0) -> None:
        """Something was seen to have happened."""
        serial, ts_ns = self._next()
        line = Stated(serial=serial, ts_ns=ts_ns, fact=fact, of=of, host=host, epoch=epoch)
        self._write(line)

    def kept(self, host: Name, count: int, tail: bytes) -> None:
        """A journal was collected."""
        serial, ts_ns = self._next()
        self._write(Kept(serial=serial, ts_ns=ts_ns, host=host, count=count, tail=tail.hex()))

    def final(self, actor: Name, n: int, state_hash: bytes) -> None:
        """An actor has had its last input."""
        serial, ts_ns = self._next()
        self._write(Ended(serial=serial, ts_ns=ts_ns, actor=actor, n=n, hash=state_hash.hex()))

    def _next(self) -> tuple[int, int]:
        self.serial += 1
        return self.serial, time_ns()

    def _write(self, line: AnyLine) -> None:
        self._sum, data = sealed_line(self._sum, _encode(line))
        try:
            with self.path.open("ab", buffering=0) as file:
                self._put(file.fileno(), data)
        except OSError as error:
            raise ClusterError(
                f"{self.path}: the run's chronicle cannot be written: {error.strerror}"
            ) from error

    def _put(self, fd: int, data: bytes) -> None:
        """The whole line or nothing of it: what was written before stays readable."""
        size = os.fstat(fd).st_size
        try:
            written = os.write(fd, data)
            while written < len(data):  # The rest has no room; to ask for it says why.
                written += os.write(fd, data[written:])
            if self.durable:
                os.fdatasync(fd)
        except OSError:
            os.ftruncate(fd, size)
            raise


def first_sum() -> str:
    """What the first line's checksum stands on."""
    return _hash(f"pasidlab chronicle {CHRONICLE_FORMAT}".encode())


def sealed_line(before: str, line: bytes) -> tuple[str, bytes]:
    """A line's checksum, and the line with it."""
    its_sum = _hash(before.encode() + line)
    return its_sum, b"".join((line[:-1], SUM_AT, its_sum.encode(), b'"}\n'))


def _hash(data: bytes) -> str:
    return blake2b(data, digest_size=SUM_BYTES).hexdigest()


def read_chronicle(path: Path) -> Iterator[AnyLine]:
    """Every line, typed; what is torn or missing is said, with its place."""
    try:
        file = path.open("rb")
    except OSError as error:
        raise IncompleteError(f"{path}: cannot be opened: {error.strerror}") from error
    with file:
        its_sum = first_sum()
        for number, whole in enumerate(_lines(file, path), start=1):
            where = f"{path}:{number}"
            if number > LINES_MAX:
                raise UnreadableError(f"{where}: at most {LINES_MAX} lines are read")
            data, its_sum = _vouched(whole, its_sum, where)
            try:
                line = _decode(data)
            except (msgspec.DecodeError, RecursionError) as error:
                raise UnreadableError(
                    f"{where}: not a line of a run's chronicle: {error}"
                ) from error
            if line.serial != number:
                raise IncompleteError(f"{where}: line {number} is missing; {line.serial} is there")
            yield line


def _vouched(whole: bytes, before: str, where: str) -> tuple[bytes, str]:
    """The line without its checksum, and the checksum."""
    line, at, _ = whole.rpartition(SUM_AT)
    if not at:
        raise UnreadableError(
            f"{where}: no checksum: not a line of a chronicle of format {CHRONICLE_FORMAT}"
        )
    line += b"}"
    its_sum, again = sealed_line(before, line)
    if again != whole:
        raise UnreadableError(
            f"{where}: does not match its checksum: it, or a line before it, was changed"
        )
    return line, its_sum


def _lines(file: BufferedReader, path: Path) -> Iterator[bytes]:
    while data := file.readline(LINE_BYTES_MAX + 1):
        if len(data) > LINE_BYTES_MAX:
            raise UnreadableError(f"{path}: a line has more than {LINE_BYTES_MAX} bytes")
        if not data.endswith(b"\n"):
            raise IncompleteError(f"{path}: ends in the middle of a line")
        yield data
