"""The loop of `explore`: schedules until the budget is spent or something is found.

Workers run the orders of a round in batches; here their summaries are taken in order.  What is
found, counted and learnt is so the same for any number of workers; what they did beyond the first
violation is thrown away.
"""

import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Final, Never

from msgspec import Struct

from clusters.judge import Verdict, merge
from clusters.sim.strategies import Order, campaign, title
from clusters.sim.summary import Charge, Summary, run_batch
from clusters.workers import Failure, Here, Workers
from experiments.harness.progress import Count, progress
from experiments.harness.running import Case, Failing, Outcome, command
from experiments.harness.say import Voice, many
from protocol.errors import ClusterError, DivergedError
from protocol.history import Record

DETERMINISM_EVERY: Final = 100
"""One schedule in so many is run twice, the second time under another hash seed."""
FAILINGS_MAX: Final = 10
"""Counterexamples that are kept, one per property."""
SHARES: Final = 2
"""Batches per worker in what is left of a round, so that all come to its end together."""
PACE_MIN: Final = 1e-6
"""Seconds; no schedule is faster."""

Crew = AbstractContextManager[Workers]
"""Workers that are there inside."""
Say = Callable[[Count], None]


class Budget(Struct, frozen=True):
    """When to stop: after `schedules`, at the monotonic time `until`, or at the first violation.

    0 schedules: when all that there are have run.
    """

    schedules: int
    until: float | None
    keep_going: bool
    determinism: bool

    def words(self) -> tuple[str, ...]:
        """What it says on the command line, but for the time."""
        going = ("--keep-going",) if self.keep_going else ()
        return (*(("--schedules", str(self.schedules)) if self.schedules else ()), *going)


def explore(case: Case, budget: Budget, voice: Voice, crew: Crew | None = None) -> Outcome:
    """Run schedules 0, 1, 2, ... of the case's seed; what came out, also if it was interrupted."""
    search = Search(case, budget)
    interrupted, divergence, broken = False, "", ""
    words = (*case.asked.search_words(), *budget.words())
    again = command("explore", *words, "--seed", hex(case.seed))
    try:
        bar = progress(voice, case.name, budget.schedules)
        with crew or nullcontext(Here()) as workers, bar as say:
            search.run(workers, say)
            case.check_determinism(search.twice, workers)
    except KeyboardInterrupt:
        interrupted = True
    except ClusterError as error:
        broken = str(error)
    except DivergedError as error:
        divergence = str(error)
        if not search.between:
            again = case.replay(search.order)
    return Outcome(
        verb="explore",
        verdict=search.verdict,
        count=search.count,
        failings=tuple(search.failings),
        seconds=time.monotonic() - search.began,
        deterministic=0 if interrupted or divergence or broken else len(search.twice),
        interrupted=interrupted,
        asked=budget.schedules,
        divergence=divergence,
        broken=broken,
        again=again,
        reasons=_restless(search.count),
        proof=search.campaign.proof(),
    )


def _restless(count: Count) -> tuple[str, ...]:
    if not count.restless:
        return ()
    return (f"{count.restless:,} of {many(count.schedules, 'schedule')} did not come to rest",)


class Search:
    """What was found so far.  `order` is the last schedule; `between`: it is done."""

    def __init__(self, case: Case, budget: Budget) -> None:
        self.case = case
        self.budget = budget
        self.began = time.monotonic()
        self.count = Count(witnesses={}, strategies={})
        explore = case.experiment.explore
        self.campaign = campaign(explore.strategy, case.seed, explore.depth)
        self.order = case.order
        self.verdict: Verdict = merge([])
        self.failings: list[Failing] = []
        self.twice: list[Order] = []
        self.between = True

    def run(self, workers: Workers, say: Say) -> None:
        """Round after round, while it goes on."""
        orders = self.campaign.round()
        while orders and self._goes_on():
            with closing(self._summaries(orders, workers)) as summaries:
                for order, summary in zip(orders, summaries, strict=False):
                    self._take(order, summary)
                    say(self.count)
                    if not self._goes_on():
                        return
            orders = self.campaign.round()

    def _goes_on(self) -> bool:
        """Whether there is budget left, and nothing that ends it."""
        budget = self.budget
        if self.failings and not budget.keep_going:
            return False
        late = budget.until is not None and time.monotonic() > budget.until
        return self._left() > 0 and not (late and self.count.schedules)

    def _left(self) -> int:
        """Schedules of the budget that have not run."""
        budget = self.budget.schedules
        return budget - self.count.schedules if budget else sys.maxsize

    # The workers.

    def _summaries(self, orders: list[Order], workers: Workers) -> Generator[Summary, None, None]:
        """What came of a round, order by order; what is not asked for any more is thrown away."""
        orders = orders[: self._left()]
        charge = Charge(self.case.setup, stop=not self.budget.keep_going)
        done = 0
        with closing(workers.map(run_batch, charge, self._batches(orders, workers))) as batches:
            for batch in batches:
                yield from batch.summaries
                done += len(batch.summaries)
                if batch.failure is not None:
                    self._failed(orders[done], batch.failure)

    def _batches(self, orders: list[Order], workers: Workers) -> Iterator[list[Order]]:
        """Each takes long enough to be worth handing over, and is a small part of what is left."""
        begun = 0
        while begun < len(orders):
            share = (len(orders) - begun) // (SHARES * workers.count)
            size = max(1, min(share, int(workers.worthwhile / self._pace(workers))))
            yield orders[begun : begun + size]
            begun += size

    def _pace(self, workers: Workers) -> float:
        """Seconds that a worker spends on a schedule."""
        spent = (time.monotonic() - self.began) * workers.count
        return max(spent / max(1, self.count.schedules), PACE_MIN)

    def _failed(self, order: Order, failure: Failure) -> Never:
        self.order, self.between = order, False
        with self.case.naming(order):
            failure.again()

    # What they found.

    def _take(self, order: Order, summary: Summary) -> None:
        """One more schedule."""
        index = self.count.schedules
        self.order = order
        self.between = False
        if summary.violated:
            self._keep(index, order, summary)
        if self.budget.determinism and index % DETERMINISM_EVERY == 0:
            self.twice.append(order)
        # Nothing below may be interrupted half-way and still be counted: the counter comes last.
        self.verdict = merge([self.verdict, summary.verdict])
        self.count.steps += summary.steps
        self.count.violating += bool(summary.violated)
        self.count.restless += not (summary.quiet or summary.violated)
        for name, count in summary.witnesses.items():
            self.count.witnesses[name] = self.count.witnesses.get(name, 0) + bool(count)
        by = title(order.strategy)
        self.count.strategies[by] = self.count.strategies.get(by, 0) + 1
        self.campaign.learn(order, summary.lesson)
        self.count.schedules = index + 1
        self.between = True

    def _keep(self, index: int, order: Order, summary: Summary) -> None:
        """The first schedule that violates a property, once more, and with its history."""
        known = [failing.result.violations[0].property for failing in self.failings]
        if summary.violated in known or len(known) == FAILINGS_MAX:
            return
        records: list[Record] = []
        again = self.case.once(order, records)
        if again.end != summary.end or not again.violations:
            raise DivergedError(
                f"schedule {index + 1} violated {summary.violated}, and did something else when it"
                " was run again for its history"
            )
        self.failings.append(Failing(index, again, records))
