"""What tests of the shrinker share: a violation to begin with, and what must be true of the end."""

from typing import Final

from clusters.sim.replay import replay
from clusters.sim.shrink import (
    Shrunk,
)
from clusters.sim.tape import Tape
from clusters.sim.world import Setup, simulate
from experiments.models.refcount import NoBindAfterRetire

LATE: Final = NoBindAfterRetire.name


def violating(setup: Setup, strategy: str = "random", seeds: int = 500) -> Tape:
    """The first schedule that violates something."""
    return next(
        result.tape
        for result in (simulate(setup, seed, strategy) for seed in range(seeds))
        if result.violations
    )


def assert_true_and_no_larger(shrunk: Shrunk, wanted: str) -> None:
    """The result replays exactly, with the same violation, and is no larger than what it was."""
    again = replay(shrunk.setup, shrunk.tape)
    assert again.violations[0].property == wanted
    assert again.violations[0].sentence == shrunk.violation.sentence
    assert again.steps == shrunk.after.steps
    assert shrunk.after <= shrunk.before
    assert shrunk.after.steps <= shrunk.before.steps
