"""A violation as a story: the deliveries that led to it, as a table of steps."""

from collections.abc import Sequence
from typing import Final

import msgspec

from clusters.judge import Violation
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


def story(records: Sequence[Record], violation: Violation) -> list[str]:
    """Lines of a table: what happened before the violation and has to do with its PASID."""
    last = violation.record
    if last is None:
        return []  # It is about the end: something never happened.
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
    table = columns([("step", "from", "to", "message", "what it did"), *shown])
    lines = [line.rstrip() for line in table]
    if len(rows) > len(shown):
        lines.insert(1, f"  ... {len(rows) - len(shown)} earlier steps about it are in the history")
    if lines:
        lines[-1] += "   <- violation"
    return lines


def _doings(records: Sequence[Record]) -> dict[tuple[str, int], list[str]]:
    """Per input, what it did, in words; where something weighty happened, just that."""
    weights: dict[tuple[str, int], int] = {}
    found: dict[tuple[str, int], list[str]] = {}
    for record in records:
        weight, text = _words(record)
        key = (record.stamp.actor, record.stamp.n)
        if weight > weights.get(key, 0):
            weights[key], found[key] = weight, [text]
        elif weight and weight == weights[key]:
            found[key].append(text)
    return found


def _words(record: Record) -> tuple[int, str]:
    """How weighty a fact is (0: not told), and its words."""
    match record.fact:
        case PasidReclaimed(pasid=pasid):
            return 3, f"PASID {pasid} reclaimed"
        case EntryWritten(pasid=pasid, device=device):
            return 3, f"PASID {pasid} present in the table of {device}"
        case EntryCleared(pasid=pasid, device=device):
            return 3, f"PASID {pasid} cleared in the table of {device}"
        case DmaTranslated(pasid=pasid, page=page):
            return 3, f"PASID {pasid} DMA to page {page}"
        case StateChanged(pasid=pasid, after=after, refs=refs):
            return 2, f"PASID {pasid} {after}, {refs} reference{'' if refs == 1 else 's'}"
        case ReferenceTaken(pasid=pasid, holder=holder):
            return 1, f"PASID {pasid} got by {holder}"
        case ReferenceDropped(pasid=pasid, holder=holder):
            return 1, f"PASID {pasid} put by {holder}"
        case _:
            return 0, ""


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
