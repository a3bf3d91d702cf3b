"""A bug looked for with one seed, as `explore` would; and the same schedules of the sound protocol.

Both are one job for a worker: what comes of it is a small value.
"""

import time

from msgspec import Struct, structs

from clusters.lineup import SOUND
from clusters.sim.strategies import Order, campaign, prepared, title
from clusters.sim.world import Setup, follow
from experiments.harness.config import Experiment
from experiments.harness.setup import setup_of
from protocol.machine import GUESTS


class Limit(Struct, frozen=True):
    """When a bug counts as not found: after so many schedules, seconds, deliveries (0: any)."""

    schedules: int
    seconds: float
    deliveries: int = 0


class Subject(Struct, frozen=True):
    """An experiment ready to be tried: with its defects, and on the sound protocol."""

    strategy: str
    depth: int
    flawed: Setup
    sound: Setup


class Sought(Struct, frozen=True):
    """Bugs by name, and how long each is looked for."""

    subjects: dict[str, Subject]
    limit: Limit


class Trial(Struct, frozen=True):
    """What one seed came to.

    `found`: the property that was violated first, "" if none was; by which strategy, after how many
    schedules and seconds, in a run of so many steps; `order` makes that run again.  `broken`: what
    the sound protocol violates in as many schedules of its own, of so many `deliveries`; or "".
    """

    name: str
    seed: int
    found: str
    strategy: str
    schedules: int
    seconds: float
    steps: int
    order: Order
    broken: str
    deliveries: int


def subject_of(experiment: Experiment, where: str) -> Subject:
    """The experiment as it is, and without what is wrong in it."""
    strategy = experiment.explore.strategy
    guests_on = experiment.played == GUESTS  # Without its revision they would be on another kernel.
    revision = experiment.revision if guests_on else SOUND
    sound = structs.replace(experiment, revision=revision, defects=())
    return Subject(
        strategy,
        experiment.explore.depth,
        prepared(setup_of(experiment, where), strategy),
        prepared(setup_of(sound, where), strategy),
    )


def tried(sought: Sought, job: tuple[str, int]) -> Trial:
    """Look for a bug with a seed; then run the sound protocol for as many schedules."""
    name, seed = job
    subject = sought.subjects[name]
    found = _look(subject, subject.flawed, seed, sought.limit)
    silent = _look(subject, subject.sound, seed, Limit(found.schedules, 10 * sought.limit.seconds))
    return structs.replace(found, name=name, broken=silent.found, deliveries=silent.steps)


def kept_silent(sought: Sought, job: tuple[str, int]) -> Trial:
    """The sound protocol alone, up to the limit."""
    name, seed = job
    subject = sought.subjects[name]
    found = _look(subject, subject.sound, seed, sought.limit)
    return structs.replace(found, name=name, broken=found.found)


def _look(subject: Subject, setup: Setup, seed: int, limit: Limit) -> Trial:
    """Schedules of a campaign until something is violated, or the limit is reached.

    `steps` of a trial that found nothing are those of all its schedules.
    """
    made = campaign(subject.strategy, seed, subject.depth)
    began, done, steps = time.monotonic(), 0, 0
    order = Order(subject.strategy, seed)
    while orders := made.round():
        for order in orders:
            result, lesson = follow(setup, order)
            made.learn(order, lesson)
            done += 1
            steps += result.steps
            spent = time.monotonic() - began
            if result.violations:
                first = result.violations[0].property
                by = title(order.strategy)
                return Trial("", seed, first, by, done, spent, result.steps, order, "", steps)
            enough = limit.deliveries and steps >= limit.deliveries
            if done >= limit.schedules or spent > limit.seconds or enough:
                return Trial("", seed, "", "", done, spent, steps, order, "", steps)
    return Trial("", seed, "", "", done, time.monotonic() - began, steps, order, "", steps)
