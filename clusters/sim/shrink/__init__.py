"""Shrinking: a counterexample as small as it can be made, and whether that is proved to be minimal.

First everything that can be left out is left out (`passes`), of the schedule and, if what made the
setup can be less (`Smaller`), of the experiment.  Then all schedules with fewer delays are run
(`proof`): if none violates the property, the counterexample is *minimal*, else it goes on from the
one that does.  Where that is too much, the counterexample is just *smaller*.

No try is believed: each is a run of a real world, judged by the real properties.  For the same
input and a budget in tries the result is the same; time only ends it earlier.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from clusters.judge import Violation
from clusters.sim.shrink.attempts import (
    TRIES,
    Alike,
    Attempts,
    BrokenError,
    Reduction,
    Say,
    ShrinkBudget,
    Smaller,
    SpentError,
    Wanted,
    any_sentence,
    shown,
)
from clusters.sim.shrink.draft import Draft, Lenient, draft_of, renamed
from clusters.sim.shrink.passes import PASSES, made_plain
from clusters.sim.shrink.proof import Proof, prove
from clusters.sim.shrink.size import Size
from clusters.sim.tape import Deliver, Fire, Tape
from clusters.sim.world import Setup
from protocol.errors import DivergedError

__all__ = [
    "TRIES", "Aids", "Alike", "Reduction", "Say", "Shortest", "ShrinkBudget", "Shrunk", "Size",
    "Smaller", "any_sentence", "shrink",
]  # fmt: skip

Shortest: TypeAlias = Callable[[Setup, str], Tape | None]
"""The schedule with the fewest deliveries that violates a property in a setup; None: not known."""


@dataclass(frozen=True, slots=True)
class Aids:
    """What helps: the experiment behind the setup, a search for the shortest, somebody to tell.

    `alike`: which sentences of the property count, where not all of them are about the same.
    """

    source: Smaller | None = None
    shortest: Shortest | None = None
    say: Say | None = None
    alike: Alike = any_sentence


NOBODY = Aids()


@dataclass(frozen=True, slots=True)
class Shrunk:
    """What became of a counterexample, and what it was.

    `setup` and `source` are those of the smaller experiment.  `minimal` if that is proved, `reason`
    says how, or what is missing.  `interrupted`: it is the best so far.
    """

    setup: Setup
    source: Smaller | None
    tape: Tape
    violation: Violation
    before: Size
    after: Size
    tries: int
    minimal: bool
    reason: str
    interrupted: bool = False


def shrink(
    setup: Setup,
    tape: Tape,
    wanted: str,
    budget: ShrinkBudget = ShrinkBudget(),  # noqa: B008  a frozen value
    aids: Aids = NOBODY,
) -> Shrunk:
    """A smaller schedule, and perhaps setup, that violates the property `wanted` first of all.

    The tape has its choices.  If it does not violate `wanted`, that is a divergence.
    """
    what = Wanted(wanted, aids.alike)
    first = shown(setup, aids.source, Lenient(tape, draft_of(tape), STEPS_MAX), what)
    if first is None:
        raise DivergedError(f"diverged at the end: this schedule does not violate {wanted} now")
    tries = Attempts(first, what, budget, aids.say)
    interrupted, proof = False, Proof(minimal=False, words="")
    try:
        proof = _all(tries, aids)
    except SpentError:
        late = tries.tries < budget.tries
        over = "the time is over" if late else "all tries are spent"
        proof = Proof(minimal=False, words=f"{over}, after {tries.tries:,} tries")
    except BrokenError as error:
        proof = Proof(minimal=False, words=f"a try ended in a bug of an actor: {error}")
    except KeyboardInterrupt:
        interrupted = True
        proof = Proof(minimal=False, words=f"interrupted after {tries.tries:,} tries")
    best = tries.best
    return Shrunk(
        setup=best.setup,
        source=best.source,
        tape=best.tape,
        violation=best.violation,
        before=first.size,
        after=best.size,
        tries=tries.tries,
        minimal=proof.minimal,
        reason=proof.words,
        interrupted=interrupted,
    )


STEPS_MAX = 1 << 62
"""The schedule that is given may be of any length."""


def _all(tries: Attempts, aids: Aids) -> Proof:
    """Passes until nothing helps, then the proof; what it finds instead goes through them again."""
    made_plain(tries)
    asked: Setup | None = None
    fewest = False
    while True:
        _passes(tries)
        if aids.shortest is not None and tries.best.setup is not asked:
            asked = tries.best.setup
            tape = aids.shortest(asked, tries.wanted.property)
            better = tape is not None and tries.tape(tape)
            fewest = tape is not None and deliveries(tries.best.tape) <= deliveries(tape)
            if better:
                continue
        proof = prove(tries)
        if proof is not None and fewest:
            words = f"a search found no violation with fewer deliveries; {proof.words}"
            return Proof(minimal=True, words=words)
        if proof is not None:
            return proof


def deliveries(tape: Tape) -> int:
    """How many choices of a schedule are deliveries."""
    return sum(isinstance(choice, Deliver | Fire) for choice in tape.choices)


def _passes(tries: Attempts) -> None:
    """All of them, until none of them helps."""
    size = None
    while size != tries.best.size:
        size = tries.best.size
        for each in PASSES:
            each(tries)
        reduced(tries)


def reduced(tries: Attempts) -> None:
    """Every reduction of the experiment, again and again, until none of them helps.

    Those before the one that helped did not, so it goes on behind them.
    """
    again = tries.best.source is not None
    while again:
        again, at = False, 0
        while (helped := _first_that_helps(tries, at)) >= 0:
            again, at = True, helped


def _first_that_helps(tries: Attempts, at: int) -> int:
    """Of the reductions from the `at`-th on; -1: none."""
    best = tries.best
    assert best.source is not None
    reductions = best.source.reductions(best.tape)
    for place, reduction in enumerate(islice(reductions, at, None), start=at):
        draft = renamed(best.draft, reduction.names)
        if tries.reduction(reduction, draft) or tries.reduction(reduction, Draft()):
            return place
    return -1
