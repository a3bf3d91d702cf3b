"""A violation as a story: the deliveries that led to it, as a table of steps."""

from collections.abc import Sequence
from typing import Final

import msgspec

from experiments.harness.say import columns
from protocol.facts import (
    DmaTranslated,
    EntryCleared,
    EntryWritten,
    MessageDelivered,
    MessageSent,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
)
from protocol.history import Record

ROWS_MAX: Final = 30
Row = tuple[str, str, str, str, str]


def story(records: Sequence[Record], last: Record) -> list[str]:
    """Lines of a table: what happened before `last` and has to do with its PASID, then `last`."""
    pasid = getattr(last.fact, "pasid", 0)
    rows: list[Row] = []
    doings = _doings(records)
    for record in records:
        fact, stamp = record.fact, record.stamp
        if isinstance(fact, MessageDelivered) and last.saw(stamp.actor, stamp.n):
            doing = doings.get((stamp.actor, stamp.n), [])
            about = fact.detail.get("pasid")
            if pasid and about != pasid and not any(f"PASID {pasid} " in text for text in doing):
                continue
            row = (str(stamp.step), fact.peer, stamp.actor, fact.message, "; ".join(doing))
            rows.append(row)
    shown = rows[-ROWS_MAX:]
    lines = columns([("step", "from", "to", "message", "what it did"), *shown])
    if len(rows) > len(shown):
        lines.insert(1, f"  ... {len(rows) - len(shown)} earlier steps about it are in the history")
    if lines:
        lines[-1] += "   <- violation"
    return lines


def _doings(records: Sequence[Record]) -> dict[tuple[str, int], list[str]]:
    """Per input, what it did, in words."""
    found: dict[tuple[str, int], list[str]] = {}
    for record in records:
        if text := _words(record):
            found.setdefault((record.stamp.actor, record.stamp.n), []).append(text)
    return found


def _words(record: Record) -> str:
    match record.fact:
        case StateChanged(pasid=pasid, after=after, refs=refs):
            return f"PASID {pasid} {after}, {refs} references"
        case ReferenceTaken(pasid=pasid, holder=holder):
            return f"PASID {pasid} reference to {holder}"
        case ReferenceDropped(pasid=pasid, holder=holder):
            return f"PASID {pasid} reference of {holder} dropped"
        case PasidReclaimed(pasid=pasid):
            return f"PASID {pasid} reclaimed"
        case EntryWritten(pasid=pasid, device=device):
            return f"entry of {device} for PASID {pasid} present"
        case EntryCleared(pasid=pasid, device=device):
            return f"entry of {device} for PASID {pasid} clear"
        case DmaTranslated(pasid=pasid, device=device):
            return f"{device}: DMA with PASID {pasid} "
        case _:
            return ""


def as_step(record: Record) -> str:
    """One record as one line, for `replay --steps`."""
    fact, stamp = record.fact, record.stamp
    match fact:
        case MessageDelivered(peer=peer, message=message, detail=detail):
            said = " ".join(f"{key}={value}" for key, value in detail.items())
            return f"{stamp.step:>6}  {peer} -> {stamp.actor}  {message}  {said}"
        case MessageSent():
            return ""
        case _:
            event = msgspec.to_builtins(fact)
            name = event.pop("event")
            said = " ".join(f"{key}={value}" for key, value in event.items())
            return f"        {stamp.actor}: {name} {said}"
