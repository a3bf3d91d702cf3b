"""Messages as bytes: msgpack frames, one or many, and how bytes from outside are read (§1.3).

A frame is one array: `[format, epoch, source, destination, sequence, acknowledged, id, cause,
body]`.  What comes from outside is first read by `msgpack`'s bounded unpacker, which refuses an
announced length before it makes room for it; then depth is looked at; only then `msgspec` gives the
bytes their types.  Each refusal is one sentence, and what stands before it is kept.
"""

from collections.abc import Iterable
from typing import Annotated, Final

import msgpack
import msgspec
from msgspec import Meta, Struct

from protocol.errors import UnreadableError
from protocol.messages import AnyMessage
from protocol.names import Name

WIRE_FORMAT: Final = 1
FRAME_BYTES_MAX: Final = 1 << 20
BATCH_BYTES_MAX: Final = 16 << 20
TEXT_MAX: Final = 1024
ITEMS_MAX: Final = 4096
DEPTH_MAX: Final = 8
"""A frame, its body, the requests of a `ReadPrqGot`, one of them: four are needed."""

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Host = Annotated[Name, Meta(min_length=1, max_length=64)]


class Frame(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one host tells another: a message and where it stands on its link.

    `sequence` numbers the frames of a link from 1, `acknowledged` is the last one taken from the
    link in the other direction.  `id` is (n, k): the k-th effect of input n of `source`.  `cause`
    is (sender, n, k) of the message that `source` was handling, ("", 0, 0) if it was the world's.
    A frame without a body only acknowledges.
    """

    format: int
    epoch: Count
    source: Host
    destination: Host
    sequence: Count
    acknowledged: Count
    id: tuple[Count, Count]
    cause: tuple[Annotated[Name, Meta(max_length=64)], Count, Count]
    body: AnyMessage | None


class _Format(Struct, frozen=True, array_like=True):
    """What a frame of any format begins with."""

    format: int


class Limits(Struct, frozen=True):
    """How much of each is read: bytes in all, bytes of a text and of a binary, items, depth."""

    size: int = FRAME_BYTES_MAX
    text: int = TEXT_MAX
    binary: int = 0
    items: int = ITEMS_MAX
    depth: int = DEPTH_MAX


CONTAINERS: Final = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""How lists and maps begin in msgpack."""
FRAME_LIMITS: Final = Limits()
BATCH_LIMITS: Final = Limits(size=BATCH_BYTES_MAX)

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Frame).decode
_decode_format: Final = msgspec.msgpack.Decoder(_Format).decode


def encode(frame: Frame) -> bytes:
    """One frame as bytes."""
    return _encode(frame)


def encode_batch(frames: Iterable[Frame]) -> bytes:
    """Several frames, one behind the other."""
    return b"".join([_encode(frame) for frame in frames])


def decode(data: bytes, where: str = "frame") -> Frame:
    """The frame that is `data`, all of it."""
    items, refusal = split(data, where, FRAME_LIMITS)
    if refusal is not None:
        raise refusal
    if len(items) != 1:
        raise UnreadableError(f"{where}: {len(items)} frames where one is expected")
    return _typed(items[0], where)


def decode_batch(data: bytes, where: str = "batch") -> tuple[list[Frame], list[UnreadableError]]:
    """The frames that can be read, in order, and why others cannot."""
    items, refusal = split(data, where, BATCH_LIMITS)
    frames: list[Frame] = []
    refusals: list[UnreadableError] = []
    for number, item in enumerate(items, start=1):
        try:
            frames.append(_typed(item, f"{where}: frame {number}"))
        except UnreadableError as error:
            refusals.append(error)
    if refusal is not None:
        refusals.append(refusal)
    return frames, refusals


def split(
    data: bytes, where: str, limits: Limits = FRAME_LIMITS
) -> tuple[list[bytes], UnreadableError | None]:
    """The msgpack items of `data`, still as bytes, up to the first that cannot be read, and why.

    Nothing is built that `limits` does not allow.  For whatever comes from outside: frames, and
    journals whose entries have types of their own.
    """
    if len(data) > limits.size:
        return [], UnreadableError(f"{where}: {len(data)} bytes, at most {limits.size} are read")
    unpacker = msgpack.Unpacker(
        max_buffer_size=max(limits.size, 1),
        max_str_len=limits.text,
        max_bin_len=limits.binary,
        max_array_len=limits.items,
        max_map_len=limits.items,
        max_ext_len=0,
        strict_map_key=False,
    )
    unpacker.feed(data)
    items: list[bytes] = []
    begin, size = 0, len(data)
    while begin < size:
        try:
            value = unpacker.unpack()
        # A key of a map that is itself a list or a map is a TypeError.
        except (ValueError, TypeError, msgpack.UnpackException) as error:
            return items, UnreadableError(f"{where}: at byte {begin}: {_why(error)}")
        end = unpacker.tell()
        item = data[begin:end]
        if _containers_at_most(item) > limits.depth and _deeper_than(limits.depth, value):
            return items, UnreadableError(
                f"{where}: at byte {begin}: nested deeper than {limits.depth}"
            )
        items.append(item)
        begin = end
    return items, None


def _typed(item: bytes, where: str) -> Frame:
    """The format first: a frame of another format may have another form."""
    try:
        written = _decode_format(item).format
        if written == WIRE_FORMAT:
            return _decode(item)
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{where}: not a frame: {error}") from error
    raise UnreadableError(f"{where}: wire format {written}, this version reads {WIRE_FORMAT}")


def _containers_at_most(item: bytes) -> int:
    """Each list or map begins with a byte that says so, which others may look like."""
    return len(item) - len(item.translate(None, CONTAINERS))


def _deeper_than(depth: int, value: object) -> bool:
    """Level by level, without recursion: what is nested is from outside."""
    level = [value]
    for _ in range(depth + 1):
        below: list[object] = []
        for one in level:
            if isinstance(one, list):
                below.extend(one)
            elif isinstance(one, dict):
                below.extend(one)
                below.extend(one.values())
        if not below:
            return False
        level = below
    return True


def _why(error: Exception) -> str:
    match error:
        case msgpack.OutOfData():
            return "it ends in the middle"
        case msgpack.StackError():
            return f"nested deeper than {DEPTH_MAX}"
        case msgpack.FormatError():
            return "not msgpack"
        case UnicodeDecodeError():
            return "a text is not UTF-8"
        case TypeError():
            return "a key is not a plain value"
        case _:
            return f"too large: {error}"
