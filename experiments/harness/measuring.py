"""What a measurement is, and how time is taken: for all that `bench` measures.

Each figure stands beside a reference that is measured in turns with it, and their ratio says what a
figure alone cannot: where a machine is slow or busy, both fall.  Nothing is judged by them.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Annotated, Final, TypeAlias, TypeVar

from msgspec import Meta, Struct

from protocol.messages import Start
from protocol.names import PASID_COUNT

T = TypeVar("T")
SEED: Final = 1
BARE_CALLS: Final = 20_000
INSTANT: Final = 1e-6
"""Seconds: shorter than anything that is measured."""
RATE_NOISE: Final = 0.15
"""So far the ratios of one rate lie apart from run to run, as measured on two busy cores."""
BARE: Final = "messages to an idle handler"

Word = Annotated[str, Meta(max_length=80)]
Ratio = Annotated[float, Meta(ge=1e-12, le=1e12)]
"""No two things that are beside each other lie further apart."""


class Figure(Struct, frozen=True):
    """`ratio` is figure by reference: of what comes `/s` more is better, of all else less.

    From run to run a ratio differs by the share `noise` at most; 0: not at all.
    """

    name: Word
    unit: Word
    figure: float
    reference: float
    ratio: Ratio
    noise: Annotated[float, Meta(ge=0, lt=1)] = 0.0
    note: str = ""


class Yardstick(Struct, frozen=True):
    """A figure that is not measured yet; `beside` says what its reference is."""

    name: str
    unit: str
    beside: str
    noise: float = RATE_NOISE

    def measured(self, figure: float, reference: float, note: str = "") -> Figure:
        """The figure."""
        ratio = figure / reference
        return Figure(self.name, self.unit, figure, reference, ratio, self.noise, note)


Amounts: TypeAlias = tuple[float, float] | tuple[float, float, str]
"""A figure, its reference, and perhaps a note."""


class Measurement(Struct, frozen=True):
    """What is measured in one go: the amounts come in the order of the yardsticks."""

    yardsticks: tuple[Yardstick, ...]
    measure: Callable[[], Iterator[Amounts]]

    def figures(self) -> Iterator[Figure]:
        """All of them, as they are measured."""
        for yardstick, amounts in zip(self.yardsticks, self.measure(), strict=True):
            yield yardstick.measured(*amounts)


class Effort(Struct, frozen=True):
    """How much is done.

    `rounds` of `seconds` for each rate, of which the best counts; `operations` of the history that
    is checked; `pasids` alive; `seeds` that each strategy gets to find a bug within `schedules`;
    `managers` of two-phase commit, and `alike` of them with symmetry; so many `states` of our own
    actors; so many `tries` to shrink something; so many
    `messages` that a host is handed before it is killed; on Ray so many `guests`, `live_operations`
    of each of them, and `lives` one after the other.
    """

    rounds: int
    seconds: float
    operations: int
    pasids: int
    seeds: int
    schedules: int
    managers: tuple[int, ...]
    alike: int
    states: int
    tries: int
    messages: int
    guests: int
    live_operations: int
    lives: int


WHOLE: Final = Effort(
    rounds=5, seconds=0.5, operations=400, pasids=PASID_COUNT - 1, seeds=20, schedules=2_000,
    managers=(7, 8), alike=12, states=150_000, tries=300, messages=100_000,
    guests=256, live_operations=24, lives=200,
)  # fmt: skip
QUICK: Final = Effort(
    rounds=1, seconds=0.001, operations=4, pasids=1_000, seeds=2, schedules=20,
    managers=(3,), alike=5, states=300, tries=5, messages=300,
    guests=2, live_operations=10, lives=2,
)  # fmt: skip


def rate(name: str, unit: str, work: Callable[[], int], effort: Effort) -> Measurement:
    """How much of `work` is done in a second of this process, beside bare calls."""

    def measure() -> Iterator[Amounts]:
        work()
        best = reference = 0.0
        for _ in range(effort.rounds):
            reference = max(reference, per_second(bare_calls, effort.seconds / 5))
            best = max(best, per_second(work, effort.seconds))
        yield best, reference

    return Measurement((Yardstick(name, unit, BARE),), measure)


def per_second(work: Callable[[], int], seconds: float) -> float:
    """By the processor's time, so that others on the machine count for less."""
    began, done, spent = time.process_time(), 0, 0.0
    while spent < seconds:
        done += work()
        spent = time.process_time() - began
    return done / spent


def timed(work: Callable[[], T]) -> tuple[float, T]:
    """The processor's time for one call, never nothing as it is divided by; and what came of it."""
    began = time.process_time()
    result = work()
    return max(time.process_time() - began, INSTANT), result


def bare_calls() -> int:
    """The reference of rates: messages go through a queue to a handler that does nothing."""
    queue: deque[tuple[Start, str]] = deque()
    message = Start()
    for _ in range(BARE_CALLS):
        queue.append((message, "sender"))
        _nothing(*queue.popleft())
    return BARE_CALLS


def _nothing(message: Start, sender: str) -> None:
    pass
