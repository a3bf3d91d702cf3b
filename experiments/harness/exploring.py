"""The loop of `explore`: schedules until the budget is spent or something is found."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from msgspec import Struct

from clusters.judge import Verdict, merge
from clusters.sim.tape import schedule_seed
from clusters.sim.world import RunResult
from experiments.harness.running import Case, Outcome
from experiments.harness.say import Voice
from protocol.history import Record

DETERMINISM_EVERY: Final = 100
"""One schedule in so many is run twice, the second time under another hash seed."""
PLAIN_EVERY_S: Final = 10.0


class Budget(Struct, frozen=True):
    """When to stop: after `schedules`, at the monotonic time `until`, or at the first violation."""

    schedules: int
    until: float | None
    keep_going: bool
    determinism: bool


def explore(case: Case, budget: Budget, voice: Voice) -> Outcome:
    """Run schedules 0, 1, 2, ... of the case's seed; what came out, also if it was interrupted."""
    began = time.monotonic()
    verdicts: list[Verdict] = []
    witnesses: dict[str, int] = {}
    steps = done = violations = 0
    failing: tuple[int, RunResult, list[Record]] | None = None
    interrupted = False
    seeds: list[int] = []
    with _progress(voice, case.name, budget.schedules) as say:
        try:
            for index in range(budget.schedules):
                seed = schedule_seed(case.seed, index)
                result = case.quick(seed)
                verdicts = [merge([*verdicts, result.verdict])]
                done, steps = done + 1, steps + result.steps
                for name, count in result.witnesses.items():
                    witnesses[name] = witnesses.get(name, 0) + bool(count)
                if budget.determinism and index % DETERMINISM_EVERY == 0:
                    seeds.append(seed)
                if result.violations:
                    violations += 1
                    if failing is None:
                        failing = (index, *case.once(seed))
                    if not budget.keep_going:
                        break
                say(done, violations, witnesses)
                if budget.until is not None and time.monotonic() > budget.until:
                    break
            case.check_determinism(seeds)
        except KeyboardInterrupt:
            interrupted = True
    return Outcome(
        verb="explore",
        verdict=verdicts[0] if verdicts else case.empty_verdict(),
        schedules=done,
        steps=steps,
        witnesses=witnesses,
        failing=failing,
        records=failing[2] if failing else [],
        seconds=time.monotonic() - began,
        deterministic=len(seeds),
        interrupted=interrupted,
        asked=budget.schedules,
    )


class _Progress:
    """Schedules done, per second, violations: a line now and then, a bar on a terminal."""

    def __init__(self, voice: Voice, name: str, total: int) -> None:
        self.voice = voice
        self.name = name
        self.total = total
        self.began = self.said = time.monotonic()
        self.live = sys.stderr.isatty() and not voice.quiet

    def __call__(self, done: int, violations: int, witnesses: dict[str, int]) -> None:
        now = time.monotonic()
        if now - self.said < (0.2 if self.live else PLAIN_EVERY_S):
            return
        self.said = now
        rate = done / (now - self.began)
        line = (
            f"{self.name}: {done:,}/{self.total:,} schedules, {rate:,.0f}/s, "
            f"{len(witnesses)} witnesses, {violations} violations"
        )
        if self.live:
            sys.stderr.write(f"\r\x1b[K{line[:79]}")
            sys.stderr.flush()
        else:
            self.voice.talk(line)


@contextmanager
def _progress(voice: Voice, name: str, total: int) -> Iterator[_Progress]:
    progress = _Progress(voice, name, total)
    try:
        yield progress
    finally:
        if progress.live:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
