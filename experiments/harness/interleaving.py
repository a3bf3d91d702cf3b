"""A counterexample in domain words: as a numbered story, or as the interleaving of a mail.

Both tell the same moments of the causal slice: who did what, and what came of it.  The mail's is
plain text, one column per actor, time downwards, at most 72 characters wide.
"""

import textwrap
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from clusters.causes import slice_of
from clusters.judge import Violation
from experiments.harness.domain_words import doer, words_of
from experiments.harness.story import told
from protocol.history import Record

WIDTH: Final = 72
TEXT_MIN: Final = 30
"""Characters that the last column has at least."""
APART_MAX: Final = 20
MOMENTS_MAX: Final = 24
INDENT: Final = 2


class Moment(Struct, frozen=True):
    """Somebody did something: in the kernel's words and in plain ones; and what came of it."""

    step: int
    who: str
    call: str
    phrase: str
    did: tuple[str, ...]


def moments(records: Sequence[Record], violation: Violation) -> list[Moment]:
    """What is told of a violation, in order; the last one ends with what is wrong."""
    part = slice_of(records, violation)
    found: list[Moment] = []
    for cause, one in zip(part.causes, told(records, part), strict=True):
        words = words_of(cause.message)
        did = tuple(one.did.split("; ")) if one.did else ()
        if words is None and not did:
            continue
        if words is None:
            found.append(Moment(one.step or one.n, one.actor, "", "", did))
            continue
        who = doer(cause.message, one.actor, words)
        found.append(Moment(one.step or one.n, who, words.call, words.phrase, did))
    return found


def numbered(told_moments: Sequence[Moment], sentence: str) -> list[str]:
    """The story in plain words, one line for each moment."""
    lines = []
    width = max((len(one.who) for one in told_moments), default=0)
    for one in told_moments:
        said = one.phrase
        if one.did:
            said = f"{said}: {'; '.join(one.did)}" if said else "; ".join(one.did)
        lines.append(f"{one.step:>6}  {one.who:<{width}}  {said}")
    return [*lines, f"{'':>6}  {'':<{width}}  => {sentence}"]


def interleaved(told_moments: Sequence[Moment], sentence: str) -> list[str]:
    """The same as plain text for a mail."""
    kept = list(told_moments[-MOMENTS_MAX:])
    actors = list(dict.fromkeys(one.who for one in kept))
    offsets = _offsets(actors)
    lines = _head(actors, offsets)
    if len(kept) < len(told_moments):
        lines.append(f"[{len(told_moments) - len(kept)} earlier steps]")
    for one in kept:
        lines += _said(one, offsets[one.who])
    lines.append("")
    lines += textwrap.wrap(f"=> {sentence}", WIDTH, subsequent_indent="   ")
    return [line.rstrip() for line in lines]


def _offsets(actors: Sequence[str]) -> dict[str, int]:
    """Where each column begins: all are the same distance apart."""
    apart = min(APART_MAX, (WIDTH - TEXT_MIN) // max(1, len(actors) - 1))
    return {name: k * apart for k, name in enumerate(actors)}


def _head(actors: Sequence[str], offsets: dict[str, int]) -> list[str]:
    """The names above their columns: in one line if they fit, else as a staircase."""
    lines: list[str] = [""]
    for name in actors:
        at = offsets[name]
        if lines[-1] and len(lines[-1]) + 2 > at:
            lines.append("")
        lines[-1] = f"{lines[-1]:<{at}}{name}"
    rule = ""
    for name in actors:
        at = offsets[name]
        rule = f"{rule:<{at}}" + "-" * min(len(name), _room(actors, offsets, at))
    return [*lines, rule]


def _room(actors: Sequence[str], offsets: dict[str, int], at: int) -> int:
    others = [offsets[name] for name in actors if offsets[name] > at]
    return min(others) - at - 1 if others else WIDTH - at


def _said(one: Moment, at: int) -> list[str]:
    """A moment in its column, with what came of it below, indented."""
    width = WIDTH - at
    parts = textwrap.wrap(one.call, width, subsequent_indent=" " * INDENT) if one.call else []
    for did in one.did:
        indent = " " * INDENT if one.call else ""
        parts += textwrap.wrap(
            did, width, initial_indent=indent, subsequent_indent=f"{indent}{' ' * INDENT}"
        )
    return [" " * at + part for part in parts]
