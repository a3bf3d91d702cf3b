"""Tries candidates: each is run in a real world with its real properties, or it does not count.

What is kept violates the property that is wanted, first of all that it violates, and is smaller
than what was kept before; so whatever a pass thinks up, the result is true.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from clusters.judge import Violation
from clusters.moments import Moment
from clusters.sim.run_result import RunResult
from clusters.sim.shrink.draft import Draft, Lenient, TooLongError, draft_of
from clusters.sim.shrink.size import Size, size_of
from clusters.sim.strategies import Strategy
from clusters.sim.tape import Begin, Choice, Heal, Tape
from clusters.sim.world import Setup, World
from protocol.errors import DivergedError
from protocol.names import Name

TRIES: Final = 2_000

Say: TypeAlias = Callable[[int, Size], None]
"""Told before each try how many there were, and how large the smallest is now."""
Alike: TypeAlias = Callable[[str], bool]
"""Whether a property's sentence says the same as the one that is wanted."""


def any_sentence(_sentence: str) -> bool:
    """It is enough that the same property is violated."""
    return True


def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class ShrinkBudget:
    """How much may be tried.  `late` is asked before each try, and ends it all; never for tests."""

    tries: int = TRIES
    late: Callable[[], bool] = _never


class Smaller(Protocol):
    """What a setup is made from, and how it can be less: an experiment.

    `reductions` are asked for the schedule that is to be kept, for what can be read off it.
    """

    @property
    def setup(self) -> Setup:
        """What is run."""

    def reductions(self, tape: Tape) -> Iterator["Reduction"]:
        """Each way to make it a little smaller, the largest steps first."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """What is a little smaller; `names`: who is called otherwise in it."""

    source: Smaller
    names: Mapping[Name, Name] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shown:
    """A run that violates what is wanted, and all that passes want to know of it."""

    setup: Setup
    source: Smaller | None
    tape: Tape
    violation: Violation
    size: Size
    draft: Draft
    delays: tuple[int, ...]
    faults: tuple[tuple[int, Begin | Heal], ...]
    passed: tuple[Moment | None, ...]
    instead: tuple[Choice | None, ...]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What must be violated, first of all, and with which sentences."""

    property: str
    alike: Alike = any_sentence

    def violated_by(self, result: RunResult) -> bool:
        """Whether it is."""
        first = result.violations[0] if result.violations else None
        return first is not None and (
            first.property == self.property and self.alike(first.sentence)
        )


class SpentError(Exception):
    """No more may be tried."""


class BrokenError(Exception):
    """A try ended in an assertion that does not hold: a bug of an actor, and nobody's violation."""


class Attempts:
    """`best` is the smallest so far; `spent`: the budget ended it, `late`: its time."""

    def __init__(self, best: Shown, wanted: Wanted, budget: ShrinkBudget, say: Say | None) -> None:
        self.best = best
        self.wanted = wanted
        self.budget = budget
        self.tries = 0
        self._say = say
        self._known: dict[Draft, None] = {}
        """What was tried in the setup of the best."""

    def draft(self, draft: Draft) -> bool:
        """Whether the draft is better in the same setup; then it is the best."""
        if draft in self._known:
            return False
        self._known[draft] = None
        best = self.best
        return self._take(shown(best.setup, best.source, self._lenient(draft), self.wanted))

    def reduction(self, reduction: Reduction, draft: Draft) -> bool:
        """Whether the draft in the smaller setup is better."""
        source = reduction.source
        if not self._take(shown(source.setup, source, self._lenient(draft), self.wanted)):
            return False
        self._known.clear()
        return True

    def tape(self, tape: Tape) -> bool:
        """Whether a whole schedule that somebody found is better in the same setup."""
        return self.draft(draft_of(tape))

    def strategy(self, strategy: Strategy) -> bool:
        """Whether a schedule that can only be better, if it violates, does."""
        self._count()
        result = _violating(self.best.setup, strategy, self.wanted)
        if result is None:
            return False
        better = self.draft(draft_of(result.tape))
        assert better, f"a schedule with fewer delays is not smaller than {self.best.size}"
        return True

    def _lenient(self, draft: Draft) -> Lenient:
        self._count()
        return Lenient(self.best.tape, draft, self.best.size.steps)

    def _count(self) -> None:
        if self.tries >= self.budget.tries or self.budget.late():
            raise SpentError
        if self._say is not None:
            self._say(self.tries, self.best.size)
        self.tries += 1

    def _take(self, found: Shown | None) -> bool:
        if found is None or found.size >= self.best.size:
            return False
        self.best = found
        return True


def shown(setup: Setup, source: Smaller | None, lenient: Lenient, wanted: Wanted) -> Shown | None:
    """The run of a draft, if it violates what is wanted."""
    result = _violating(setup, lenient, wanted)
    if result is None:
        return None
    lenient.note(result.world)
    tape = result.tape
    return Shown(
        setup=setup,
        source=source,
        tape=tape,
        violation=result.violations[0],
        size=size_of(setup, tape, result.steps, len(lenient.delays)),
        draft=draft_of(tape),
        delays=tuple(lenient.delays),
        faults=tuple(lenient.faults),
        passed=tuple(lenient.passed),
        instead=tuple(lenient.instead),
    )


def _violating(setup: Setup, strategy: Strategy, wanted: Wanted) -> RunResult | None:
    """The run of a strategy, if what is wanted is the first thing that it violates."""
    try:
        result = World(setup, strategy).run()
    except (TooLongError, DivergedError):
        return None
    except AssertionError as error:
        raise BrokenError(str(error) or "an assertion does not hold") from error
    return result if wanted.violated_by(result) else None
