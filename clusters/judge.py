"""Properties over a history, and the verdict: pass, violation or unknown (§6.4).

The same judge sits in a simulated run, behind a live one and over a stored history.  A *sometimes*
that never happened, an end that was not quiet and a gap in the history are unknown, never a pass.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct, structs

from clusters.host import whole
from protocol.facts import Event
from protocol.facts.world import PropertyViolated, RunEnded, WitnessSeen
from protocol.history import Record, Stamp
from protocol.machine import Machine
from protocol.names import SUPERVISOR
from protocol.properties.property import Kind, Property

VIOLATIONS_MAX: Final = 100
"""Violations of one property that are kept; all are counted."""

NOTHING_SEEN: Final = Record(Stamp(actor=SUPERVISOR, n=0), RunEnded(quiet=True, steps=0))
"""Stands for the last record of a history without any."""

Word = Literal["held", "violated", "met", "unmet", "seen", "unseen", "unjudged"]
Finding = Literal["pass", "violation", "unknown"]

Observer: TypeAlias = tuple[Callable[[Record], str | None], int]
"""A property's `observe`, and its place among the properties."""


class Violation(Struct, frozen=True):
    """A property's sentence, and the record at which it was said; at the end, the last one seen."""

    property: str
    sentence: str
    record: Record


class Status(Struct, frozen=True):
    """How one property came out, how often it was violated or seen, and why it is not better."""

    name: str
    kind: str
    word: Word
    violations: int = 0
    witnesses: int = 0
    reason: str = ""


class Verdict(Struct, frozen=True):
    """What a run, or many of them, came to.  `gaps`: what of the history is missing, and why."""

    word: Finding
    reasons: tuple[str, ...] = ()
    properties: tuple[Status, ...] = ()
    gaps: tuple[str, ...] = ()


class Judge:
    """Hands each record to the properties that observe its type, and keeps what they say.

    `news` is what the last `observe` or `finish` has to add to the history.
    """

    __slots__ = (
        "_counts", "_last", "_observers", "_properties", "news", "violations", "witnesses",
    )  # fmt: skip

    def __init__(self, machine: Machine, properties: Sequence[type[Property]]) -> None:
        self._properties = [each(machine) for each in properties]
        self._counts = [0] * len(self._properties)
        self._observers: dict[type[Event], list[Observer]] = {}
        for index, judged in enumerate(self._properties):
            observer = (judged.observe, index)
            for fact in judged.observes:
                self._observers.setdefault(fact, []).append(observer)
        self._last = NOTHING_SEEN
        self.violations: list[Violation] = []
        self.witnesses = {each.name: 0 for each in properties if each.kind is Kind.SOMETIMES}
        self.news: list[PropertyViolated | WitnessSeen] = []

    @property
    def observed(self) -> Container[type[Event]]:
        """The types of fact that somebody observes; others need not be handed in."""
        return self._observers

    def observe(self, record: Record) -> bool:
        """Let the properties see a record; True if one says that it is violated."""
        self._last = record
        observers = self._observers.get(record.fact.__class__)
        return observers is not None and self._shown(record, observers)

    def observe_input(self, stamp: Stamp, facts: Sequence[Event]) -> bool:
        """The same for all facts of one input; no record is made of what nobody observes."""
        violated = False
        every = self._observers
        for fact in facts:
            observers = every.get(fact.__class__)
            if observers is not None:
                self._last = record = Record(stamp, fact)
                for observe, index in observers:
                    sentence = observe(record)
                    if sentence is not None:
                        violated |= self._said(index, sentence, record)
        return violated

    def _shown(self, record: Record, observers: list[Observer]) -> bool:
        violated = False
        for observe, index in observers:
            sentence = observe(record)
            if sentence is not None:
                violated |= self._said(index, sentence, record)
        return violated

    def _said(self, index: int, sentence: str, record: Record) -> bool:
        judged = self._properties[index]
        self._counts[index] += 1
        if judged.kind is Kind.SOMETIMES:
            self.witnesses[judged.name] += 1
            if self._counts[index] == 1:
                self.news.append(WitnessSeen(judged.name))
            return False
        if self._counts[index] <= VIOLATIONS_MAX:
            self.violations.append(Violation(judged.name, sentence, whole(record)))
            self.news.append(PropertyViolated(judged.name, sentence))
        return True

    def finish(self, *, quiet: bool, gaps: Sequence[str] = ()) -> Verdict:
        """The verdict.  *Eventually* counts only if nothing was left to happen (`quiet`)."""
        statuses = []
        certain = quiet and not gaps
        for index, judged in enumerate(self._properties):
            owed: list[str] = []
            if judged.kind is Kind.EVENTUALLY:
                owed = judged.unmet()
                for sentence in owed if certain else ():
                    self._said(index, sentence, self._last)
            statuses.append(self._status(judged, self._counts[index], owed, certain=certain))
        return _verdict(statuses, gaps)

    def _status(self, judged: Property, count: int, owed: list[str], *, certain: bool) -> Status:
        name, kind = judged.name, judged.kind.value
        if judged.kind is Kind.SOMETIMES:
            if count:
                return Status(name, kind, "seen", witnesses=count)
            return Status(name, kind, "unseen", reason="it never happened")
        if count:
            first = next(one.sentence for one in self.violations if one.property == name)
            word: Word = "violated" if judged.kind is Kind.ALWAYS else "unmet"
            return Status(name, kind, word, violations=count, reason=first)
        if judged.kind is Kind.ALWAYS:
            return Status(name, kind, "held")
        if certain:
            return Status(name, kind, "met")
        open_end = f"the end was not quiet; still owed: {owed[0]}" if owed else "not a quiet end"
        return Status(name, kind, "unjudged", reason=open_end)


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Many schedules as one: violated in any is violated, seen in any is seen."""
    merged: dict[str, Status] = {}
    gaps: dict[str, None] = {}
    for verdict in verdicts:
        gaps |= dict.fromkeys(verdict.gaps)
        for status in verdict.properties:
            known = merged.get(status.name)
            merged[status.name] = status if known is None else _both(known, status)
    return _verdict(list(merged.values()), tuple(gaps))


_WEIGHT: Final[dict[Word, int]] = {
    "held": 0, "met": 0, "unseen": 1, "unjudged": 1, "seen": 2, "unmet": 2, "violated": 2,
}  # fmt: skip


def _both(one: Status, other: Status) -> Status:
    """The word that weighs more, the earlier one's if they weigh the same; counts add up."""
    said = other if _WEIGHT[other.word] > _WEIGHT[one.word] else one
    return structs.replace(
        said,
        violations=one.violations + other.violations,
        witnesses=one.witnesses + other.witnesses,
    )


def _verdict(statuses: Sequence[Status], gaps: Sequence[str]) -> Verdict:
    broken = [one for one in statuses if one.word in ("violated", "unmet")]
    open_ = [one for one in statuses if one.word in ("unseen", "unjudged")]
    word: Finding = "violation" if broken else "unknown" if open_ or gaps else "pass"
    reasons = [f"{one.name}: {one.reason}" for one in [*broken, *open_]]
    return Verdict(word, (*reasons, *gaps), tuple(statuses), tuple(gaps))
