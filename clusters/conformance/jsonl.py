"""JSON Lines: one object for each call, in the order of entry."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from clusters.conformance.calls import ARGS_MAX, CALLS_MAX, TEXT_MAX, Call, Value, said
from clusters.conformance.reading import Lines

COUNT_MAX: Final = 1 << 62
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]
Number = Annotated[int, Meta(ge=-COUNT_MAX, le=COUNT_MAX)]
Word = Annotated[str, Meta(min_length=1, max_length=TEXT_MAX)]
Given = bool | Number | Annotated[str, Meta(max_length=TEXT_MAX)] | None
Several = Annotated[list[Given], Meta(max_length=ARGS_MAX)]


class Row(Struct, frozen=True, kw_only=True):
    """A line; times are not read, because `seq_*` has the order without ties."""

    n: Count
    task: Word
    pid: Count
    cpu_in: Count
    cpu_out: Count | None = None
    seq_invoke: Count
    seq_return: Count | None = None
    kind: Word
    parent: Count | None = None
    call: Word
    args: Annotated[dict[Word, Given | Several], Meta(max_length=ARGS_MAX)]
    ret: Given = None


_decode: Final = msgspec.json.Decoder(Row).decode


def read(lines: Lines) -> list[Call]:
    """All calls of the file, by entry; the first line that is not one is an error."""
    calls: dict[int, Call] = {}
    places: dict[int, int] = {}
    events: dict[int, None] = {}
    for line in lines:
        if not line.strip():
            continue
        try:
            row = _decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise lines.refuse(f"is not a call: {error}") from None
        call = _call(row)
        _stands_alone(call, calls, events, lines)
        calls[call.n], places[call.n] = call, lines.number
        if len(calls) > CALLS_MAX:
            raise lines.refuse(f"more than {CALLS_MAX:,} calls")
    for call in calls.values():
        if call.parent is not None:
            lines.number = places[call.n]
            _is_inside(call, calls.get(call.parent), lines)
    return sorted(calls.values(), key=lambda call: call.seq_invoke)


def _call(row: Row) -> Call:
    args: dict[str, Value] = {
        name: " ".join(map(said, value)) if isinstance(value, list) else value
        for name, value in row.args.items()
    }
    return Call(
        n=row.n,
        task=row.task,
        pid=row.pid,
        cpu_in=row.cpu_in,
        cpu_out=row.cpu_out,
        seq_invoke=row.seq_invoke,
        seq_return=row.seq_return,
        kind=row.kind,
        parent=row.parent,
        call=row.call,
        args=args,
        ret=row.ret,
    )


def _stands_alone(
    call: Call, calls: dict[int, Call], events: dict[int, None], lines: Lines
) -> None:
    """Nothing of it belongs to another call of the file."""
    if call.n in calls:
        raise lines.refuse(f"call {call.n} is there twice")
    if call.seq_return is not None and call.seq_return <= call.seq_invoke:
        raise lines.refuse(f"call {call.n} returns (seq_return) before its entry (seq_invoke)")
    for event in (call.seq_invoke, call.seq_return):
        if event is not None and event in events:
            raise lines.refuse(f"event {event} belongs to two calls")
        if event is not None:
            events[event] = None


def _is_inside(call: Call, parent: Call | None, lines: Lines) -> None:
    """A call that happened in another began after it and ended before it, in the same task."""
    if parent is None:
        raise lines.refuse(f"call {call.n} happened in call {call.parent}, which is not there")
    ended, outer = call.seq_return, parent.seq_return
    if (
        (parent.task, parent.pid) != (call.task, call.pid)
        or call.seq_invoke <= parent.seq_invoke
        or (outer is not None and (ended is None or ended > outer))
    ):
        raise lines.refuse(f"call {call.n} is not inside call {call.parent}, its parent")
