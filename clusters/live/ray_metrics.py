"""A host's numbers as Ray metrics, for Prometheus; nothing at all where Ray collects none.

Once a second, at a tick: what was counted meanwhile goes to Ray, in a dozen calls of some
microseconds.  `deploy/grafana/pasidlab.json` shows these and no others; a test holds them together.
"""

import os
from typing import Final

from msgspec import Struct

from clusters.live.live_host import Status
from clusters.live.meter import Meter

SWITCH: Final = "RAY_enable_metrics_collection"
EVERY_NS: Final = 1_000_000_000
SECOND: Final = 1e9
TAGS: Final = ("run", "pasidlab_host")
"""Of every metric."""


class Metric(Struct, frozen=True):
    """`kind`: a counter only grows, a gauge is what it is now.  Ray puts `ray_` before its name."""

    kind: str
    says: str


METRICS: Final = {
    "pasidlab_messages_total": Metric("counter", "messages that actors were handed, journalled"),
    "pasidlab_calls_total": Metric("counter", "batches that left for other hosts"),
    "pasidlab_frames_total": Metric("counter", "messages that left for other hosts"),
    "pasidlab_batch_frames": Metric("gauge", "messages in a batch, in the last second"),
    "pasidlab_resent_total": Metric("counter", "links on which all that was late left again"),
    "pasidlab_duplicates_total": Metric("counter", "messages that came again and were not handled"),
    "pasidlab_refused_total": Metric("counter", "frames and batches that could not be read"),
    "pasidlab_journal_appends_total": Metric("counter", "transactions of the journal"),
    "pasidlab_journal_seconds_total": Metric("counter", "seconds that they took together"),
    "pasidlab_journal_seconds_max": Metric("gauge", "seconds of the longest in the last second"),
    "pasidlab_unacknowledged": Metric("gauge", "messages sent and not journalled by who gets them"),
    "pasidlab_free_pending": Metric("gauge", "PASIDs that are freed and not reclaimed"),
    "pasidlab_free_pending_age_seconds": Metric("gauge", "how long the oldest of them has been so"),
    "pasidlab_lives_total": Metric("counter", "PASIDs that were reclaimed"),
    "pasidlab_epoch": Metric("gauge", "the host's incarnation"),
    "pasidlab_recovery_seconds": Metric("gauge", "what this incarnation took to come back"),
    "pasidlab_recovered_messages": Metric("gauge", "how many messages it lived again for that"),
}


def readings(status: Status, meter: Meter, now_ns: int) -> dict[str, float]:
    """The value of each metric but `pasidlab_batch_frames`, which is of an interval."""
    counts = status.counts
    refused = ("refused", "refused_link", "refused_epoch")
    return {
        "pasidlab_messages_total": sum(status.inputs.values()),
        "pasidlab_calls_total": counts.get("calls", 0),
        "pasidlab_frames_total": counts.get("frames", 0),
        "pasidlab_resent_total": counts.get("resent", 0),
        "pasidlab_duplicates_total": counts.get("duplicates", 0),
        "pasidlab_refused_total": sum(counts.get(one, 0) for one in refused),
        "pasidlab_journal_appends_total": meter.appends,
        "pasidlab_journal_seconds_total": meter.journal_ns / SECOND,
        "pasidlab_journal_seconds_max": meter.journal_ns_max / SECOND,
        "pasidlab_unacknowledged": status.unacknowledged,
        "pasidlab_free_pending": len(meter.pending),
        "pasidlab_free_pending_age_seconds": meter.oldest_ns(now_ns) / SECOND,
        "pasidlab_lives_total": meter.reclaimed,
        "pasidlab_epoch": status.epoch,
        "pasidlab_recovery_seconds": meter.recovery_ns / SECOND,
        "pasidlab_recovered_messages": meter.recovered,
    }


class Metrics:
    """Those of one host, made when they are first told."""

    def __init__(self, run: str, host: str) -> None:
        from ray.util.metrics import Counter, Gauge

        tags = dict(zip(TAGS, (run, host), strict=True))
        self._counters = {
            name: Counter(name, one.says, TAGS)
            for name, one in METRICS.items()
            if one.kind == "counter"
        }
        self._gauges = {
            name: Gauge(name, one.says, TAGS)
            for name, one in METRICS.items()
            if one.kind == "gauge"
        }
        for metric in (*self._counters.values(), *self._gauges.values()):
            metric.set_default_tags(tags)
        self._told: dict[str, float] = {}
        self._told_ns = 0

    def tell(self, status: Status, meter: Meter, now_ns: int) -> None:
        """Now and then; what has not grown is not said."""
        if now_ns - self._told_ns < EVERY_NS:
            return
        self._told_ns = now_ns
        now = readings(status, meter, now_ns)
        grown = {name: now[name] - self._told.get(name, 0) for name in self._counters}
        for name, counter in self._counters.items():
            if grown[name] > 0:
                counter.inc(grown[name])
        calls = grown["pasidlab_calls_total"]
        now["pasidlab_batch_frames"] = grown["pasidlab_frames_total"] / calls if calls else 0.0
        for name, gauge in self._gauges.items():
            gauge.set(now[name])
        self._told = now
        meter.journal_ns_max = 0


def metrics_of(run: str, host: str) -> Metrics | None:
    """None where Ray collects none, as in a Ray of our own unless it was asked to."""
    return None if os.environ.get(SWITCH, "1") in ("0", "false") else Metrics(run, host)
