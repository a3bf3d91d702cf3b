"""After a violation was found by `explore`: make it small, and say why it happened.

Both have a small budget, so that nobody waits for long: `shrink` and `replay --why` have a larger
one.  A second Ctrl-C ends them, too; what was found is kept.
"""

import time
from dataclasses import replace
from typing import Final

from msgspec import Struct

from clusters.sim.search import BREADTH_FIRST
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.graph import Bounds
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import WorldSpace
from clusters.sim.shrink import ShrinkBudget, Size
from clusters.sim.tape import Tape
from clusters.sim.world import Setup
from experiments.harness.explaining import QUICK, explained, marks, say_sentences
from experiments.harness.progress import progress
from experiments.harness.result import ExplanationResult
from experiments.harness.running import Case, Failing, Outcome
from experiments.harness.say import Voice, many
from experiments.harness.shrinking import Small, Tries, say_wrapped, shrink_failing, small_words
from experiments.harness.story import story
from protocol.errors import ExperimentError

TRIES: Final = 2_000
SECONDS: Final = 20.0
STATES: Final = 50_000
"""States in which the shortest counterexample of a small experiment is looked for."""


class Aftermath(Struct, frozen=True):
    """What became of the first violation; None: it was interrupted before."""

    small: Small | None = None
    why: ExplanationResult | None = None


def aftermath(case: Case, outcome: Outcome, voice: Voice) -> Aftermath | None:
    """Shrink the first counterexample, and explain it; None: there is none, or it has no end."""
    if not outcome.failings or outcome.interrupted or outcome.failings[0].result.tape.loop:
        return None
    return made_small(case, outcome.failings[0], voice)


def made_small(case: Case, failing: Failing, voice: Voice) -> Aftermath:
    """The same for one that has an end."""
    small, why = None, None
    try:
        small = _small(case, failing, voice)
        result, records = small.result, small.records
        setup = small.shrunk.setup
        why = explained(setup, result.tape, result.violations[0], records, QUICK)
    except KeyboardInterrupt:
        voice.talk("interrupted: what was found is kept as it is")
    return Aftermath(small, why)


def _small(case: Case, failing: Failing, voice: Voice) -> Small:
    until = time.monotonic() + SECONDS
    told = Tries(0, 0, 0)
    with progress(voice, "shrink", TRIES) as say:

        def count(tries: int, smallest: Size) -> None:
            told.schedules, told.now = tries, smallest.steps
            told.before = told.before or smallest.steps
            say(told)

        budget = ShrinkBudget(TRIES, lambda: time.monotonic() > until)
        return shrink_failing(case, failing, budget, count, shortest)


def say_aftermath(after: Aftermath, failing: Failing, voice: Voice, *, brief: bool = False) -> None:
    """The story of the smallest that there is, how small it became, and why it happened."""
    small = after.small
    records, told = failing.records, failing.result.violations[0]
    if small is not None:
        records, told = small.records, small.result.violations[0]
    for line in story(records, told, marks(after.why), brief=brief):
        voice.row(line)
    voice.answer()
    if small is not None:
        word = "minimal" if small.shrunk.minimal else "smaller"
        actors = many(small.shrunk.after.actors, "actor")
        voice.keyed(word, f"{small_words(small.shrunk)}; {actors} left")
        say_wrapped("", small.shrunk.reason, voice)
    if after.why is not None:
        say_sentences(after.why, voice)


def shortest(setup: Setup, wanted: str) -> Tape | None:
    """The shortest schedule that violates a property; None: the space is too large to tell."""
    if setup.semantics.links:
        return None  # Searches look at reliable links only.
    only = tuple(each for each in setup.properties if each.name == wanted)
    space = WorldSpace(replace(setup, properties=only, delay_steps=(0, 0)))
    search = BreadthFirst(space, Bounds(states=STATES))
    try:
        while not search.done:
            search.go_on()
    except ExperimentError:
        return None  # Chance has too many answers.
    if search.found is None:
        return None
    labels, _ = walk(space, search.graph.tree.path(search.found.state))
    return tape_of(BREADTH_FIRST, space, labels)
