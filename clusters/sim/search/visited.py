"""What of a space one run has visited: of the states of a search, and of the races decided in it.

A race is two messages that wait for one actor at the same time, and which of them is handled first.
The run is walked through the space, choice by choice; from all its states the search goes outwards,
breadth first, bounded by a number of states.  Both only depend on the setup and the run.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

from msgspec import Struct

from clusters.sim.search.inboxes import Head, channel_of
from clusters.sim.search.space import Key
from clusters.sim.search.world_space import ACTORS, Move, State, WorldSpace
from clusters.sim.tape import Begin, Choice, Deliver, Draw, Fail, Fire, Heal
from clusters.sim.world import Setup
from protocol.names import Name

T = TypeVar("T")

STATES: Final = 50_000
"""States that are searched unless more are asked for: some seconds."""
NEAREST: Final = 5
"""Unvisited races that are told."""


class Race(Struct, frozen=True, order=True):
    """`first` was handled by `actor` while `second` waited for it, too."""

    actor: Name
    first: str
    second: str

    @property
    def words(self) -> str:
        """What is said of it."""
        return f"{self.actor}: {self.first} before {self.second}"


class Near(Struct, frozen=True):
    """A race that was not visited: so many moves off the run, behind its step `step`."""

    race: Race
    step: int
    distance: int


class Part(Struct, frozen=True):
    """How many of something the run visited, of how many the search knows."""

    visited: int
    of: int


class Visited(Struct, frozen=True):
    """`states` of the whole world, `locals` of single actors, `races`; the `nearest` unvisited.

    `whole`: the search came to its end, else it looked at what is less than `distance` moves off
    the run, and at some that is as far.  `left`: at which step the run could not be walked on; 0:
    it was to its end.
    """

    states: Part
    locals: Part
    races: Part
    nearest: tuple[Near, ...]
    whole: bool
    distance: int
    steps: int
    left: int


@dataclass
class Searched:
    """States by key, locals, and each race with where it was met first."""

    numbers: dict[Key, int] = field(default_factory=dict)
    locals: dict[int, None] = field(default_factory=dict)
    races: dict[Race, Near] = field(default_factory=dict)
    distance: int = 0
    whole: bool = True


@dataclass
class Walked:
    """What a run passed: states with the step behind which it did, locals, races."""

    states: dict[Key, tuple[State, int]] = field(default_factory=dict)
    locals: dict[int, None] = field(default_factory=dict)
    races: dict[Race, None] = field(default_factory=dict)
    steps: int = 0
    left: int = 0


def visited(setup: Setup, choices: Sequence[Choice], states: int = STATES) -> Visited:
    """Walk, search and compare.  Properties have no say in what a state is here."""
    space = WorldSpace(replace(setup, properties=(), delay_steps=(0, 0)))
    walked = _walk(space, choices)
    searched = _search(space, walked, states)
    missed = [near for race, near in searched.races.items() if race not in walked.races]
    return Visited(
        states=Part(len(walked.states), len(searched.numbers)),
        locals=_part(walked.locals, searched.locals),
        races=_part(walked.races, searched.races),
        nearest=tuple(missed[:NEAREST]),
        whole=searched.whole,
        distance=searched.distance,
        steps=walked.steps,
        left=walked.left,
    )


def _part(some: dict[T, None], every: Mapping[T, object]) -> Part:
    return Part(sum(one in every for one in some), len(every))


# --- The run --------------------------------------------------------------------------------------


def _walk(space: WorldSpace, choices: Sequence[Choice]) -> Walked:
    walked = Walked()
    state = space.initial()
    _pass(space, state, walked)
    done = 0
    while done < len(choices):
        if isinstance(choices[done], Heal):
            done += 1
            continue
        found = _move(space, state, choices, done)
        if found is None:
            walked.left = walked.steps + 1
            break
        (label, _, changes), taken = found
        for race in _races(space, state, space.channel(label)):
            walked.races[race] = None
        walked.steps += not isinstance(choices[done], Begin)
        state = space.after(state, changes)
        done += taken
        _pass(space, state, walked)
    return walked


def _pass(space: WorldSpace, state: State, walked: Walked) -> None:
    walked.states.setdefault(space.key(state), (state, walked.steps))
    walked.locals |= dict.fromkeys(_locals(space, state))


def _move(
    space: WorldSpace, state: State, choices: Sequence[Choice], done: int
) -> tuple[Move, int] | None:
    """The move that the run makes next, and how many of its choices that are."""
    first, said = choices[done], _answers(choices, done + 1)
    label = -1
    if isinstance(first, Deliver | Fire):
        at, head = space.heads(state).get(channel_of(first), (-1, None))
        if head is not None:
            case = space.inputs.alike(state[ACTORS + at], head.item, said)
            label = case.label if case is not None else -1
    for move in space.moves(state):
        if move[0] == label or space.inputs.labels.choices[move[0]] == (first,):
            return move, 1 + len(said)
    return None


def _answers(choices: Sequence[Choice], at: int) -> list[int]:
    """What chance said from there on."""
    said: list[int] = []
    for choice in choices[at:]:
        match choice:
            case Draw(value=value):
                said.append(value)
            case Fail(failed=failed):
                said.append(int(failed))
            case _:
                break
    return said


# --- The search -----------------------------------------------------------------------------------


def _search(space: WorldSpace, walked: Walked, bound: int) -> Searched:
    """From all states of the run outwards, to the end or until there are so many states."""
    found = Searched()
    ahead: deque[tuple[State, int, int]] = deque()
    for key, (state, step) in walked.states.items():
        found.numbers[key] = len(found.numbers)
        ahead.append((state, 0, step))
    while ahead and found.whole:
        state, distance, step = ahead.popleft()
        found.distance = distance
        found.locals |= dict.fromkeys(_locals(space, state))
        for race in _all_races(space, state):
            found.races.setdefault(race, Near(race, step, distance))
        for _, key, changes in space.moves(state):
            if key not in found.numbers:
                if len(found.numbers) >= bound:
                    found.whole = False
                    break
                found.numbers[key] = len(found.numbers)
                ahead.append((space.after(state, changes), distance + 1, step))
    return found


def _locals(space: WorldSpace, state: State) -> tuple[int, ...]:
    return state[ACTORS : ACTORS + len(space.names)]


def _all_races(space: WorldSpace, state: State) -> Iterator[Race]:
    for at, heads in _heads(space, state).items():
        for first in heads:
            yield from _won(space, at, first, heads)


def _races(space: WorldSpace, state: State, channel: int) -> Iterator[Race]:
    """Those that are decided when this channel delivers."""
    for at, heads in _heads(space, state).items():
        for first in heads:
            if first.channel == channel:
                yield from _won(space, at, first, heads)


def _won(space: WorldSpace, at: int, first: Head, heads: Sequence[Head]) -> Iterator[Race]:
    for second in heads:
        if second is not first:
            yield Race(space.names[at], _words(space, first), _words(space, second))


def _heads(space: WorldSpace, state: State) -> dict[int, list[Head]]:
    """By actor, what can be delivered to it."""
    heads: dict[int, list[Head]] = {}
    for at, head in space.heads(state).values():
        heads.setdefault(at, []).append(head)
    return heads


def _words(space: WorldSpace, head: Head) -> str:
    item = space.inboxes.items[head.item]
    if item.timer:
        return f"timer '{item.timer}'"
    return f"{type(item.message).__name__} of {item.sender}"
