"""What `bench` says of strategies: how soon each finds the bug of model C, which starvation hides.

Over several seeds the median; a seed under which nothing is found counts as all that was allowed,
so that where most find nothing the median is a lower bound.  A note says how many found it.
"""

from collections.abc import Iterator
from functools import partial
from statistics import median
from typing import Final

from clusters.sim.strategies import campaign, prepared
from clusters.sim.strategies.random_walk import RandomWalk
from clusters.sim.tape import schedule_seed
from clusters.sim.world import follow, simulate
from experiments.harness.measuring import (
    SEED,
    Amounts,
    Effort,
    Measurement,
    Yardstick,
    timed,
)
from experiments.harness.say import many
from experiments.models.refcount import MODEL_C

STRATEGIES: Final = (RandomWalk.name, "pct", "pos", "delay-bounded", "portfolio")
WALKS: Final = 10
"""Random walks that are timed in turns with each search for the bug."""
TIME_NOISE: Final = 0.3


def bugs(effort: Effort) -> Iterator[Measurement]:
    """Schedules and time to the bug, by strategy."""
    allowed = f"{effort.schedules:,} random walks"
    for strategy in STRATEGIES:
        name = f"model C by {strategy}"
        yield Measurement(
            (
                Yardstick(f"{name}: schedules", "schedules", allowed, noise=0.0),
                Yardstick(f"{name}: time", "s", allowed, TIME_NOISE),
            ),
            partial(to_the_bug, strategy, effort),
        )


def to_the_bug(strategy: str, effort: Effort) -> Iterator[Amounts]:
    """The medians, beside what all the random walks that are allowed would be."""
    tries: list[int] = []
    seconds: list[float] = []
    walks: list[float] = []
    found = 0
    for index in range(effort.seeds):
        seed = schedule_seed(SEED, index)
        walks.append(timed(partial(walk, seed))[0] / WALKS)
        hunt = Hunt(strategy, seed)
        seconds.append(timed(partial(hunt.run, effort.schedules))[0])
        tries.append(hunt.schedules if hunt.found else effort.schedules)
        found += hunt.found
    seeds = f"{found} of {many(effort.seeds, 'seed')}"
    note = f"found under {seeds}" + (f", within {max(tries):,}" if found == effort.seeds else "")
    yield median(tries), effort.schedules, note
    yield median(seconds), effort.schedules * median(walks)


def walk(seed: int) -> None:
    """The reference: random walks of the same world."""
    for index in range(WALKS):
        simulate(MODEL_C, schedule_seed(seed, index))


class Hunt:
    """One exploration of model C, until the bug is found."""

    def __init__(self, strategy: str, seed: int) -> None:
        self.setup = prepared(MODEL_C, strategy)
        self.campaign = campaign(strategy, seed)
        self.schedules = 0
        self.found = False

    def run(self, schedules: int) -> None:
        """At most so many, or all there are."""
        while self.schedules < schedules and (orders := self.campaign.round()):
            for order in orders[: schedules - self.schedules]:
                self.schedules += 1
                result, lesson = follow(self.setup, order)
                if result.violations:
                    self.found = True
                    return
                self.campaign.learn(order, lesson)
