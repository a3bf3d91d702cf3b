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
    """What a call with that result reads and writes; without one, whatever it might."""
    ended, ret = call.seq_return is not None, call.ret
    if call.call.endswith("register_allocator"):
        if not ended or call.call == "ioasid_unregister_allocator":
            return EVERYTHING
        return Footprint(taken(0, FOLD) | ACTIVE | LOCK, ACTIVE if ret == 0 else 0)
    custom = any(back.call != "getter" for back in callbacks)
    if call.call == "ioasid_alloc":
        reads, writes = _alloc(call, custom=custom)
        fresh = data_of(call.ret) if ended and isinstance(call.ret, int) else 0
        return Footprint(reads | ACTIVE | LOCK, writes | (LOCK if custom else 0), fresh)
    number = number_of(call.args["ioasid"])
    out, data = taken(number), data_of(number)
    match call.call:
        case "ioasid_free":
            fresh = data if ended else 0
            return Footprint(ACTIVE | LOCK, out | data | (LOCK if custom else 0), fresh)
        case "ioasid_set_data":
            fresh = data if ended and ret == 0 else 0
            return Footprint(out | ACTIVE | LOCK, 0 if ended and ret != 0 else data, fresh)
        case _:
            refused = isinstance(ret, str) and ret.startswith("-")
            return Footprint(out | ACTIVE | (0 if refused else data), 0)


def _alloc(call: Call, *, custom: bool) -> tuple[int, int]:
    """A helper looks at nothing of ours; else all numbers up to the one that is given out."""
    low, high = number_of(call.args["min"]), number_of(call.args["max"])
    all_ = taken(low, high) if low <= high else 0
    if call.seq_return is None:
        return all_, all_ | all_ << 1
    if isinstance(call.ret, int):
        below = taken(low, call.ret) if low <= call.ret and not custom else 0
        return below | taken(call.ret), taken(call.ret) | data_of(call.ret)
    return 0 if custom else all_, 0


def number_of(value: Value) -> int:
    """A value that was found to be a number."""
    assert isinstance(value, int), "checked before"
    return value
