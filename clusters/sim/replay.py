"""Replay: the choices of a tape once more, exactly.

At the first choice that is not possible, or not asked for, the replay stops and says which it was,
what was recorded, and what is possible now.
"""

from typing import Final

from clusters.sim.run_result import RunResult
from clusters.sim.search.counterexample import keys_of
from clusters.sim.strategies import make, prepared
from clusters.sim.tape import (
    Begin,
    Choice,
    Deliver,
    Draw,
    Fail,
    Fire,
    Heal,
    Tape,
    known_of,
    words,
)
from clusters.sim.world import History, Setup, World
from protocol.errors import DivergedError
from protocol.names import Name

POSSIBLE_MAX: Final = 8
"""How many of the possible choices a divergence names."""


class Recorded:
    """A strategy that chooses what a tape says; at the end of one that loops the run is stopped."""

    __slots__ = ("_at", "_choices", "_last", "name", "seed")

    def __init__(self, tape: Tape) -> None:
        self.name = tape.strategy
        self.seed = tape.seed
        self._choices = tape.choices
        self._at = 0
        self._last = 0
        """Which choice is the last but for what chance says; 0: the run comes to its end."""
        if tape.loop:
            steps = [k for k, one in enumerate(tape.choices, 1) if not isinstance(one, Draw | Fail)]
            self._last = steps[-1]

    def choose(self, world: World) -> int:
        choice = self._next()
        if self._at == self._last:
            world.stop()
        match choice:
            case Deliver() | Fire():
                slot = world.network.find(choice)
                if slot >= 0:
                    return slot
            case Begin(fault, target):
                if world.faults.possible(fault, target):
                    return world.book.entry(choice)
            case Heal(fault, target):
                if (fault, target) in world.faults.active:
                    return world.book.entry(choice)
            case Draw() | Fail() | None:
                pass
        possible = [words(world.network.names[slot]) for slot in world.network.enabled]
        raise self._diverged(world, choice, possible)

    def fails(self, world: World, actor: Name, site: str) -> bool:
        choice = self._next()
        if isinstance(choice, Fail) and (choice.actor, choice.site) == (actor, site):
            return choice.failed
        possible = [words(Fail(actor, site, failed)) for failed in (False, True)]
        raise self._diverged(world, choice, possible)

    def draw(self, world: World, actor: Name, bound: int) -> int:
        choice = self._next()
        if isinstance(choice, Draw) and choice.actor == actor and choice.value < bound:
            return choice.value
        raise self._diverged(world, choice, [f"draw less than {bound} for {actor}"])

    def finish(self, world: World) -> None:
        """Nothing recorded may be left over."""
        left = self._next()
        if left is not None:
            raise self._diverged(world, left, ["nothing, the run has ended"])

    def _next(self) -> Choice | None:
        self._at += 1
        return self._choices[self._at - 1] if self._at <= len(self._choices) else None

    def _diverged(self, world: World, choice: Choice | None, possible: list[str]) -> DivergedError:
        recorded = "the recording ends here" if choice is None else f"recorded: {words(choice)}"
        shown = "; ".join(possible[:POSSIBLE_MAX])
        more = f"; and {len(possible) - POSSIBLE_MAX} more" if len(possible) > POSSIBLE_MAX else ""
        return DivergedError(
            f"diverged at step {world.step + 1}, choice {self._at} of {len(self._choices)}:"
            f" {recorded}; possible now: {shown}{more}"
        )


def replay(
    setup: Setup, tape: Tape, history: History | None = None, world: type[World] = World
) -> RunResult:
    """The run of a tape, in a world of that class.  Without choices its strategy makes them."""
    setup = prepared(setup, tape.strategy)
    if not tape.choices:
        result = world(setup, make(tape.strategy, tape.seed, setup.nemeses), history).run()
    else:
        recorded = Recorded(tape)
        result = world(setup, recorded, history).run()
        recorded.finish(result.world)
        if tape.loop:
            result = _for_ever(setup, tape, result)
    if tape.end and not result.end.startswith(tape.end):
        raise DivergedError(f"diverged {_where(tape, result)}")
    return result


class Retraced(Recorded):
    """The same for what happened elsewhere, which may go on behind the end of this run.

    `quiet`: what is recorded ends where nothing is left to happen; else its last step is the last.
    """

    __slots__ = ()

    def __init__(self, tape: Tape, *, quiet: bool) -> None:
        super().__init__(tape)
        if not quiet:
            steps = [k for k, one in enumerate(tape.choices, 1) if isinstance(one, Deliver | Fire)]
            self._last = steps[-1] if steps else 0


def retrace(setup: Setup, tape: Tape, history: History | None = None, *, quiet: bool) -> RunResult:
    """The run of what happened on a cluster, up to the first violation, if there is one."""
    return World(setup, Retraced(tape, quiet=quiet), history).run()


def _for_ever(setup: Setup, tape: Tape, result: RunResult) -> RunResult:
    """A run that comes back to where it was: what is owed on its way is owed for ever."""
    before, after = keys_of(setup, tape)
    if before != after:
        raise DivergedError(
            f"diverged by step {result.steps}: the last {tape.loop} choices were to lead back to"
            " where they began, and they do not; the code has changed"
        )
    verdict = result.world.judge.finish(quiet=True)
    return RunResult(result.world, verdict, quiet=True, loop=tape.loop)


def _where(tape: Tape, result: RunResult) -> str:
    """Where a run that ended otherwise than it did became another one, as far as that is known."""
    made = result.tape.choices
    if tape.known is not None:
        recorded = tape.known
        now = known_of(made, recorded.count)
        for part, (then, its) in enumerate(zip(recorded.parts, now.parts, strict=True)):
            if then != its:
                first, last = recorded.ends(part - 1) + 1, recorded.ends(part)
                return (
                    f"at one of the choices {first} to {last} of {recorded.count}"
                    f" ({_steps(result, first, last)}): another one was recorded there;"
                    f" now {_violated(result)} is violated in {result.steps} steps"
                )
        if recorded.count != len(made):
            return (
                f"by step {result.steps}: {recorded.count} choices were recorded, all of them were"
                f" made, and now there are {len(made)}; now {_violated(result)} is violated"
            )
    return (
        f"by step {result.steps}: the choices were those recorded, but the actors are"
        " not as they were at the end; the code has changed"
    )


def _steps(result: RunResult, first: int, last: int) -> str:
    """The steps of some choices of a run, counted from 1."""
    made = result.tape.choices
    if first > len(made):
        return "now it has ended before"
    steps = [isinstance(choice, Deliver | Fire) for choice in made]
    opened = result.steps - sum(steps)
    return f"steps {opened + sum(steps[: first - 1]) + 1} to {opened + sum(steps[:last])}"


def _violated(result: RunResult) -> str:
    return result.violations[0].property if result.violations else "nothing"
