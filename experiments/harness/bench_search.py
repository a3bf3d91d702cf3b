"""What `bench` says of the search engine and of the shrinker, whichever it is handed.

The reference of a search is the same search flattened by hand: no space, no labels, no way back,
only numbers, a set and a list.  It must find as many states.
"""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import Final, Protocol

from clusters.sim.search.space import D, S, Space
from experiments.harness.measuring import (
    BARE,
    Amounts,
    Effort,
    Measurement,
    Yardstick,
    bare_calls,
    per_second,
    timed,
)
from experiments.models.two_phase import TwoPhase

UNIT: Final = "states/s"
FLAT: Final = "the same, flattened by hand"
ROUNDS: Final = 3
"""Of a search that is over soon; of a long one there is one."""
SOON: Final = 7
"""Resource managers with which it is."""
TIME_NOISE: Final = 0.3


class Engine(Protocol):
    """Finds every state of a space, and says how many there are."""

    def __call__(self, space: Space[S, D], /) -> int:
        """As fast as it can, with one process."""


def searches(search: Engine, effort: Effort) -> Iterator[Measurement]:
    """Two-phase commit, whose states others have counted."""
    for managers in effort.managers:
        rounds = min(effort.rounds, ROUNDS) if managers <= SOON else 1
        space, flat = partial(TwoPhase, managers), partial(flattened, managers)
        measure = partial(states, search, space, flat, rounds)
        yield Measurement((Yardstick(f"two-phase commit, N={managers}", UNIT, FLAT),), measure)
    space = partial(TwoPhase, effort.alike, symmetric=True)
    flat = partial(flattened_orbits, effort.alike)
    measure = partial(states, search, space, flat, min(effort.rounds, ROUNDS))
    name = f"two-phase commit, N={effort.alike}, symmetric"
    yield Measurement((Yardstick(name, UNIT, FLAT),), measure)


def states(
    search: Engine, space: Callable[[], TwoPhase], flat: Callable[[], int], rounds: int
) -> Iterator[Amounts]:
    """Distinct states in a second: the best of some rounds, in turns with the reference."""
    best = reference = 0.0
    for _ in range(rounds):
        seconds, there = timed(flat)
        reference = max(reference, there / seconds)
        seconds, count = timed(partial(search, space()))
        best = max(best, count / seconds)
        assert count == there, f"{count} states were found, there are {there}"
    yield best, reference, f"{count:,} states"


def world_search(
    name: str, search: Engine, space: Callable[[], Space[S, D]], effort: Effort
) -> Measurement:
    """Distinct states in a second of a world of our own actors, beside bare calls."""

    def measure() -> Iterator[Amounts]:
        best = reference = 0.0
        for _ in range(min(effort.rounds, ROUNDS)):
            reference = max(reference, per_second(bare_calls, effort.seconds / 5))
            seconds, count = timed(partial(search, space()))
            best = max(best, count / seconds)
        yield best, reference, f"{count:,} states"

    return Measurement((Yardstick(name, UNIT, BARE),), measure)


def shrinking(
    name: str, shrink: Callable[[], object], once: Callable[[], object], effort: Effort
) -> Measurement:
    """How long it takes to make a counterexample small, beside running it `once`."""

    def measure() -> Iterator[Amounts]:
        rounds = range(min(effort.rounds, ROUNDS))
        times = [(timed(shrink)[0], timed(once)[0]) for _ in rounds]
        best, reference = map(min, zip(*times, strict=True))
        yield best, reference

    beside = "one run of what is shrunk"
    return Measurement((Yardstick(name, "s", beside, TIME_NOISE),), measure)


# --- The references: they never change, or figures could not be compared --------------------------


def flattened(managers: int) -> int:
    """How many states there are: an RM has four bits, the TM two (see the model)."""
    places = range(2, 2 + 4 * managers, 4)
    received = sum(8 << at for at in places)
    seen, level = {0}, [0]
    while level:
        deeper: list[int] = []
        for state in level:
            then: list[int] = []
            decision = state & 3
            for at in places:
                local = state >> at & 15
                if not local & 3:
                    then.append(state + (5 << at))
                    then.append(state + (3 << at))
                if decision:
                    then.append(state & ~(3 << at) | decision << at)
                elif local & 4:
                    then.append(state | 8 << at)
            if not decision:
                then.append(state + 3)
                if state & received == received:
                    then.append(state + 2)
            for one in then:
                if one not in seen:
                    seen.add(one)
                    deeper.append(one)
        level = deeper
    return len(seen)


def flattened_orbits(managers: int) -> int:
    """The same, where a state is the TM's decision and the sorted bits of all RMs."""
    first = (0, *[0] * managers)
    seen: set[Hashable] = {first}
    level = [first]
    while level:
        deeper: list[tuple[int, ...]] = []
        for decision, *locals_ in level:
            then: list[tuple[int, list[int]]] = []
            for k, local in enumerate(locals_):
                rest = [*locals_[:k], *locals_[k + 1 :]]
                if not local & 3:
                    then.append((decision, [*rest, local + 5]))
                    then.append((decision, [*rest, local + 3]))
                if decision:
                    then.append((decision, [*rest, local & 12 | decision]))
                elif local & 4:
                    then.append((decision, [*rest, local | 8]))
            if not decision:
                then.append((3, locals_))
                if all(local & 8 for local in locals_):
                    then.append((2, locals_))
            for its, those in then:
                one = (its, *sorted(those))
                if one not in seen:
                    seen.add(one)
                    deeper.append(one)
        level = deeper
    return len(seen)
