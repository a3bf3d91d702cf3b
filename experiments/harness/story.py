"""A violation as a story: the deliveries that led to it, as a table of steps."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from clusters.causes import Slice, slice_of
from clusters.judge import Violation
from clusters.live.link import ANSWERS
from experiments.harness.result import SliceStep
from experiments.harness.say import columns
from protocol.facts import (
    DmaTranslated,
    EntryCleared,
    EntryWritten,
    MessageDelivered,
    MessageSent,
    OpFail,
    OpInfo,
    OpOk,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    StateChanged,
)
from protocol.history import Record

ROWS_MAX: Final = 30
BRIEF_MAX: Final = 15
"""Of a brief story: one that a mail has room for."""
_ANSWERS: Final = frozenset(kind.__name__ for kind in ANSWERS)
HEAD: Final = ("step", "from", "to", "message", "what it did")
Row = tuple[str, str, str, str, str]


def story(
    records: Sequence[Record],
    violation: Violation,
    marks: Mapping[int, str] | None = None,
    *,
    brief: bool = False,
) -> list[str]:
    """Lines of a table: the causal slice of the violation, and words for some steps of it.

    Of a long one the end, and the steps that have a mark.  `brief`: without the answers, for what
    they say is seen in what is done next, unless they lead to something.
    """
    part = slice_of(records, violation)
    marks = marks or {}
    rows: list[Row] = []
    steps = told(records, part)
    for one in [step for step in steps if _tells(step, steps[-1], marks)] if brief else steps:
        mark = marks.get(one.step, "") if one.step else ""
        did = f"{one.did}   {mark}".strip() if mark else one.did
        rows.append((str(one.step or one.n), one.peer, one.actor, one.message, did))
    if not rows:
        return []
    end = "(the end)" if part.at_end else "<- violation"
    rows[-1] = (*rows[-1][:4], f"{rows[-1][4]}   {end}".lstrip())
    most = BRIEF_MAX if brief else ROWS_MAX
    marked = [row for row in rows[:-most] if int(row[0]) in marks]
    kept = most - len(marked) if brief else most
    early = rows[:-kept]
    head, *lines = columns([HEAD, *marked, *rows[-kept:]])
    if early:
        of = f" about {part.subject.words()}" if part.subject.words() else ""
        lines.insert(len(marked), f"  ... {len(early) - len(marked):,} earlier steps{of}")
    return [line.rstrip() for line in (head, *lines)]


def _tells(step: SliceStep, last: SliceStep, marks: Mapping[int, str]) -> bool:
    """Whether a brief story has it."""
    if step is last or step.step in marks or step.message not in _ANSWERS:
        return True
    return bool(step.did) and not step.did.endswith("ended in ok")


def told(records: Sequence[Record], part: Slice) -> list[SliceStep]:
    """The steps of a slice, with what each did."""
    doings = _doings(records)
    return [
        SliceStep(
            step=cause.record.stamp.step,
            actor=cause.record.stamp.actor,
            n=cause.record.stamp.n,
            peer=cause.message.peer,
            message=cause.message.message,
            did="; ".join(doings.get(cause.key, [])),
            about=cause.about,
        )
        for cause in part.causes
    ]


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
