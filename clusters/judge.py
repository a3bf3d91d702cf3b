"""Properties over a history, and the verdict: pass, violation or unknown (§6.4).

The same judge sits in a simulated run, behind a live one and over a stored history.  A *sometimes*
that never happened, an end that was not quiet and a gap in the history are unknown, never a pass.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from msgspec import Struct, structs

from clusters.host import whole
from clusters.moments import Moment
from protocol.facts import Event
from protocol.facts.world import (
    FaultBegun,
    FaultHealed,
    PropertyViolated,
    RunEnded,
    WitnessSeen,
)
from protocol.history import Record, Stamp
from protocol.machine import Machine
from protocol.names import SUPERVISOR, Name
from protocol.properties.property import End, Kind, Property

VIOLATIONS_MAX: Final = 100
"""Violations of one property that are kept; all are counted."""
OWED_MAX: Final = 4
"""Obligations of one property that are said; how many more there are is said, too."""
FREEZING: Final = ("crash", "pause", "partition")
"""Faults that keep an actor from doing anything, or from all others, while they last."""

NOTHING_SEEN: Final = Record(Stamp(actor=SUPERVISOR, n=0), RunEnded(quiet=True, steps=0))
"""Stands for the last record of a history without any."""

ALWAYS, EVENTUALLY, SOMETIMES = Kind
"""By names of their own: a schedule asks a hundred times, and an Enum looks long."""

Word = Literal["held", "violated", "met", "unmet", "seen", "unseen", "unjudged"]
Finding = Literal["pass", "violation", "unknown"]

Observer: TypeAlias = tuple[Callable[[Record], str | None], int]
"""A property's `observe`, and its place among the properties."""


class Violation(Struct, frozen=True):
    """A property's sentence, and the record at which it was said; at the end, the last one seen."""

    property: str
    sentence: str
    record: Record


class Status(Struct, frozen=True, gc=False):
    """How one property came out, how often it was violated or seen, and why it is not better.

    `owed`: what of an *eventually* is not met, with age and owner; if the word is "met", what only
    frozen actors owe.
    """

    name: str
    kind: str
    word: Word
    violations: int = 0
    witnesses: int = 0
    reason: str = ""
    owed: tuple[str, ...] = ()


class Verdict(Struct, frozen=True):
    """What a run, or many of them, came to.

    `gaps`: what of the history is missing, and why.  `busy`: what kept a run from coming to rest,
    of many the first.
    """

    word: Finding
    reasons: tuple[str, ...] = ()
    properties: tuple[Status, ...] = ()
    gaps: tuple[str, ...] = ()
    busy: str = ""


class Judge:
    """Hands each record to the properties that observe its type, and keeps what they say.

    `news` is what the last `observe` or `finish` has to add to the history.
    """

    __slots__ = (
        "_counts", "_frozen", "_inputs", "_last", "_observers", "_properties", "_step", "news",
        "violations", "witnesses",
    )  # fmt: skip

    def __init__(self, machine: Machine, properties: Sequence[type[Property]]) -> None:
        self._properties = [each(machine) for each in properties]
        self._counts = [0] * len(self._properties)
        observers = [(judged.observe, index) for index, judged in enumerate(self._properties)]
        self._observers: dict[type[Event], list[Observer]] = {
            fact: [observers[index] for index in places]
            for fact, places in places_of(tuple(properties)).items()
        }
        self._frozen = Frozen()
        for fact in (FaultBegun, FaultHealed):
            self._observers.setdefault(fact, []).append((self._frozen.observe, -1))
        self._inputs: dict[Name, int] = {}
        """Where there are no steps: the last input of each actor."""
        self._last = NOTHING_SEEN
        self._step = 0
        self.violations: list[Violation] = []
        self.witnesses = {each.name: 0 for each in properties if each.kind is SOMETIMES}
        self.news: list[PropertyViolated | WitnessSeen] = []

    @property
    def observed(self) -> Container[type[Event]]:
        """The types of fact that somebody observes; others need not be handed in."""
        return self._observers

    def observe(self, record: Record) -> bool:
        """Let the properties see a record; True if one says that it is violated."""
        self._last = record
        if not record.stamp.step:
            self._inputs[record.stamp.actor] = record.stamp.n
        observers = self._observers.get(type(record.fact))
        return observers is not None and self._shown(record, observers)

    def observe_input(self, moment: Moment, facts: Sequence[Event]) -> bool:
        """The same for all facts of one input; no record is made of what nobody observes."""
        stamp: Stamp = moment  # type: ignore[assignment]  # It has all that a stamp has.
        violated = False
        every = self._observers
        record = None
        for fact in facts:
            observers = every.get(type(fact))
            if observers is not None:
                record = Record(stamp, fact)
                for observe, index in observers:
                    sentence = observe(record)
                    if sentence is not None:
                        violated |= self._said(index, sentence, record)
        if record is not None:
            self._last = record
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
        if judged.kind is SOMETIMES:
            self.witnesses[judged.name] += 1
            if self._counts[index] == 1:
                self.news.append(WitnessSeen(judged.name))
            return False
        if self._counts[index] <= VIOLATIONS_MAX:
            self.violations.append(Violation(judged.name, sentence, whole(record)))
            self.news.append(PropertyViolated(judged.name, sentence))
        return True

    def ends_at(self, last: Stamp, inputs: Mapping[Name, int]) -> None:
        """Where a history ends of which only what somebody observes was handed in."""
        self._step = last.step
        if not last.step:
            self._inputs |= inputs

    def finish(
        self, *, quiet: bool, gaps: Sequence[str] = (), step: int = 0, busy: str = ""
    ) -> Verdict:
        """The verdict.  *Eventually* counts only if nothing was left to happen (`quiet`).

        `step`: where the history ends, if that is later than its last record.
        """
        step = max(step, self._step, self._last.stamp.step)
        end = End(step, self._inputs, self._frozen.actors(quiet=quiet))
        statuses = []
        certain = quiet and not gaps
        for index, judged in enumerate(self._properties):
            if judged.kind is not EVENTUALLY:
                statuses.append(self._status(judged, self._counts[index], certain=certain))
                continue
            owed = judged.unmet()
            excused = [one for one in owed if one.excused(end)]
            due = [one.said(end) for one in owed if not one.excused(end)]
            for sentence in due if certain else ():
                self._said(index, sentence, self._last)
            status = self._status(judged, self._counts[index], certain=certain)
            if owed:
                shown = due or [one.said(end) for one in excused]
                status = structs.replace(status, owed=_some(shown))
            statuses.append(status)
        return _verdict(statuses, gaps, busy)

    def _status(self, judged: Property, count: int, *, certain: bool) -> Status:
        name = judged.name
        if judged.kind is SOMETIMES:
            if count:
                return Status(name, "sometimes", "seen", witnesses=count)
            return Status(name, "sometimes", "unseen", reason="it never happened")
        if count:
            first = next(one.sentence for one in self.violations if one.property == name)
            if judged.kind is ALWAYS:
                return Status(name, "always", "violated", violations=count, reason=first)
            more = f"; and {count - 1:,} more" if count > 1 else ""
            return Status(name, "eventually", "unmet", violations=count, reason=first + more)
        if judged.kind is ALWAYS:
            return Status(name, "always", "held")
        if certain:
            return Status(name, "eventually", "met")
        return Status(name, "eventually", "unjudged", reason="the end was not quiet")


@lru_cache
def places_of(properties: tuple[type[Property], ...]) -> dict[type[Event], list[int]]:
    """Of each type of fact, which of the properties observe it."""
    places: dict[type[Event], list[int]] = {}
    for index, each in enumerate(properties):
        for fact in each.observes:
            places.setdefault(fact, []).append(index)
    return places


class Frozen:
    """Who suffers what, by the world's records of faults."""

    __slots__ = ("_faults",)

    def __init__(self) -> None:
        self._faults: dict[tuple[str, Name], None] = {}

    def observe(self, record: Record) -> None:
        """One more, or one less."""
        match record.fact:
            case FaultBegun(fault=fault, target=target) if fault in FREEZING:
                self._faults[fault, target] = None
            case FaultBegun(fault="lose" | "remove", target=target):
                for fault in FREEZING:
                    self._faults.pop((fault, target), None)
            case FaultHealed(fault=fault, target=target):
                self._faults.pop((fault, target), None)

    def actors(self, *, quiet: bool) -> dict[Name, None]:
        """Those who will never do anything again: at a quiet end nobody is healed any more."""
        return {target: None for _, target in self._faults} if quiet else {}


def _some(sentences: Sequence[str]) -> tuple[str, ...]:
    """The first of them, and how many more there are."""
    more = len(sentences) - OWED_MAX
    return (*sentences[:OWED_MAX], *([f"and {more:,} more"] if more > 0 else []))


def merge(verdicts: Iterable[Verdict]) -> Verdict:
    """Many schedules as one: violated in any is violated, seen in any is seen."""
    merged: dict[str, Status] = {}
    gaps: dict[str, None] = {}
    busy = ""
    for verdict in verdicts:
        gaps |= dict.fromkeys(verdict.gaps)
        busy = busy or verdict.busy
        for status in verdict.properties:
            known = merged.get(status.name)
            merged[status.name] = status if known is None else _both(known, status)
    return _verdict(list(merged.values()), tuple(gaps), busy)


_WEIGHT: Final[dict[Word, int]] = {
    "held": 0, "met": 0, "unseen": 1, "unjudged": 1, "seen": 2, "unmet": 2, "violated": 2,
}  # fmt: skip


def _both(one: Status, other: Status) -> Status:
    """The word that weighs more, the earlier one's if they weigh the same; counts add up.

    Of two that weigh the same, one that owes something is said first.
    """
    said = max(one, other, key=lambda status: (_WEIGHT[status.word], bool(status.owed)))
    return structs.replace(
        said,
        violations=one.violations + other.violations,
        witnesses=one.witnesses + other.witnesses,
    )


def _verdict(statuses: Sequence[Status], gaps: Sequence[str], busy: str) -> Verdict:
    broken = [one for one in statuses if one.word in ("violated", "unmet")]
    open_ = [one for one in statuses if one.word in ("unseen", "unjudged")]
    word: Finding = "violation" if broken else "unknown" if open_ or gaps else "pass"
    reasons = [f"{one.name}: {one.reason}" for one in [*broken, *open_]]
    reasons += [f"{one.name}: still owed: {owed}" for one in open_ for owed in one.owed]
    return Verdict(
        word, (*reasons, *gaps, *([busy] if busy else [])), tuple(statuses), tuple(gaps), busy
    )
