"""Which recorded calls of the IOASID core touch the same things.

A bit for the lock, one for the list of allocators, and two for each number: whether it is out (and
in which set), and its private data.  Two calls that do not disturb one another by these bits come
to the same in either order; tests hold that against the actor itself.
"""

from collections.abc import Sequence
from typing import Final

from clusters.conformance.calls import Call, Value
from clusters.conformance.operations import EVERYTHING, Footprint

LOCK: Final = 1
ACTIVE: Final = 2
FIRST: Final = 2
FOLD: Final = 512
"""Numbers that are so far apart share their bits: more may seem to depend than does."""


def taken(low: int, high: int | None = None) -> int:
    """The bits that say whether these numbers are out, and in which set."""
    high = low if high is None else high
    if high - low >= FOLD:
        return ((1 << 2 * FOLD) - 1) // 3 << FIRST
    return sum(1 << FIRST + 2 * (number % FOLD) for number in range(low, high + 1))


def data_of(number: int) -> int:
    """The bit of a number's private data."""
    return taken(number) << 1


def footprint(call: Call, callbacks: Sequence[Call]) -> Footprint:
    """What a call with that result reads and writes."""
    if call.seq_return is None or call.call == "ioasid_unregister_allocator":
        return EVERYTHING
    if call.call == "ioasid_register_allocator":
        return Footprint(taken(0, FOLD) | ACTIVE | LOCK, ACTIVE if call.ret == 0 else 0)
    custom = any(back.call != "getter" for back in callbacks)
    number, ret = call.args.get("ioasid"), call.ret
    match call.call:
        case "ioasid_alloc" if isinstance(ret, int):
            low = ret if custom else number_of(call.args["min"])
            reads, writes = taken(low, ret) if low <= ret else 0, taken(ret) | data_of(ret)
        case "ioasid_alloc":
            low, high = number_of(call.args["min"]), number_of(call.args["max"])
            reads, writes = 0 if custom or low > high else taken(low, high), 0
        case "ioasid_free":
            reads, writes = 0, taken(number_of(number)) | data_of(number_of(number))
        case "ioasid_set_data":
            reads, writes = taken(number_of(number)), data_of(number_of(number)) if ret == 0 else 0
        case _:
            looked = isinstance(ret, str) and ret.startswith("-")
            reads, writes = taken(number_of(number)), 0
            reads |= 0 if looked else data_of(number_of(number))
    if call.call == "ioasid_find":
        return Footprint(reads | ACTIVE, writes)
    return Footprint(reads | ACTIVE | LOCK, writes | (LOCK if custom else 0))


def number_of(value: Value) -> int:
    """A value that was found to be a number."""
    assert isinstance(value, int), "checked before"
    return value
