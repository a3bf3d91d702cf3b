"""The parts of a world's state, each stored once and known by a number.

A state of a world is a row of such numbers: one for each actor, for each inbox, for each property's
memory.  What a part weighs in the key of a state is a hash of its place and its content, computed
once; the key of a state is the sum of its parts' hashes, so that a move changes it by the few parts
that it changes.  A sum for every exchange of names (`Renaming`) goes along, in lanes of one large
number; the smallest of them is the key.
"""

from collections.abc import Sequence
from hashlib import blake2b
from itertools import permutations
from typing import Final

import msgspec

from clusters.sim.search.frozen import Plain, Renaming, ghosts_in, with_ghosts
from protocol.names import Incarnation, Name

HASH_BITS: Final = 128
LANE_BITS: Final = 192
"""A lane holds the sum of as many hashes as there will ever be parts."""
LANE: Final = (1 << LANE_BITS) - 1

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder().decode


def renamings(names: Sequence[Name]) -> tuple[Renaming, ...]:
    """Every exchange of the names but for the one that changes nothing."""
    orders = list(permutations(names))[1:]
    return tuple(Renaming(dict(zip(names, order, strict=True))) for order in orders)


class Parts:
    """`content`, `weights` and `ghosts` of each part, by number.

    A part is a place and a content.  One that stands in a state without a say in its future has
    no weight.
    """

    __slots__ = (
        "_numbers", "_ordered", "_weights", "content", "exchanges", "ghosts", "places", "weights",
    )  # fmt: skip

    def __init__(self, exchanges: tuple[Renaming, ...] = ()) -> None:
        self.exchanges = exchanges
        self.places: list[str] = []
        self.content: list[bytes] = []
        self.weights: list[int] = []
        """All lanes in one number."""
        self.ghosts: list[int] = []
        """A bit for each incarnation in it."""
        self._ordered: list[bool] = []
        self._numbers: dict[tuple[str, bytes], int] = {}
        self._weights: dict[tuple[int, tuple[Incarnation, ...]], int] = {}

    def __len__(self) -> int:
        return len(self.content)

    def number(
        self, place: str, content: bytes, *, weighs: bool = True, ordered: bool = True
    ) -> int:
        """The number of a part, a new one if it was not seen before.

        Not `ordered`: with exchanged names its dicts are put in the order of their keys again.
        """
        key = (place, content)
        number = self._numbers.get(key)
        if number is not None:
            return number
        number = self._numbers[key] = len(self.content)
        self.places.append(place)
        self.content.append(content)
        self._ordered.append(ordered)
        value: Plain = _decode(content)
        found: dict[Incarnation, None] = {}
        if weighs:
            ghosts_in(value, found)
        self.ghosts.append(sum(1 << (ghost - 1) for ghost in found if ghost))
        self.weights.append(self._weigh(number, value, content) if weighs else 0)
        return number

    def renumbered(self, number: int, order: tuple[Incarnation, ...]) -> int:
        """What a part weighs if the ghosts in `order` are called 1, 2, 3 ..."""
        if not self.ghosts[number]:
            return self.weights[number]
        key = (number, order)
        weight = self._weights.get(key)
        if weight is None:
            ranks = {ghost: rank for rank, ghost in enumerate(order, start=1)}
            value = with_ghosts(_decode(self.content[number]), lambda ghost: ranks.get(ghost, 0))
            weight = self._weigh(number, value, _encode(value))
            self._weights[key] = weight
        return weight

    def _weigh(self, number: int, value: Plain, content: bytes) -> int:
        place, ordered = self.places[number], self._ordered[number]
        weight = _hash(place, content)
        for lane, exchange in enumerate(self.exchanges, start=1):
            renamed = _encode(exchange.plain(value, ordered=ordered))
            weight |= _hash(exchange.word(place), renamed) << (LANE_BITS * lane)
        return weight

    def key(self, total: int) -> int:
        """The key of a state whose parts weigh so much together."""
        if not self.exchanges:
            return total
        smallest = total & LANE
        for _ in self.exchanges:
            total >>= LANE_BITS
            smallest = min(smallest, total & LANE)
        return smallest


def _hash(place: str, content: bytes) -> int:
    """Of an empty thing, too: a place without content weighs nothing of its own."""
    digest = blake2b(content, digest_size=HASH_BITS // 8, key=place.encode())
    return int.from_bytes(digest.digest(), "big")


def order_of(ghosts: int) -> tuple[Incarnation, ...]:
    """The incarnations whose bits are set, smallest first."""
    return tuple(bit + 1 for bit in range(ghosts.bit_length()) if ghosts >> bit & 1)
