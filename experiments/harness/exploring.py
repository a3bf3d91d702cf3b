"""The loop of `explore`: schedules until the budget is spent or something is found."""

import time
from typing import Final

from msgspec import Struct

from clusters.judge import Verdict, merge
from clusters.sim.strategies import Order, campaign, title
from clusters.sim.world import RunResult
from experiments.harness.progress import Count, progress
from experiments.harness.running import Case, Failing, Outcome, command
from experiments.harness.say import Voice, many
from protocol.errors import DivergedError
from protocol.history import Record

DETERMINISM_EVERY: Final = 100
"""One schedule in so many is run twice, the second time under another hash seed."""
FAILINGS_MAX: Final = 10
"""Counterexamples that are kept, one per property."""


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


def explore(case: Case, budget: Budget, voice: Voice) -> Outcome:
    """Run schedules 0, 1, 2, ... of the case's seed; what came out, also if it was interrupted."""
    search = Search(case, budget)
    interrupted, divergence = False, ""
    words = (*case.asked.search_words(), *budget.words())
    again = command("explore", *words, "--seed", hex(case.seed))
    with progress(voice, case.name, budget.schedules) as say:
        try:
            while search.goes_on():
                search.next()
                say(search.count)
            case.check_determinism(search.twice)
        except KeyboardInterrupt:
            interrupted = True
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
        deterministic=0 if interrupted or divergence else len(search.twice),
        interrupted=interrupted,
        asked=budget.schedules,
        divergence=divergence,
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
        self.orders = self.campaign.round()[::-1]
        """What is left of a round; the next one is at the end."""
        self.order = self.orders[-1]
        self.verdict: Verdict = merge([])
        self.failings: list[Failing] = []
        self.twice: list[Order] = []
        self.between = True

    def goes_on(self) -> bool:
        """Whether there is budget left, and nothing that ends it."""
        budget = self.budget
        if not self.orders or (self.failings and not budget.keep_going):
            return False
        late = budget.until is not None and time.monotonic() > budget.until
        spent = 0 < budget.schedules <= self.count.schedules
        return not spent and not (late and self.count.schedules)

    def next(self) -> None:
        """One more schedule."""
        index = self.count.schedules
        self.order = order = self.orders[-1]
        self.between = False
        result, lesson = self.case.quick(order)
        if result.violations:
            self._keep(index, order, result)
        if self.budget.determinism and index % DETERMINISM_EVERY == 0:
            self.twice.append(order)
        # Nothing below may be interrupted half-way and still be counted: the counter comes last.
        self.verdict = merge([self.verdict, result.verdict])
        self.count.steps += result.steps
        self.count.violating += bool(result.violations)
        self.count.restless += not (result.quiet or result.violations)
        for name, count in result.witnesses.items():
            self.count.witnesses[name] = self.count.witnesses.get(name, 0) + bool(count)
        by = title(order.strategy)
        self.count.strategies[by] = self.count.strategies.get(by, 0) + 1
        self.campaign.learn(order, lesson)
        self.orders.pop()
        self.count.schedules = index + 1
        self.between = True
        if not self.orders:
            self.orders = self.campaign.round()[::-1]

    def _keep(self, index: int, order: Order, result: RunResult) -> None:
        """The first schedule that violates a property, once more, and with its history."""
        violated = result.violations[0].property
        known = [failing.result.violations[0].property for failing in self.failings]
        if violated in known or len(known) == FAILINGS_MAX:
            return
        records: list[Record] = []
        again = self.case.once(order, records)
        if again.end != result.end or not again.violations:
            raise DivergedError(
                f"schedule {index + 1} violated {violated}, and did something else when it was run"
                " again for its history"
            )
        self.failings.append(Failing(index, again, records))
