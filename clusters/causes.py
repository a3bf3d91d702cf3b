"""The causal slice of a violation: the inputs that led to it, and what they have to do with it.

What happened before the violating record, by vector clock, and is about the same PASID (or device,
or VM, where no PASID can be told), together with all that caused it.  It is made from records
alone, so it is the same for a simulated history and for a live one.
"""

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct

from clusters.judge import Violation
from protocol.facts import (
    Event,
    MessageDelivered,
    OpFail,
    OpInfo,
    OpInvoked,
    OpOk,
    PropertyViolated,
    RunEnded,
    RunStarted,
)
from protocol.history import Record
from protocol.names import Name, Pasid, vm_of

WORD: Final = re.compile(r"[A-Za-z0-9_.-]*[A-Za-z0-9_-]")
NAMED: Final = re.compile(r"\bPASID ([0-9]+)")

Key: TypeAlias = tuple[Name, int]
"""An input: whose, and its number."""


class Subject(Struct, frozen=True):
    """What a violation is about; 0 and "": that cannot be told."""

    pasid: Pasid = 0
    device: Name = ""
    vm: Name = ""

    def words(self) -> str:
        """The narrowest of it."""
        if self.pasid:
            return f"PASID {self.pasid}"
        return self.device or self.vm


class Cause(Struct, frozen=True):
    """One input of the slice.

    `about`: it is about the subject; else it is there because it caused something that is.
    """

    record: Record
    message: MessageDelivered
    about: bool

    @property
    def key(self) -> Key:
        """Whose input it is, and its number."""
        return self.record.stamp.actor, self.record.stamp.n


class Slice(Struct, frozen=True):
    """The causes of a violation, in the order of the history; the last is where it was said.

    `at_end`: it was said at the end, about what never happened.
    """

    subject: Subject
    causes: tuple[Cause, ...]
    at_end: bool


def slice_of(records: Sequence[Record], violation: Violation) -> Slice:
    """The causal slice of a violation in the history that it was found in."""
    last = violation.record
    at_end = isinstance(last.fact, RunEnded) or not _said_at(records, violation)
    subject = _subject(records, violation, at_end=at_end)
    everything = at_end and subject == Subject()
    inputs: dict[Key, Record] = {}
    about: dict[Key, None] = {}
    for record in records:
        stamp, fact = record.stamp, record.fact
        key = (stamp.actor, stamp.n)
        if not (at_end or last.saw(*key)):
            continue
        if isinstance(fact, MessageDelivered):
            inputs[key] = record
        if everything or _about(subject, record):
            about[key] = None
    if not at_end:
        about[last.stamp.actor, last.stamp.n] = None
    kept = _closed(inputs, about)
    causes = tuple(
        Cause(record, record.fact, key in about)
        for key, record in inputs.items()
        if key in kept and isinstance(record.fact, MessageDelivered)
    )
    return Slice(subject, causes, at_end)


def _closed(inputs: dict[Key, Record], about: dict[Key, None]) -> dict[Key, None]:
    """These inputs, what caused them, what caused that, and so on."""
    kept: dict[Key, None] = {}
    for start in about:
        key = start
        while key in inputs and key not in kept:
            kept[key] = None
            key = (inputs[key].stamp.cause, inputs[key].stamp.cause_n)
    return kept


def _about(subject: Subject, record: Record) -> bool:
    """Whether an input, or a fact of it, is about the subject."""
    if subject.pasid:
        return _said(record.fact, "pasid") == subject.pasid
    actor = record.stamp.actor
    if subject.device:
        return subject.device in (actor, _said(record.fact, "device"))
    return bool(subject.vm) and subject.vm in (vm_of(actor), _said(record.fact, "vm"))


def _said(fact: Event, key: str) -> object:
    """What a message or a fact says under a name."""
    return fact.detail.get(key) if isinstance(fact, MessageDelivered) else getattr(fact, key, None)


def _said_at(records: Sequence[Record], violation: Violation) -> bool:
    """Whether it was said at a record, and not at the end about what never happened."""
    stamp = violation.record.stamp
    return any(
        isinstance(record.fact, PropertyViolated)
        and record.fact.message == violation.sentence
        and (record.stamp.actor, record.stamp.n) == (stamp.actor, stamp.n)
        for record in reversed(records)
    )


def _subject(records: Sequence[Record], violation: Violation, *, at_end: bool) -> Subject:
    """What it is about: the fact's, its operation's, or what is named."""
    fact, actor = violation.record.fact, violation.record.stamp.actor
    if not at_end and (pasid := getattr(fact, "pasid", 0)):
        return Subject(int(pasid), getattr(fact, "device", ""), getattr(fact, "vm", ""))
    if not at_end and isinstance(fact, OpOk | OpFail | OpInfo):
        began = [one.fact for one in records if one.stamp.actor == actor]
        for one in reversed(began):
            if isinstance(one, OpInvoked) and one.op == fact.op:
                return Subject(one.pasid)
    if named := NAMED.search(violation.sentence):
        return Subject(int(named[1]))
    if not at_end:
        return Subject(0, getattr(fact, "device", ""), getattr(fact, "vm", ""))
    return _named(records, violation.sentence)


def _named(records: Sequence[Record], sentence: str) -> Subject:
    """The first VM or device of the machine that a sentence names."""
    begun = next((one.fact for one in records if isinstance(one.fact, RunStarted)), None)
    if begun is None:
        return Subject()
    machine = begun.machine
    devices = [*(device.name for device in machine.devices), *machine.parents]
    vms = [vm.name for vm in begun.machine.vms]
    for word in WORD.findall(sentence):
        if word in devices:
            return Subject(device=word)
        if vm_of(word) in vms:
            return Subject(vm=vm_of(word))
    return Subject()
