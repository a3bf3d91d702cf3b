"""Runs a campaign in a world, one schedule after the other, as `explore` does."""

from collections.abc import Iterator

from clusters.sim.run_result import RunResult
from clusters.sim.strategies import Campaign, Lesson, Order, campaign, prepared
from clusters.sim.world import Setup, follow

Run = tuple[Order, RunResult, Lesson]


def runs(setup: Setup, made: Campaign) -> Iterator[Run]:
    """Each schedule of a campaign."""
    while orders := made.round():
        for order in orders:
            result, lesson = follow(setup, order)
            yield order, result, lesson
            made.learn(order, lesson)


def first_failure(setup: Setup, name: str, seed: int, most: int) -> tuple[int, Order]:
    """The number of the first schedule that violates something, and what it was."""
    made = campaign(name, seed)
    for count, (order, result, _) in enumerate(runs(prepared(setup, name), made), start=1):
        if result.violations:
            return count, order
        assert count < most, f"nothing in {most} schedules of {name} with seed {seed}"
    raise AssertionError(f"{name} ended and found nothing")
