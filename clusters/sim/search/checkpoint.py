"""A search that was stopped, as bytes: the keys and the tree, from which it goes on.

The states that lie ahead are made again from their paths when their turn comes.
"""

import sys
from array import array
from typing import Annotated, Final, TypeVar

import msgspec
from msgspec import Meta, Struct

from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.graph import Edges
from clusters.sim.search.space import Key
from protocol.errors import UnreadableError

S = TypeVar("S")
D = TypeVar("D")

CHECKPOINT_FORMAT: Final = 1
NESTED_MAX: Final = 8

Count = Annotated[int, Meta(ge=0, le=(1 << 40))]


class Leading(Struct, frozen=True, forbid_unknown_fields=True):
    """The edges of a graph."""

    starts: bytes
    targets: bytes
    channels: bytes
    owed: bytes
    owings: tuple[tuple[str, ...], ...]


class Progress(Struct, frozen=True, forbid_unknown_fields=True):
    """How far a search got; `of` says what was searched, and how."""

    format: int
    of: str
    next: Count
    depth: Count
    level_ends: Count
    end_count: Count
    moves: Count
    parents: bytes
    turns: bytes
    keys: tuple[object, ...]
    came: tuple[str, ...]
    edges: Leading | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Progress).decode


def pack(search: BreadthFirst[S, D], of: str) -> bytes:
    """All that a search knows."""
    graph = search.graph
    return _encode(
        Progress(
            format=CHECKPOINT_FORMAT,
            of=of,
            next=search.next,
            depth=search.depth,
            level_ends=search.level_ends,
            end_count=search.end_count,
            moves=graph.moves,
            parents=_little(graph.tree.parents),
            turns=_little(graph.tree.turns),
            keys=tuple(map(_packed, graph.seen)),
            came=tuple(graph.came),
            edges=_leading(graph.edges) if graph.edges is not None else None,
        )
    )


def unpack(data: bytes, search: BreadthFirst[S, D], of: str, where: str) -> None:
    """Let a search that has not begun go on where another stopped."""
    try:
        progress = _decode(data)
        keys = [_unpacked(key, 0) for key in progress.keys]
        parents = _numbers("I", progress.parents)
        turns = _numbers("H", progress.turns)
        edges = _edges(progress.edges) if progress.edges is not None else None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UnreadableError(f"{where}: not a stopped search: {error}") from error
    if progress.format != CHECKPOINT_FORMAT:
        raise UnreadableError(
            f"{where}: format {progress.format}, this version reads {CHECKPOINT_FORMAT}"
        )
    if progress.of != of:
        raise UnreadableError(f"{where}: is the search of another experiment or of other bounds")
    whole = len(keys) == len(parents) == len(turns) and _fits(edges, progress.next, len(keys))
    if not whole or not 0 <= progress.next <= progress.level_ends <= len(keys):
        raise UnreadableError(f"{where}: a part of the stopped search is missing")
    if any(parent >= number for number, parent in enumerate(parents) if number):
        raise UnreadableError(f"{where}: a state has a parent that was found after it")
    graph = search.graph
    if keys[0] != next(iter(graph.seen)):
        raise UnreadableError(f"{where}: it began in another state; the code has changed")
    graph.seen = {key: number for number, key in enumerate(keys)}
    graph.tree.parents, graph.tree.turns = parents, turns
    graph.edges, graph.moves = edges, progress.moves
    graph.came = dict.fromkeys(progress.came)
    search.next, search.depth = progress.next, progress.depth
    search.level_ends, search.end_count = progress.level_ends, progress.end_count
    search.forget()


def _leading(edges: Edges) -> Leading:
    return Leading(
        starts=_little(edges.starts),
        targets=_little(edges.targets),
        channels=_little(edges.channels),
        owed=_little(edges.owed),
        owings=tuple(edges.owings),
    )


def _edges(leading: Leading) -> Edges:
    edges = Edges()
    edges.starts = _numbers("Q", leading.starts)
    edges.targets = _numbers("I", leading.targets)
    edges.channels = _numbers("q", leading.channels)
    edges.owed = _numbers("I", leading.owed)
    edges.owings = list(leading.owings)
    edges.owing = {owed: number for number, owed in enumerate(edges.owings)}
    return edges


def _fits(edges: Edges | None, expanded: int, found: int) -> bool:
    """Whether the edges are those of the states that were expanded."""
    if edges is None:
        return True
    same = len(edges.starts) == expanded + 1 and len(edges.owed) == expanded
    count = edges.starts[-1] if edges.starts else -1
    inside = all(target < found for target in edges.targets)
    named = all(owed < len(edges.owings) for owed in edges.owed)
    return same and count == len(edges.targets) == len(edges.channels) and inside and named


def _numbers(kind: str, data: bytes) -> "array[int]":
    numbers: array[int] = array(kind)
    numbers.frombytes(data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _little(numbers: "array[int]") -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()


def _packed(key: Key) -> object:
    """A number as bytes, however large; several as a list."""
    if isinstance(key, int):
        return key.to_bytes((key.bit_length() + 7) // 8, "big")
    assert isinstance(key, tuple), f"{key!r} is no key"
    return [_packed(part) for part in key]


def _unpacked(packed: object, depth: int) -> Key:
    if isinstance(packed, bytes):
        return int.from_bytes(packed, "big")
    if not isinstance(packed, list) or depth > NESTED_MAX:
        raise ValueError("a key that is neither a number nor a few")
    return tuple(_unpacked(part, depth + 1) for part in packed)
