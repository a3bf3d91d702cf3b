"""Whether there is anything smaller: all schedules with fewer delays, in the same setup.

Draws, failing steps and faults are those of the schedule that is to be beaten: each actor draws
what it drew, in that order (0 afterwards), the same passages of fallible steps fail, and a fault
begins at the same step.  A delay is one of `delay_bounded`: the message whose turn it is comes
after all others.  Then a schedule is nothing but the places of its delays, and they can be counted.
"""

from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from clusters.sim.shrink.attempts import Attempts
from clusters.sim.shrink.draft import TooLongError
from clusters.sim.strategies.campaign import Lesson
from clusters.sim.strategies.enumeration import Enumeration, Numbers, numbers_of
from clusters.sim.strategies.plain import Plain
from clusters.sim.tape import Begin, Draw, Fail, Heal, Tape
from clusters.sim.world import World
from protocol.names import Name

KIND: Final = "delays"
GIVEN: Final = ", in this experiment with these draws and faults"


class Given(Struct, frozen=True):
    """What a schedule is given, but for its delays.

    `draws` by actor (or lagging link), `failures` as actor, site and the how-manieth passage.
    """

    draws: dict[str, tuple[int, ...]]
    failures: tuple[tuple[Name, str, int], ...]
    faults: tuple[tuple[int, Begin | Heal], ...]


def given_by(tape: Tape, faults: tuple[tuple[int, Begin | Heal], ...]) -> Given:
    """What a schedule is given; `faults` with the step of each."""
    draws: dict[str, list[int]] = {}
    passages: dict[tuple[Name, str], int] = {}
    failures: list[tuple[Name, str, int]] = []
    for choice in tape.choices:
        match choice:
            case Draw(actor, value):
                draws.setdefault(actor, []).append(value)
            case Fail(actor, site, failed):
                passages[actor, site] = count = passages.get((actor, site), 0) + 1
                if failed:
                    failures.append((actor, site, count))
            case _:
                pass
    return Given({actor: tuple(values) for actor, values in draws.items()}, tuple(failures), faults)


class Delayed:
    """A strategy: plain, but for delays at the choices `at`; chance says what is given."""

    __slots__ = (
        "_at", "_drawn", "_faults", "_given", "_passages", "_plain",
        "_steps_max", "name", "seed",
    )  # fmt: skip

    def __init__(self, tape: Tape, given: Given, at: Numbers, steps_max: int) -> None:
        self.name = tape.strategy
        self.seed = tape.seed
        self._given = given
        self._at = at
        self._steps_max = steps_max
        self._plain = Plain(tape.seed, at)
        self._faults = 0
        self._drawn: dict[str, int] = {}
        self._passages: dict[tuple[Name, str], int] = {}

    def choose(self, world: World) -> int:
        if world.step >= self._steps_max:
            raise TooLongError
        fault = self._fault(world)
        if fault is not None:
            return fault
        return self._plain.next(world.network.enabled)

    def _fault(self, world: World) -> int | None:
        faults = self._given.faults
        while self._faults < len(faults) and faults[self._faults][0] <= world.step:
            fault = faults[self._faults][1]
            self._faults += 1
            if isinstance(fault, Begin):
                if world.faults.possible(fault.fault, fault.target):
                    return world.book.entry(fault)
            elif (fault.fault, fault.target) in world.faults.active:
                return world.book.entry(fault)
        return None

    def fails(self, world: World, actor: Name, site: str) -> bool:
        self._passages[actor, site] = count = self._passages.get((actor, site), 0) + 1
        return (actor, site, count) in self._given.failures

    def draw(self, world: World, actor: Name, bound: int) -> int:
        values = self._given.draws.get(actor, ())
        place = self._drawn.get(actor, 0)
        self._drawn[actor] = place + 1
        return min(values[place], bound - 1) if place < len(values) else 0

    def lesson(self) -> Lesson:
        """What an enumeration learns: where it can go on from here."""
        last = self._at[-1] + (not self._plain.again) if self._at else 0
        return Lesson(
            self._plain.choices,
            first=last,
            end=self._plain.choices,
            reached=self._plain.taken == len(self._at),
        )


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of it: `minimal` if all there are were run; `words` say how many, or why not."""

    minimal: bool
    words: str


def prove(tries: Attempts) -> Proof | None:
    """Run all schedules with fewer delays than the best has; None: one of them is the best now."""
    best = tries.best
    bound, steps = best.size.delays, best.size.steps
    if not bound:
        return Proof(minimal=True, words=f"it is the plain schedule, without any delay{GIVEN}")
    given = given_by(best.tape, best.faults)
    made = Enumeration(KIND, best.tape.seed, bound - 1)
    while orders := made.round():
        level = len(numbers_of(orders[0], KIND))
        todo, left = made.known[level] - made.run[level], tries.budget.tries - tries.tries
        if todo > left:
            return Proof(
                minimal=False,
                words=f"{sum(made.run):,} schedules with fewer delays violate nothing that fast,"
                f" {todo:,} with {many_delays(level)} were not run: {left:,} tries were left",
            )
        for order in orders:
            strategy = Delayed(best.tape, given, numbers_of(order, KIND), steps)
            if tries.strategy(strategy):
                return None
            made.learn(order, strategy.lesson())
    within = f"within {steps:,} steps{GIVEN}"
    if bound == 1:
        return Proof(minimal=True, words=f"the plain schedule does not violate it {within}")
    fewer = f"none of all {sum(made.run):,} schedules with fewer than {many_delays(bound)}"
    return Proof(minimal=True, words=f"{fewer} violates it {within}")


def many_delays(count: int) -> str:
    """`1 delay`, `2 delays`."""
    return f"{count:,} delay{'' if count == 1 else 's'}"
