"""Why did it break: the step after which it had to, and the nearest schedule in which it does not.

A counterexample says that a schedule breaks a property.  `explain` tries the schedules around it:
random ones that leave it after each of its choices, and orderly ones that leave it as late as may
be and hold.  It is a judgement by trial, and says of how many; the same every time it is asked.
"""

from dataclasses import replace

from msgspec import Struct

from clusters.sim.branching import Crossing, Surveyed
from clusters.sim.explain.budget import Budget
from clusters.sim.explain.chances import Chances, chances
from clusters.sim.explain.nearest import Nearest, Search, nearest
from clusters.sim.strategies import make, prepared
from clusters.sim.tape import Tape, Text
from clusters.sim.world import Setup, World
from protocol.errors import DivergedError, ExperimentError

__all__ = ["Budget", "Chances", "Explanation", "Nearest", "explain"]


class Explanation(Struct, frozen=True):
    """Of one violation.  `tape` is its schedule, up to where the property is violated."""

    property: Text
    tape: Tape
    crossings: tuple[Crossing, ...]
    chances: Chances
    nearest: Nearest


def explain(setup: Setup, tape: Tape, violated: str, budget: Budget | None = None) -> Explanation:
    """What makes this schedule violate that property; nothing else is looked at."""
    judged = tuple(each for each in setup.properties if each.name == violated)
    if not judged:
        raise ExperimentError(f"'{violated}' is not a property of this experiment")
    budget = budget or Budget()
    ready = prepared(setup, tape.strategy)
    plan = setup.nemeses if ready is setup else ()
    alone = replace(ready, properties=judged, stop_at_first=True)
    tape, crossings = _surveyed(alone, tape, violated)
    found = chances(alone, tape, crossings, plan, budget)
    search = Search(ready, alone, tape, plan, found.hopeless, found.held)
    return Explanation(violated, tape, crossings, found, nearest(search, crossings, budget))


def _surveyed(alone: Setup, tape: Tape, violated: str) -> tuple[Tape, tuple[Crossing, ...]]:
    """The tape up to the violation, with all its choices, and what else there was to choose."""
    if not tape.choices:
        tape = World(alone, make(tape.strategy, tape.seed, alone.nemeses)).run().tape
    survey = Surveyed(tape)
    result = World(alone, survey).run()
    if not result.violations:
        raise DivergedError(
            f"diverged at the end: the schedule violated {violated}, and did not when it was run"
            " again to be explained"
        )
    crossings = tuple(survey.crossings)
    return result.tape, crossings
