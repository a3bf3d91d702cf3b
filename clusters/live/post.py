"""What links of a host are called, and the way that leads from it to others."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Protocol

from clusters.live.seal import Seal
from protocol.errors import UnreadableError
from protocol.names import Name
from protocol.wire import Frame, decode_batch

BATCH_BYTES: Final = 64 << 10
"""Ray carries arguments below 100 kB in the call itself."""

NO_CAUSE: Final[tuple[Name, int, int]] = ("", 0, 0)


class LinkName(NamedTuple):
    """From one actor to another."""

    source: Name
    destination: Name


class Post(Protocol):
    """The way to other hosts: calls that are not waited for, and may be lost."""

    def frames(self, host: Name, data: bytes) -> None:
        """Messages and acknowledgements."""

    def hello(self, host: Name, data: bytes, *, asks: bool) -> None:
        """All that was received from `host`; it goes on from there, and tells the same if asked."""

    def again(self) -> None:
        """One more turn of this host, behind what others have sent it."""


def cut(frames: Iterable[bytes]) -> Iterator[bytes]:
    """Frames as batches that travel well."""
    batch: list[bytes] = []
    size = 0
    for frame in frames:
        if batch and size + len(frame) > BATCH_BYTES:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(frame)
        size += len(frame)
    if batch:
        yield b"".join(batch)


def opened(seal: Seal, batch: bytes, where: str) -> tuple[list[Frame], list[UnreadableError]]:
    """The frames of a sealed batch that can be read, and why others cannot be."""
    try:
        return decode_batch(seal.open(batch, where), where)
    except UnreadableError as error:
        return [], [error]
