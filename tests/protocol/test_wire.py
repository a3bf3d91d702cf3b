"""Frames: bytes that stay the same for ever, and bytes from outside that are refused."""

import json
from contextlib import suppress
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Final, get_args, get_type_hints

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import UnreadableError
from protocol.messages import (
    AnyMessage,
    Done,
    NotifyAlloc,
    NotifyBind,
    NotifyFree,
    NotifyUnbind,
    PageRequest,
    ReadPrqGot,
)
from protocol.messages.amnesia import HeldReference
from protocol.messages.guests import PageFault
from protocol.wire import (
    DEPTH_MAX,
    FRAME_BYTES_MAX,
    FRAME_LIMITS,
    ITEMS_MAX,
    TEXT_MAX,
    WIRE_FORMAT,
    Frame,
    Limits,
    decode,
    decode_batch,
    encode,
    encode_batch,
    split,
)

PINNED: Final = Path(__file__).with_name("wire_bytes.json")
"""Bytes of every message type; for a new message run `python -m tests.protocol.test_wire`."""


def sample(kind: type[AnyMessage]) -> AnyMessage:
    """A message of that type, the same one each time."""
    hints = get_type_hints(kind)
    values = [value(hints[key], at) for at, key in enumerate(kind.__struct_fields__)]
    return msgspec.convert([kind.__name__, *values], type=kind)


def value(hint: object, at: int) -> object:
    if hint is int:
        return 100 * at + 7
    if hint is str:
        return f"text{at}"
    if hint is bool:
        return True
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint)).value
    if hint in (tuple[int, ...], tuple[str, ...]):
        return [value(get_args(hint)[0], at), value(get_args(hint)[0], at + 1)]
    if hint == tuple[HeldReference, ...]:
        return [[5, 2, "translation", 1]]
    if hint == tuple[NotifyAlloc | NotifyFree | NotifyBind | NotifyUnbind, ...]:
        return [["NotifyFree", 3, 5, 2, 9, 1, "vm1", 4]]
    if hint == tuple[PageFault, ...]:
        return [[1, "dsa0", 5, 2, 3, 4]]
    assert hint == tuple[PageRequest, ...], f"say what a sample of {hint} is"
    return [["dsa0", 5, 2, 3, 4], ["dsa1", 6, 3, 4, 5, False]]


def frame(body: AnyMessage | None) -> Frame:
    return Frame(WIRE_FORMAT, 3, "vfio", "iommu", 17, 4, (9, 2), ("vm1.guest", 8, 1), body)


assert isinstance(AnyMessage, UnionType)
KINDS: Final[tuple[type[AnyMessage], ...]] = get_args(AnyMessage)
FRAME: Final = frame(Done(1))
BYTES: Final = encode(FRAME)


def table() -> dict[str, str]:
    return {kind.__name__: encode(frame(sample(kind))).hex() for kind in KINDS}


def test_the_bytes_of_every_message_are_those_of_old_journals() -> None:
    assert table() == json.loads(PINNED.read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_both_libraries_write_and_read_the_same_bytes(kind: type[AnyMessage]) -> None:
    one = frame(sample(kind))
    assert msgpack.packb(msgspec.to_builtins(one)) == encode(one)
    assert msgpack.unpackb(encode(one)) == msgspec.msgpack.decode(encode(one))
    assert decode(encode(one)) == one


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 2**63 - 1)), max_size=20))
def test_a_batch_comes_back_as_it_was(parts: list[tuple[type[AnyMessage], int]]) -> None:
    frames = [
        Frame(WIRE_FORMAT, n % 5, "a", "b", n, 0, (n, 1), ("", 0, 0), sample(kind))
        for kind, n in parts
    ]
    assert decode_batch(encode_batch(frames)) == (frames, [])


def test_a_frame_without_a_body_only_acknowledges() -> None:
    assert decode(encode(frame(None))).body is None


@given(st.binary(max_size=200))
def test_err_any_bytes_are_read_or_refused_in_one_sentence(data: bytes) -> None:
    frames, refusals = decode_batch(data)
    assert encode_batch(frames) == data or refusals
    assert all("\n" not in str(refusal) for refusal in refusals)


@given(st.integers(0, len(BYTES) - 1), st.integers(0, 255))
def test_err_a_damaged_frame_is_another_frame_or_refused(at: int, byte: int) -> None:
    data = BYTES[:at] + bytes([byte]) + BYTES[at + 1 :]
    with suppress(UnreadableError):
        assert isinstance(decode(data), Frame)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "frame: 0 frames where one is expected"),
        (BYTES + BYTES, "frame: 2 frames where one is expected"),
        (BYTES[:-1], "frame: at byte 0: it ends in the middle"),
        (b"\xdd\x40\x00\x00\x00", "frame: at byte 0: too large: 1073741824 exceeds max_array_len"),
        (b"\xdf\x40\x00\x00\x00", "frame: at byte 0: too large: 1073741824 exceeds max_map_len"),
        (b"\xc6\x40\x00\x00\x00", "frame: at byte 0: it ends in the middle"),
        (b"\xd9\xff" + b"x" * 255, "frame: not a frame: Expected `array`, got `str`"),
        (b"\xda\x04\x01" + b"x" * 1025, "frame: at byte 0: too large: 1025 exceeds max_str_len"),
        (b"\xc4\x01x", "frame: at byte 0: too large: 1 exceeds max_bin_len"),
        (b"\xd4\x05\x00", "frame: at byte 0: too large: 2 exceeds max_ext_len"),
        (b"\xa1\xff", "frame: at byte 0: a text is not UTF-8"),
        (b"\xc1", "frame: at byte 0: not msgpack"),
        (b"\x81\x90\x01", "frame: at byte 0: a key is not a plain value"),
        (b"\x91" * 9 + b"\x01", f"frame: at byte 0: nested deeper than {DEPTH_MAX}"),
        (b"\x91" * 5000, f"frame: at byte 0: nested deeper than {DEPTH_MAX}"),
        (b"\x81\x01" * 9 + b"\x01", f"frame: at byte 0: nested deeper than {DEPTH_MAX}"),
        (msgpack.packb([2]), f"frame: wire format 2, this version reads {WIRE_FORMAT}"),
        (msgpack.packb(["1"]), "frame: not a frame: Expected `int`, got `str` - at `$[0]`"),
        (msgpack.packb([1, 2]), "Expected `array` of at least length 9, got 2"),
        (b"\x00" * (FRAME_BYTES_MAX + 1), f"at most {FRAME_BYTES_MAX} are read"),
    ],
)
def test_err_what_is_not_a_frame_is_refused_with_place_and_reason(
    data: bytes, sentence: str
) -> None:
    with pytest.raises(UnreadableError) as refused:
        decode(data)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("at", "wrong", "sentence"),
    [
        (1, -1, "`int` >= 0 - at `$[1]`"),
        (2, "", "`str` of length >= 1 - at `$[2]`"),
        (3, "x" * 65, "`str` of length <= 64 - at `$[3]`"),
        (6, [1], "`array` of length 2, got 1 - at `$[6]`"),
        (8, ["Dome", 1], "Invalid value 'Dome' - at `$[8][0]`"),
        (8, ["Done", "1"], "Expected `int`, got `str` - at `$[8][1]`"),
        (8, ["Refused", 1, "EWHAT"], "Invalid enum value 'EWHAT' - at `$[8][2]`"),
    ],
)
def test_err_a_wrong_value_is_refused_with_its_place(at: int, wrong: object, sentence: str) -> None:
    plain = msgspec.to_builtins(FRAME)
    with pytest.raises(UnreadableError) as refused:
        decode(msgpack.packb([*plain[:at], wrong, *plain[at + 1 :]]), "from vfio")
    assert str(refused.value).startswith("from vfio: not a frame: ")
    assert sentence in str(refused.value)


def test_err_one_bad_frame_of_a_batch_loses_nothing_else() -> None:
    data = BYTES + msgpack.packb([WIRE_FORMAT, "what"]) + BYTES
    frames, refusals = decode_batch(data, "batch 7")
    assert frames == [FRAME, FRAME]
    assert [str(refusal) for refusal in refusals] == [
        "batch 7: frame 2: not a frame: Expected `array` of at least length 9, got 2"
    ]


def test_err_bytes_that_are_not_msgpack_end_a_batch_but_keep_its_beginning() -> None:
    frames, refusals = decode_batch(BYTES + b"\xc1" + BYTES)
    assert frames == [FRAME]
    assert [str(refusal) for refusal in refusals] == [f"batch: at byte {len(BYTES)}: not msgpack"]


def test_the_largest_message_fits_into_the_limits() -> None:
    ring = tuple(PageRequest("dsa0", 1 << 19, n, n, n) for n in range(2048))
    one = frame(ReadPrqGot(1, ring, overflow=False))
    assert decode(encode(one)) == one
    assert len(ring) <= ITEMS_MAX
    assert len(encode(one)) <= FRAME_BYTES_MAX


def test_a_journal_may_set_its_own_limits() -> None:
    data = msgpack.packb(b"x" * 10) + msgpack.packb("y" * (TEXT_MAX + 1))
    limits = Limits(binary=10, text=2 * TEXT_MAX)
    assert split(data, "journal", limits) == ([data[:12], data[12:]], None)
    items, refusal = split(data, "journal", FRAME_LIMITS)
    assert items == []
    assert str(refusal) == "journal: at byte 0: too large: 10 exceeds max_bin_len(0)"


if __name__ == "__main__":
    PINNED.write_text(json.dumps(table(), indent=1) + "\n")
