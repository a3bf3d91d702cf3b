"""Reads a stored history line by line, and notices what is not there (§6.4).

Every actor's inputs are numbered without gaps, an input comes after the one that caused it, and
the last record says how many there are: so a line that was lost is found, in a history from either
world.  What follows a gap is not read: judged by half a history, the sound protocol looks broken.
"""

from collections.abc import Container, Iterator
from itertools import chain
from pathlib import Path
from typing import Final

import msgspec
from msgspec import DecodeError, Struct

from experiments.harness.finding import summary_of
from experiments.harness.reading import shown
from experiments.harness.store import HISTORY
from protocol.errors import IncompleteError, UnreadableError
from protocol.facts import Event, MessageDelivered, RunEnded, RunStarted
from protocol.history import (
    HISTORY_FORMAT,
    TAG_AT,
    Record,
    Skims,
    Stamp,
    decode_record,
)
from protocol.names import SUPERVISOR, Name

LINE_BYTES_MAX: Final = 1 << 20
BLOCK_BYTES: Final = 1 << 16
"""So much of the file is read at a time: less than a line may have."""


class DoubtfulError(IncompleteError):
    """A line is missing, or twice there, and nobody knows which: nothing that was found is sure."""


class _Head(Struct, frozen=True):
    """What the first line has in every format."""

    event: str
    format: int = 0


class History:
    """A history's file.  `read` gives its records; `ended` is the last one, once it was read.

    Where actors have inputs, `inputs` says how many of each were read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.said = shown(path)
        self.count = 0
        self.ended: RunEnded | None = None
        self.last: Stamp | None = None
        """Of the last record, whether it was given or not."""
        self._deliveries = 0
        self.inputs: dict[Name, int] = {}
        self._skims: Skims | None = None

    def only(self, observed: Container[type[Event]]) -> None:
        """From here on an actor's records of other facts are checked, counted, and not given."""
        self._skims = Skims(observed)

    def read(self) -> Iterator[Record]:
        """The records in their order.

        `IncompleteError` where something is missing, `UnreadableError` where something is wrong.
        """
        inputs = self.inputs
        for line in chain.from_iterable(self._lines()):
            if not self.count:
                self._check_head(line)
            skims = self._skims
            skim = skims[line[: line.find(b'"', TAG_AT)]] if skims else None
            record: Record | None = None
            try:
                if skim is not None:
                    fact, stamped = skim
                    stamp = stamped(line)
                else:
                    record = decode_record(line)
                    fact, stamp = type(record.fact), record.stamp
            except (UnreadableError, DecodeError, RecursionError):
                record = decode_record(line, self._where())  # Once more, to say where.
                fact, stamp = type(record.fact), record.stamp
            if fact is MessageDelivered or stamp.n != inputs.get(stamp.actor):
                if stamp.actor == SUPERVISOR:
                    record = record or decode_record(line)
                    self._check_world(record)
                else:
                    self._check_input(stamp, fact)
            if self.ended is not None and fact is not RunEnded:
                raise UnreadableError(f"{self._where()}: comes after run.ended")
            self.count += 1
            self.last = stamp
            if record is not None:
                yield record
        self._check_end()

    def _lines(self) -> Iterator[list[bytes]]:
        """Lines, some at a time, without their ends; none that is too long, no part of one."""
        part = b""
        with self.path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                lines = (part + block).split(b"\n")
                if len(lines[0]) > LINE_BYTES_MAX:
                    raise UnreadableError(f"{self._where()}: longer than {LINE_BYTES_MAX} bytes")
                part = lines.pop()
                yield lines
        if part:
            raise IncompleteError(
                f"{self._where()}: cut off after {len(part)} bytes; all before is judged"
            )

    def _where(self) -> str:
        return f"{self.said} line {self.count + 1}"

    def _check_world(self, record: Record) -> None:
        """The world's own records are not numbered without gaps; there is one beginning and end."""
        if isinstance(record.fact, RunStarted) and self.count:
            raise UnreadableError(f"{self._where()}: a second history begins here")
        if isinstance(record.fact, RunEnded):
            if self.ended is not None:
                raise UnreadableError(f"{self._where()}: comes after run.ended")
            self.ended = record.fact

    def _check_head(self, line: bytes) -> None:
        where = self._where()
        try:
            head = msgspec.json.decode(line, type=_Head)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UnreadableError(f"{where}: not a history record: {error}") from error
        if head.event != "run.started":
            raise UnreadableError(f"{where}: a history begins with run.started")
        if head.format != HISTORY_FORMAT:
            raise UnreadableError(
                f"{where}: history format {head.format}, this version reads {HISTORY_FORMAT}"
            )

    def _check_input(self, stamp: Stamp, fact: type[Event]) -> None:
        """An input of an actor is its next one, and what caused it was there before."""
        known = self.inputs.get(stamp.actor, 0)
        if stamp.n <= known:
            raise UnreadableError(
                f"{self._where()}: input {stamp.n} of {stamp.actor} after its input {known}:"
                " the lines are not in their order, or twice there"
            )
        missing = ""
        if stamp.n > known + 1 or fact is not MessageDelivered:
            missing = f"input {known + 1} of {stamp.actor}"
        elif stamp.cause and self.inputs.get(stamp.cause, 0) < stamp.cause_n:
            missing = f"input {stamp.cause_n} of {stamp.cause}, the cause of this one,"
        if missing:
            raise IncompleteError(f"{self._where()}: {missing} is missing; all before is judged")
        self.inputs[stamp.actor] = stamp.n
        self._deliveries += 1

    def _check_end(self) -> None:
        if self.count == 0:
            raise IncompleteError(f"{self.said}: is empty")
        if self.ended is None:
            raise IncompleteError(f"{self.said}: the end is missing: no run.ended record")
        if self._deliveries < self.ended.steps:
            raise DoubtfulError(
                f"{self.said}: has {self._deliveries:,} deliveries,"
                f" of {self.ended.steps:,} that there were"
            )
        written = self.ended.records or self._counted()
        if written and written != self.count:
            raise DoubtfulError(
                f"{self.said}: has {self.count:,} records, of {written:,} that were written"
            )

    def _counted(self) -> int:
        """How many records the run's result says there are; 0: it does not say."""
        summary = summary_of(self.path.parent) if self.path.name == HISTORY else None
        return summary.counts.get("records", 0) if summary else 0
