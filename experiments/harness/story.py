"""A violation as a story: the deliveries that led to it, as a table of steps."""

import re
from collections.abc import Mapping, Sequence
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
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    PasidReclaimed,
    PropertyViolated,
    ReferenceDropped,
    ReferenceTaken,
    RunEnded,
    StateChanged,
)
from protocol.history import Record

ROWS_MAX: Final = 30
_NAMED: Final = re.compile(r"\bPASID ([0-9]+)")
Row = tuple[str, str, str, str, str]


def story(records: Sequence[Record], violation: Violation) -> list[str]:
    """Lines of a table: what happened before the violation and has to do with its PASID.

    Of a violation that is about no PASID: the chain of causes that led to it.
    """
    last = violation.record
    at_end = isinstance(last.fact, RunEnded) or not _said_at(records, violation)
    pasid = _pasid(records, violation, at_end=at_end)
    chain = {} if pasid or at_end else _causes(records, last)
    rows: list[Row] = []
    doings = _doings(records)
    for record in records:
        fact, stamp = record.fact, record.stamp
        if isinstance(fact, MessageDelivered) and (at_end or last.saw(stamp.actor, stamp.n)):
            doing = doings.get((stamp.actor, stamp.n), [])
            here = (stamp.actor, stamp.n) == (last.stamp.actor, last.stamp.n)
            if chain:
                about = (stamp.actor, stamp.n) in chain
            else:
                about = not pasid or fact.detail.get("pasid") == pasid
            if not (about or here or any(f"PASID {pasid} " in text for text in doing)):
                continue
            step = str(stamp.step or stamp.n)
            rows.append((step, fact.peer, stamp.actor, fact.message, "; ".join(doing)))
    if not rows:
        return []
    shown = rows[-ROWS_MAX:]
    mark = "(the end)" if at_end else "<- violation"
    shown[-1] = (*shown[-1][:4], f"{shown[-1][4]}   {mark}".lstrip())
    head, *lines = columns([("step", "from", "to", "message", "what it did"), *shown])
    if len(rows) > len(shown):
        of = f" about PASID {pasid}" if pasid else ""
        lines.insert(0, f"  ... {len(rows) - len(shown):,} earlier steps{of}")
    return [line.rstrip() for line in (head, *lines)]


def _causes(records: Sequence[Record], last: Record) -> dict[tuple[str, int], None]:
    """The input at which it was said, the one that caused that, and so on."""
    causes = {
        (record.stamp.actor, record.stamp.n): (record.stamp.cause, record.stamp.cause_n)
        for record in records
    }
    chain: dict[tuple[str, int], None] = {}
    here = (last.stamp.actor, last.stamp.n)
    while here in causes and here not in chain:
        chain[here] = None
        here = causes[here]
    return chain


def _said_at(records: Sequence[Record], violation: Violation) -> bool:
    """Whether it was said at a record, and not at the end about what never happened."""
    stamp = violation.record.stamp
    return any(
        isinstance(record.fact, PropertyViolated)
        and record.fact.message == violation.sentence
        and (record.stamp.actor, record.stamp.n) == (stamp.actor, stamp.n)
        for record in reversed(records)
    )


def _pasid(records: Sequence[Record], violation: Violation, *, at_end: bool) -> int:
    """The PASID it is about: the fact's, its operation's, or the one that is named; 0: none."""
    fact, actor = violation.record.fact, violation.record.stamp.actor
    if not at_end and (pasid := getattr(fact, "pasid", 0)):
        return int(pasid)
    if not at_end and isinstance(fact, OpOk | OpFail | OpInfo):
        began = [one.fact for one in records if one.stamp.actor == actor]
        for one in reversed(began):
            if isinstance(one, OpInvoked) and one.op == fact.op:
                return one.pasid
    named = _NAMED.search(violation.sentence)
    return int(named[1]) if named else 0


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
            return 3, f"PASID {pasid} DMA to page {page}{_by_other(record.fact)}"
        case StateChanged(pasid=pasid, after=after, refs=refs):
            return 2, f"PASID {pasid} {after}, {refs} reference{'' if refs == 1 else 's'}"
        case ReferenceTaken(pasid=pasid, holder=holder):
            return 1, f"PASID {pasid} got by {holder}"
        case ReferenceDropped(pasid=pasid, holder=holder):
            return 1, f"PASID {pasid} put by {holder}"
        case OpOk(operation=operation):
            return 3, f"{operation} ended in ok"
        case OpFail(operation=operation, errno=errno):
            return 3, f"{operation} ended in {errno}"
        case OpInfo(operation=operation):
            return 3, f"{operation} will never be answered"
        case _:
            return 0, ""


def _by_other(dma: DmaTranslated) -> str:
    """Whose tables translated it, if they are not those of its own life: isolation is broken."""
    table = (dma.table_vm, dma.table_incarnation)
    if table == (dma.vm, dma.incarnation):
        return ""
    return (
        f" by the tables of {table[0] or 'nobody'} (life {table[1]}),"
        f" it is of {dma.vm} (life {dma.incarnation})"
    )


def as_step(record: Record) -> str:
    """One record as one line, for `replay --steps`; what was sent is told when it arrives."""
    fact, stamp = record.fact, record.stamp
    match fact:
        case MessageDelivered(peer=peer, message=message, detail=detail):
            said = _pairs(detail)
            return f"{stamp.step:>6}  {peer} -> {stamp.actor}  {message}  {said}".rstrip()
        case MessageSent():
            return ""
        case _:
            event = msgspec.to_builtins(fact)
            name = event.pop("event")
            return f"{'':>8}{stamp.actor}: {name} {_pairs(event)}".rstrip()


def _pairs(values: Mapping[str, object]) -> str:
    return " ".join(f"{key}={_value(value)}" for key, value in values.items())


def _value(value: object) -> str:
    """A word as it is; what has spaces or parts as JSON."""
    if isinstance(value, str) and value and " " not in value:
        return value
    return msgspec.json.encode(value).decode()
