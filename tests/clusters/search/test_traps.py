"""The traps of a search of states, each with a test that would fall into it.

What must not be in a state is not there, what must be is there, and what a move does not touch it
shares with the state before it.
"""

from dataclasses import dataclass, field, replace
from random import Random
from typing import ClassVar, Final, Self

import pytest

from actors.ioasid_core import IoasidCore
from clusters.cluster import Actor
from clusters.sim.replay import replay
from clusters.sim.search.counterexample import tape_of
from clusters.sim.search.frozen import Ghost, thaw
from clusters.sim.search.handling import LeakError
from clusters.sim.search.space import Key, Label
from clusters.sim.search.world_space import ACTORS, State, WorldSpace
from clusters.sim.tape import Begin, Deliver, Draw, Fail, Fire
from clusters.sim.world import Setup
from protocol.effects import Out, Site
from protocol.facts import Event, MemoryUsed
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Start, TimerFired
from protocol.names import CORE, Incarnation, Name
from protocol.properties.property import Kind, Owed, Property
from tests.clusters.search.paths import (
    assert_same_end,
    canonical,
    path_to_what_was_found,
    random_path,
    run_of,
    searched,
)
from tests.clusters.search.repeating import for_ever, in_circles
from tests.clusters.search.test_world_space import SCRIPTED, SETUPS
from tests.clusters.search.tiny import tiny
from tests.defects.stages import FREED_BOUND, LIFE

NOTHING: Final = Machine((), (), ())


# --- What must not be in a state ------------------------------------------------------------------


@pytest.mark.parametrize("steps", [("p = alloc", "free p"), LIFE, FREED_BOUND], ids=len)
def test_a_guest_that_repeats_itself_comes_back_to_where_it_was(steps: tuple[str, ...]) -> None:
    """The trap: step numbers, message ids, sequences of links and times are not in the key.

    Nor are the lives that were before, and what every property remembers is bounded.
    """
    space = for_ever(*steps)
    states, before = in_circles(space)
    first, last = states[before], states[-1]
    assert len(states) - 1 - before >= 2 * len(steps)
    assert canonical(space, first) == canonical(space, last)


def test_what_is_done_for_ever_has_an_end_of_states() -> None:
    """The trap: what properties remember must not grow with the run."""
    search = searched(for_ever("p = alloc", "free p"), edges=True)
    assert (search.found, search.unknown) == (None, "")
    assert len(search.graph) < 1_000
    assert search.end_count == 0


def lives_in(space: WorldSpace, state: State) -> int:
    """How many lives the core has given out."""
    core = thaw(space.parts.content[state[ACTORS + space.names.index(CORE)]])
    assert isinstance(core, IoasidCore)
    assert isinstance(core.incarnations, Ghost)
    return core.incarnations


def test_how_many_lives_were_before_is_not_in_the_key() -> None:
    """The trap: incarnations are numbered anew in the key; the states keep their own."""
    space = for_ever(*LIFE)
    states, before = in_circles(space)
    first, last = states[before], states[-1]
    assert lives_in(space, last) > lives_in(space, first) > 0
    assert first != last
    assert space.key(first) == space.key(last)


@dataclass(slots=True)
class Keeper:
    """Keeps lives, as an actor does who holds something for each."""

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    lives: list[Incarnation] = field(default_factory=list)
    count: int = 0

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls()

    def handle(self, message: Start | HostLost | Done | TimerFired, sender: Name, out: Out) -> None:
        """Nothing to do."""


def key_of(*kept: list[int], count: int = 0) -> Key:
    """The key of a world in which these lives are kept; the order of lives is by their numbers."""

    def cast() -> dict[Name, Actor]:
        return {
            f"keeper{k}": Keeper([Ghost(life) for life in lives], count)
            for k, lives in enumerate(kept)
        }

    space = WorldSpace(Setup(NOTHING, cast=cast))
    return space.key(space.initial())


def test_lives_are_told_apart_by_their_order_and_by_nothing_else() -> None:
    """The trap, from both sides: what is renumbered must still be told apart."""
    assert key_of([1, 2], [2]) == key_of([7, 9], [9]) == key_of([3, 100], [100])
    assert key_of([1, 2], [2]) != key_of([1, 2], [1])
    assert key_of([1, 2]) != key_of([2, 1])
    assert key_of([1, 1]) != key_of([1, 2])
    assert key_of([5], [5]) != key_of([5], [6])
    assert key_of([1, 2], count=1) != key_of([1, 2], count=2)


def test_who_keeps_what_is_told_apart() -> None:
    """The trap: a key that is a sum must know of each part where it stands."""
    assert key_of([1], []) != key_of([], [1])
    assert key_of([1, 2], [1]) != key_of([1], [1, 2])


class Stamps:
    """Remembers all that a stamp says of when and where."""

    name: ClassVar[str] = "stamps"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "these tests"
    observes: ClassVar[tuple[type[Event], ...]] = tuple(
        dict.fromkeys(fact for each in SCRIPTED["two-vms"]().properties for fact in each.observes)
    )

    def __init__(self, machine: Machine) -> None:
        self.said: list[tuple[int, int, int]] = []

    def observe(self, record: Record) -> str | None:
        stamp = record.stamp
        said = (stamp.step, stamp.ts_ns, stamp.epoch)
        if said not in self.said:
            self.said.append(said)
        return None

    def unmet(self) -> list[Owed]:
        return []


def test_a_property_is_shown_no_steps_and_no_times() -> None:
    """The trap: one that remembered them would tell all states apart."""
    space = WorldSpace(replace(SCRIPTED["two-vms"](), properties=(Stamps,)), booted=True)
    _, states = random_path(space, Random(0))
    judged = thaw(space.parts.content[states[-1][-1]])
    assert isinstance(judged, Stamps)
    assert judged.said == [(0, 0, 0)]


def test_two_deliveries_that_are_independent_lead_to_one_state_in_either_order() -> None:
    """The trap: nothing in a state says in which order it came about."""
    space = WorldSpace(SCRIPTED["two-vms"]())
    compared = 0
    _, states = random_path(space, Random(3))
    for state in states[::5]:
        moves = space.moves(state)
        for one, _, first in moves:
            for other, _, second in moves:
                if one < other and space.independent(state, one, other):
                    here = space.after(state, first)
                    there = space.after(state, second)
                    (last,) = [step for label, _, step in space.moves(here) if label == other]
                    (same,) = [step for label, _, step in space.moves(there) if label == one]
                    assert space.after(here, last) == space.after(there, same)
                    compared += 1
    assert compared > 20


# --- What must be in it ---------------------------------------------------------------------------


@dataclass(slots=True)
class Once:
    """Uses a thing at its first message, and is as it was before."""

    SITES: ClassVar[tuple[Site, ...]] = ()
    LOSABLE: ClassVar[bool] = False

    name: Name

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls(name)

    def handle(self, message: Start | HostLost | Done | TimerFired, sender: Name, out: Out) -> None:
        if isinstance(message, Start):
            out.set_timer("once")
        elif isinstance(message, TimerFired):
            out.record(MemoryUsed("thing", self.name))


class Latest:
    """Remembers who used something last."""

    name: ClassVar[str] = "latest"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "these tests"
    observes: ClassVar[tuple[type[Event], ...]] = (MemoryUsed,)

    def __init__(self, machine: Machine) -> None:
        self.user = ""

    def observe(self, record: Record) -> str | None:
        self.user = record.stamp.actor
        return None

    def unmet(self) -> list[Owed]:
        return []


class LatestSeen(Latest):
    """The same as a witness: whatever it has seen, no verdict of the future hangs on it."""

    kind: ClassVar[Kind] = Kind.SOMETIMES


def ends(*properties: type[Property]) -> int:
    """In how many states two actors end that have used something, each once."""
    setup = Setup(NOTHING, cast=lambda: {n: Once(n) for n in "ab"}, properties=properties)
    return searched(WorldSpace(setup)).end_count


def test_states_that_differ_only_in_what_a_property_remembers_are_told_apart() -> None:
    """The trap: merged, they would hide what the property says later of one of them."""
    assert ends() == 1
    assert ends(Latest) == 2


@pytest.mark.parametrize(("properties", "expected"), [((), True), ((Latest,), False)])
def test_moves_that_one_property_sees_are_not_independent(
    properties: tuple[type[Property], ...], *, expected: bool
) -> None:
    """It may remember their order, so neither may be left out."""
    setup = Setup(NOTHING, cast=lambda: {n: Once(n) for n in "ab"}, properties=properties)
    space = WorldSpace(setup)
    (one, _, _), (other, _, _) = space.moves(space.initial())
    assert space.independent(space.initial(), one, other) is expected


class Favours(Latest):
    """Remembers one user and no other."""

    name: ClassVar[str] = "favours"

    def observe(self, record: Record) -> str | None:
        if record.stamp.actor == "a":
            self.user = "somebody"
        return None


class Accuses(Latest):
    """Says something of one user and of no other."""

    name: ClassVar[str] = "accuses"

    def observe(self, record: Record) -> str | None:
        return "it was used" if record.stamp.actor == "a" else None


@pytest.mark.parametrize("unfair", [Favours, Accuses])
def test_err_a_property_that_does_not_treat_names_alike_is_refused_by_name(
    unfair: type[Property],
) -> None:
    """The trap: merged states would then have different verdicts."""
    setup = Setup(NOTHING, cast=lambda: {n: Once(n) for n in "ab"}, properties=(unfair,))
    with pytest.raises(LeakError, match=f"{unfair.name} does not treat a and b alike"):
        searched(WorldSpace(setup, ("a", "b")))


def test_a_property_that_treats_names_alike_is_not_refused() -> None:
    setup = Setup(NOTHING, cast=lambda: {n: Once(n) for n in "ab"}, properties=(Latest,))
    assert searched(WorldSpace(setup, ("a", "b"))).end_count == 1


def test_what_a_witness_has_seen_tells_no_states_apart() -> None:
    assert ends(LatestSeen) == 1


# --- What is restored, and what is shared ---------------------------------------------------------


@pytest.mark.parametrize("name", ["two-vms-one-lost", "vm_killed", "normal_life"])
def test_an_actor_that_is_restored_at_every_step_ends_as_one_that_lives(name: str) -> None:
    """The trap: a restored state must behave as the original.  The world never restores."""
    setup = SETUPS[name]()
    for seed in range(10, 13):
        space = WorldSpace(setup)
        labels, states = random_path(space, Random(seed), faults=0.01)
        assert_same_end(space, states[-1], run_of(setup, space, labels))


def test_a_move_changes_the_one_who_handles_it_and_shares_the_rest() -> None:
    """The trap: copy only what changes."""
    space = WorldSpace(SCRIPTED["two-vms-one-lost"](), booted=True)
    _, states = random_path(space, Random(2), faults=0.0)
    count = len(space.names)
    for state in states:
        for label, _, step in space.moves(state):
            if space.channel(label) < 0:
                continue
            first = space.inputs.labels.choices[label][0]
            assert isinstance(first, Deliver | Fire)
            receiver = first.destination if isinstance(first, Deliver) else first.actor
            after = space.after(state, step)
            changed = [at for at in range(count) if after[ACTORS + at] != state[ACTORS + at]]
            assert [space.names[at] for at in changed] in ([], [receiver])
            named = {place for place, _ in step}
            assert all(after[at] is state[at] for at in range(len(state)) if at not in named)


def test_an_input_is_run_once_however_many_states_it_is_delivered_in() -> None:
    """The trap: (local state, message) -> (local state, effects) is remembered."""
    space = WorldSpace(SCRIPTED["two-vms"](), booted=True)
    handled: list[Label] = []
    states, seen = [space.initial()], {space.key(space.initial()): None}
    for state in states:
        for label, key, step in space.moves(state):
            handled.append(label)
            if key not in seen and len(states) < 2_000:
                seen[key] = None
                states.append(space.after(state, step))
    known = len(space.inputs.done)
    assert known * 5 < len(handled)
    for state in states:
        space.moves(state)
    assert len(space.inputs.done) == known


# --- Tapes ----------------------------------------------------------------------------------------


def turned(setup: Setup) -> Setup:
    """The same actors, the last one first."""
    return replace(setup, cast=lambda: dict(reversed(setup.actors().items())))


def test_a_tape_of_a_search_survives_another_order_of_the_actors() -> None:
    """The trap: a tape names its choices by what they are, and not by an index."""
    survived = 0
    for seed in range(1, 160, 2):
        setup = tiny(seed)
        space = WorldSpace(setup)
        search = searched(space)
        if search.found is None:
            continue
        tape = tape_of("breadth-first", space, path_to_what_was_found(space, search))
        assert all(isinstance(c, Deliver | Fire | Begin | Draw | Fail) for c in tape.choices)
        violations = replay(turned(setup), tape).violations
        assert [violation.property for violation in violations] == [search.found.property]
        survived += 1
    assert survived > 15
