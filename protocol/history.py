"""Records: facts stamped with who, which input and why; the history is a list of them (§6).

Happens-before is per-actor order plus cause.  `Record.saw` decides it exactly, by vector clock:
the same in the simulator and in a history merged from a cluster, and never by wall clock.
On disk a record is one flat JSON object per line (`encode_record`, `decode_record`).
"""

from collections.abc import Callable, Container
from functools import cache
from typing import Final, TypeAlias, cast, get_args

import msgspec
from msgspec import NODEFAULT, Struct, structs

from protocol.errors import UnreadableError
from protocol.facts import Event, Fact, RunEnded, RunStarted
from protocol.names import Name

HISTORY_FORMAT: Final = 1

Clock = dict[Name, int]
"""Per actor, the number of its inputs that happened before; its own entry is its current `n`."""


class Stamp(Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Where a fact comes from.

    `n` is the actor's input number (1, 2, ... over all epochs), `input` the type of that
    input, `cause` and `cause_n` the actor and input that sent it ("" and 0: the world).
    `step` is the global delivery number, in the simulator only; `ts_ns` simulated or
    wall-clock nanoseconds.
    """

    actor: Name
    n: int
    epoch: int = 0
    step: int = 0
    ts_ns: int = 0
    input: str = ""
    cause: Name = ""
    cause_n: int = 0
    clock: Clock = {}

    def saw(self, actor: Name, n: int) -> bool:
        """Whether input `n` of `actor` happened before this one (or is it)."""
        return self.clock.get(actor, 0) >= n


class Record(Struct, frozen=True, eq=False, gc=False):
    """A stamped fact, as properties see it."""

    stamp: Stamp
    fact: Event

    def saw(self, actor: Name, n: int) -> bool:
        """Whether input `n` of `actor` happened before this record (or is its own input)."""
        return self.stamp.saw(actor, n)


_encode: Final = msgspec.json.Encoder().encode
_decode_stamp: Final = msgspec.json.Decoder(Stamp).decode
_decode_fact: Final = msgspec.json.Decoder(Fact).decode


def encode_record(record: Record) -> bytes:
    """One flat JSON object, without a newline: the fact's keys, then the stamp's."""
    return _encode(record.fact)[:-1] + b"," + _encode(record.stamp)[1:]


def decode_record(line: bytes, where: str = "record") -> Record:
    """The record of a line; unknown keys are allowed, wrong types are refused with their place."""
    try:
        return Record(_decode_stamp(line), _decode_fact(line))
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableError(f"{where}: not a history record: {error}") from error


# --- Facts that nobody observes -------------------------------------------------------------------


_OPENING: Final = b'{"event":"'
TAG_AT: Final = len(_OPENING)

Skim: TypeAlias = tuple[type[Event], Callable[[bytes], Stamp]]
"""A type of fact, and what checks a line of that type as `decode_record` does, for its stamp."""


class Skims(dict[bytes, Skim | None]):
    """By their beginning, how lines are skimmed, made when first asked for; None: read them.

    A line's beginning goes up to the end of its tag, the first quote from `TAG_AT` on.

    What somebody observes is read, and so are begin and end of a run, and what begins otherwise
    than `encode_record` lets it.
    """

    def __init__(self, observed: Container[type[Event]]) -> None:
        super().__init__({_head(each): None for each in _FACTS if each in observed})
        self[_head(RunStarted)] = self[_head(RunEnded)] = None

    def __missing__(self, head: bytes) -> Skim | None:
        for each in _FACTS:
            if _head(each) == head:
                self[head] = skim = (each, _skim(each))
                return skim
        return None


_FACTS: Final[tuple[type[Event], ...]] = get_args(Fact)


def _head(fact: type[Event]) -> bytes:
    return _OPENING + str(fact.__struct_config__.tag).encode()


@cache
def _skim(fact: type[Event]) -> Callable[[bytes], Stamp]:
    """One look at the line instead of two: a stamp with the fact's fields among its own."""
    fields = [(one.name, one.type, *_default(one)) for one in structs.fields(fact)]
    both = msgspec.defstruct(
        f"Stamped{fact.__name__}", fields, bases=(Stamp,), frozen=True, kw_only=True,
        tag_field=fact.__struct_config__.tag_field, tag=fact.__struct_config__.tag,
    )  # fmt: skip
    return msgspec.json.Decoder(cast("type[Stamp]", both)).decode


def _default(one: structs.FieldInfo) -> tuple[object, ...]:
    return () if one.default is NODEFAULT else (one.default,)
