"""What a schedule came to, small enough to travel, and a batch of them as a job for a worker."""

from collections.abc import Sequence

from msgspec import Struct

from clusters.judge import Verdict
from clusters.sim.strategies import Lesson, Order
from clusters.sim.world import Setup, follow
from clusters.workers import Failure


class Summary(Struct, frozen=True):
    """One schedule.  `violated`: the property that was first, or ""; `end`: a hash of all actors.

    The hash is made only where something was violated: there it is asked for.
    """

    steps: int
    quiet: bool
    violated: str
    end: str
    witnesses: dict[str, int]
    verdict: Verdict
    lesson: Lesson


class Charge(Struct, frozen=True):
    """What all batches of an exploration share.  `stop`: a violation ends a batch."""

    setup: Setup
    stop: bool


class Batch(Struct, frozen=True):
    """What came of some orders, in their order; `failure` ended it, if it is shorter than they."""

    summaries: tuple[Summary, ...]
    failure: Failure | None = None


def summarized(setup: Setup, order: Order) -> Summary:
    """Run it, judged and without its history."""
    result, lesson = follow(setup, order)
    violations = result.violations
    return Summary(
        steps=result.steps,
        quiet=result.quiet,
        violated=violations[0].property if violations else "",
        end=result.end if violations else "",
        witnesses=result.witnesses,
        verdict=result.verdict,
        lesson=lesson,
    )


def run_batch(charge: Charge, orders: Sequence[Order]) -> Batch:
    """Run them one after another, as far as an exploration would."""
    summaries: list[Summary] = []
    for order in orders:
        try:
            summary = summarized(charge.setup, order)
        except Exception as error:  # noqa: BLE001  it is raised again when it is this order's turn
            return Batch(tuple(summaries), Failure.of(error))
        summaries.append(summary)
        if charge.stop and summary.violated:
            break
    return Batch(tuple(summaries))
