"""The mark beside a journal: how far it had come, said outside of it.

A file that lost its end, or a WAL that did, looks like a shorter journal and nothing else: SQLite
reads on up to the first damaged frame and says nothing.  So after each append the writer says in
another file how many rows there are and what the checksum behind the last is.  A mark may be behind
its journal (a process was killed in between), a journal never behind its mark.
"""

import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final

from msgspec import Struct

from protocol.errors import ClusterError, IncompleteError, UnreadableError
from protocol.names import Name

MARK_FORMAT: Final = "pasidlab-mark-1"
MARK_BYTES: Final = 256
"""Within one sector: a power loss leaves the old mark or the new one."""
SUM_BYTES: Final = 16
LOOKS: Final = 3
"""A mark that is just being written may look damaged; one that is damaged looks so each time."""


class Mark(Struct, frozen=True):
    """Of host `host`: its newest epoch, how many rows it has, the checksum behind the last."""

    host: Name
    epoch: int
    count: int
    tail: bytes


def mark_path(journal: Path) -> Path:
    """Where the mark of a journal is."""
    return journal.with_suffix(".mark")


class MarkFile:
    """The mark as its writer holds it."""

    def __init__(self, journal: Path, *, durable: bool = False, new: bool = False) -> None:
        """`new`: make it; else it must be there.  `durable`: `set` outlives a power loss."""
        self.path = mark_path(journal)
        self.durable = durable
        flags = os.O_WRONLY | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if new else 0)
        try:
            self._fd = os.open(self.path, flags, 0o644)
        except FileNotFoundError as error:
            raise IncompleteError(f"{journal}: the mark beside it is missing") from error
        except OSError as error:
            raise ClusterError(f"{self.path}: cannot be written: {error.strerror}") from error

    def set(self, mark: Mark) -> None:
        """The journal has come so far."""
        said = f"{MARK_FORMAT} {mark.host} {mark.epoch} {mark.count} {mark.tail.hex()}"
        line = f"{said} {_sum(said)}".ljust(MARK_BYTES - 1) + "\n"
        try:
            os.pwrite(self._fd, line.encode(), 0)
            if self.durable:
                os.fdatasync(self._fd)
        except OSError as error:
            raise ClusterError(f"{self.path}: cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of it."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def read_mark(journal: Path) -> Mark:
    """What the mark says; one that is damaged vouches for nothing."""
    for _ in range(LOOKS - 1):
        with suppress(UnreadableError):
            return _read(journal, mark_path(journal))
    return _read(journal, mark_path(journal))


def _read(journal: Path, path: Path) -> Mark:
    try:
        with path.open("rb") as file:
            data = file.read(MARK_BYTES + 1)
    except FileNotFoundError as error:
        raise IncompleteError(f"{journal}: the mark beside it is missing") from error
    except OSError as error:
        raise IncompleteError(f"{path}: cannot be opened: {error.strerror}") from error
    if len(data) < MARK_BYTES:
        raise IncompleteError(f"{path}: ends at byte {len(data)} of {MARK_BYTES}")
    said, _, its_sum = data[:-1].decode("latin-1").rstrip(" ").rpartition(" ")
    words = said.split(" ")
    if words[0] != MARK_FORMAT:
        raise UnreadableError(f"{path}: not a mark of this format ({MARK_FORMAT})")
    if len(data) > MARK_BYTES or data[-1:] != b"\n" or its_sum != _sum(said):
        raise UnreadableError(f"{path}: the mark does not match its checksum")
    try:
        _, host, epoch, count, tail = words
        return Mark(host, int(epoch), int(count), bytes.fromhex(tail))
    except ValueError as error:
        raise UnreadableError(f"{path}: not a mark of a journal") from error


def sync_folders(path: Path, up: int = 3) -> None:
    """The names on the way to a new file outlive a power loss, too: `up` folders of them."""
    for folder in list(path.resolve().parents)[:up]:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _sum(said: str) -> str:
    return blake2b(said.encode(), digest_size=SUM_BYTES).hexdigest()
