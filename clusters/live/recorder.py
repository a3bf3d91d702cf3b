"""A live run's history, as its re-execution tells it: judged, counted, written while it fits."""

from collections.abc import Callable
from typing import Final, cast

from clusters.judge import Judge
from protocol.facts import EntryCleared, EntryWritten, Event, PasidReclaimed
from protocol.facts.world import RunEnded
from protocol.history import Record, Stamp, encode_record
from protocol.names import SUPERVISOR, Pasid

NO_END: Final = 1 << 62
"""Bytes: whatever there is fits."""


class Recorder:
    """Writes the history and lets the judge see it; `run.ended` waits for the judge's last word.

    What is behind `room` bytes is not written: `cut` says so, and the history has no end.
    """

    def __init__(
        self, judge: Judge, write: Callable[[bytes], object] | None, room: int = NO_END
    ) -> None:
        self.judge = judge
        self.count = 0
        self.lives = 0
        self.bound = 0
        self._entries: dict[Pasid, int] = {}
        """In how many tables of devices each is."""

        self.cut = False
        self._room = room
        self._write = write
        self._last: Record | None = None
        self._serial = 0

    def __call__(self, record: Record) -> None:
        """One more record."""
        if record.stamp.actor == SUPERVISOR:
            self._serial = record.stamp.n
        if isinstance(record.fact, RunEnded):
            self._last = record
            return
        self._put(record)
        self.judge.observe(record)
        self._news(record.stamp)

    @property
    def counts(self) -> dict[str, int]:
        """How many records there were, PASIDs that came to their end, or were bound at once."""
        return {"records": self.count, "lives": self.lives, "bound": self.bound}

    def end(self) -> None:
        """What the judge said at the end, and the end."""
        self._news(None)
        if self._last is not None:
            self._put(Record(self._stamp(self._last.stamp.ts_ns), self._last.fact))

    def _news(self, stamp: Stamp | None) -> None:
        news, self.judge.news = self.judge.news, []
        for fact in news:
            self._put(Record(stamp or self._stamp(0), cast("Event", fact)))

    def _stamp(self, ts_ns: int) -> Stamp:
        self._serial += 1
        return Stamp(
            actor=SUPERVISOR, n=self._serial, ts_ns=ts_ns, clock={SUPERVISOR: self._serial}
        )

    def _put(self, record: Record) -> None:
        self.count += 1
        match record.fact:
            case PasidReclaimed():
                self.lives += 1
            case EntryWritten(pasid=pasid, was_present=False):
                self._entries[pasid] = self._entries.get(pasid, 0) + 1
                self.bound = max(self.bound, len(self._entries))
            case EntryCleared(pasid=pasid):
                self._entries[pasid] = self._entries.get(pasid, 1) - 1
                if not self._entries[pasid]:
                    del self._entries[pasid]
            case _:
                pass
        if self._write is None or self.cut:
            return
        line = encode_record(record) + b"\n"
        self._room -= len(line)
        self.cut = self._room < 0
        if not self.cut:
            self._write(line)
