"""The history of a live run as it is written: with what the judge says of it, in its place."""

from collections.abc import Callable
from typing import cast

from clusters.judge import Judge
from protocol.facts import Event
from protocol.facts.world import RunEnded
from protocol.history import Record, Stamp, encode_record
from protocol.names import SUPERVISOR


class Recorder:
    """Writes the history and lets the judge see it; `run.ended` waits for the judge's last word."""

    def __init__(self, judge: Judge, write: Callable[[bytes], object]) -> None:
        self.judge = judge
        self.count = 0
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
        self._write(encode_record(record) + b"\n")
        self.count += 1
