"""Faults in a search: how often and when one strikes, and who learns at once of a loss."""

from dataclasses import dataclass, replace
from itertools import pairwise
from random import Random
from typing import ClassVar, Final, Self

import pytest

from clusters.nemesis import Nemesis
from clusters.sim.search.breadth_first import BreadthFirst
from clusters.sim.search.frozen import thaw
from clusters.sim.search.tree import walk
from clusters.sim.search.world_space import ACTORS, Changes, State, WorldSpace
from clusters.sim.tape import Begin, Deliver
from clusters.sim.world import Setup
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import Event, MemoryFreed, SiteFailed
from protocol.history import Record
from protocol.machine import Machine
from protocol.messages import Done, HostLost, Start, TimerFired
from protocol.names import SUPERVISOR, Name
from protocol.properties.property import Kind, Owed
from tests.clusters.search.paths import (
    assert_same_end,
    path_to_what_was_found,
    random_path,
    run_of,
    searched,
)
from tests.clusters.search.test_world_space import SCRIPTED
from tests.clusters.search.tiny import THING, Tabled, setup_of, table, tiny, with_loss

MOURNERS: Final = "abcd"


class Mourner(Tabled):
    """Frees the thing when it hears of a loss; the second who does so frees it twice."""

    __slots__ = ()

    def handle(self, message: Start | HostLost | TimerFired | Done, sender: Name, out: Out) -> None:
        if isinstance(message, HostLost):
            out.record(MemoryFreed(*THING))
        Tabled.handle(self, message, sender, out)


def mourning() -> Setup:
    """One message is on its way when `a` is lost; three hear of it."""
    rules = table(Random(0), ["a"])
    opening = (("d", 0),)
    actors = {n: Mourner(n, opening if n == "c" else (), rules) for n in MOURNERS}
    return with_loss(setup_of(dict(actors)), "a")


def searched_for(setup: Setup, *, told: bool) -> tuple[WorldSpace, BreadthFirst[State, Changes]]:
    space = WorldSpace(setup, told=told)
    return space, searched(space)


@pytest.mark.parametrize("told", [False, True], ids=["in any order", "at once"])
def test_what_is_violated_by_the_news_of_a_loss_replays_in_the_world(*, told: bool) -> None:
    """Where it is violated the world stops, and so must the path, in the midst of the news."""
    setup = mourning()
    space, search = searched_for(setup, told=told)
    assert search.found is not None
    labels = path_to_what_was_found(space, search)
    result = run_of(setup, space, labels)
    assert [one.property for one in result.violations] == [search.found.property]
    heard = [c for c in result.tape.choices if c in [Deliver(SUPERVISOR, n) for n in MOURNERS]]
    assert len(heard) == 2


def test_nothing_is_lost_at_rest() -> None:
    """There the world has ended, so that no tape could say it."""
    setup = with_loss(tiny(13, 3), "a")
    space = WorldSpace(setup)
    states, seen = [space.initial()], {space.key(space.initial()): None}
    lost = ended = 0
    for state in states:
        moves = space.moves(state)
        kinds = [space.channel(label) >= 0 for label, _, _ in moves]
        assert any(kinds) or not kinds
        lost += not all(kinds)
        ended += not kinds
        for _, key, step in moves:
            if key not in seen:
                seen[key] = None
                states.append(space.after(state, step))
    assert lost > 10
    assert ended > 1


@pytest.mark.parametrize("name", ["two-vms-one-lost", "lost-vdcm"])
def test_those_are_told_at_once_who_have_nothing_of_the_lost_one_on_its_way(name: str) -> None:
    """Nor any of its files: whoever has hears of it in its turn, behind what is on its way."""
    setup = SCRIPTED[name]()
    space = WorldSpace(setup, booted=True, told=True)
    inbox_at = ACTORS + len(space.names)
    heard = waited = 0
    for seed in range(4):
        _, states = random_path(space, Random(seed), faults=0.0)
        for state in states:
            for label, _, step in space.moves(state):
                begin, *told = space.inputs.labels.choices[label]
                if not isinstance(begin, Begin):
                    continue
                after = space.after(state, step)
                for at, other in enumerate(space.names):
                    if Deliver(SUPERVISOR, other) in told:
                        heard += 1
                        assert not space.inboxes.has(state[inbox_at + at], begin.target)
                    elif space.inboxes.has(state[inbox_at + at], begin.target):
                        waited += 1
                        assert other == begin.target or space.inboxes.has(
                            after[inbox_at + at], SUPERVISOR
                        )
    assert heard > 100
    assert waited > 20


def test_a_loss_and_what_follows_is_a_run_of_the_world() -> None:
    """What is judged is left out: a world can call concurrent what the search has put in order."""
    lost = 0
    for seed in range(0, 400, 2):
        setup = replace(with_loss(tiny(seed, 3), "a"), properties=())
        for told in (False, True):
            space = WorldSpace(setup, told=told)
            labels, states = random_path(space, Random(seed), faults=0.3)
            result = run_of(setup, space, labels)
            assert_same_end(space, states[-1], result)
            lost += bool(result.faults)
    assert lost > 50


# --- A fallible step ------------------------------------------------------------------------------

STEP: Final = Site("tries.step", Errno.ENOMEM)
TRIES: Final = 4


@dataclass(slots=True)
class Trying:
    """Takes a fallible step so many times, one after the other."""

    SITES: ClassVar[tuple[Site, ...]] = (STEP,)
    LOSABLE: ClassVar[bool] = False

    left: int = TRIES
    failed: int = 0

    @classmethod
    def of(cls, machine: Machine, name: Name) -> Self:
        return cls()

    def handle(self, message: Start | HostLost | TimerFired | Done, sender: Name, out: Out) -> None:
        if isinstance(message, TimerFired):
            self.left -= 1
            self.failed += out.may_fail(STEP) is not None
        if self.left:
            out.set_timer("next")


def failures(*nemeses: Nemesis) -> list[tuple[int, ...]]:
    """How often `a` and `b` have failed in each end that a search reaches."""
    setup = Setup(
        Machine((), (), ()), cast=lambda: {name: Trying() for name in "ab"}, nemeses=nemeses
    )
    space = WorldSpace(setup)
    search = searched(space)
    assert search.unknown == ""
    found: dict[tuple[int, ...], None] = {}
    for number in range(len(search.graph)):
        state = walk(space, search.graph.tree.path(number))[1][-1]
        if not space.moves(state):
            actors = [thaw(space.parts.content[part]) for part in state[ACTORS:][:2]]
            found[tuple(a.failed for a in actors if isinstance(a, Trying))] = None
    return sorted(found)


@pytest.mark.parametrize(("times", "most"), [(0, 1), (1, 1), (2, 2), (3, 3)])
def test_a_step_fails_so_often_as_its_plan_says_and_once_without_a_bound(
    times: int, most: int
) -> None:
    expected = [(a, b) for a in range(TRIES + 1) for b in range(TRIES + 1) if a + b <= most]
    assert failures(Nemesis("fail", site=STEP.name, times=times)) == expected


def test_a_step_fails_only_of_the_actor_that_is_meant() -> None:
    plan = Nemesis("fail", "b", site=STEP.name, times=2)
    assert failures(plan) == [(0, 0), (0, 1), (0, 2)]


@pytest.mark.parametrize("nth", range(1, TRIES + 1))
def test_a_step_fails_at_the_passage_that_its_plan_says_and_at_no_other(nth: int) -> None:
    assert failures(Nemesis("fail", "b", site=STEP.name, nth=nth)) == [(0, 1)]
    assert failures(Nemesis("fail", site=STEP.name, nth=nth)) == [(0, 1), (1, 0)]


def test_a_passage_that_never_comes_does_not_fail() -> None:
    assert failures(Nemesis("fail", "b", site=STEP.name, nth=TRIES + 1)) == [(0, 0)]


def test_two_plans_for_one_step_add_up() -> None:
    plans = [Nemesis("fail", name, site=STEP.name, times=1) for name in ("a", "")]
    assert failures(*plans) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)]


class NothingFails:
    """No fallible step fails."""

    name: ClassVar[str] = "nothing-fails"
    kind: ClassVar[Kind] = Kind.ALWAYS
    invariant: ClassVar[str] = ""
    source: ClassVar[str] = "these tests"
    observes: ClassVar[tuple[type[Event], ...]] = (SiteFailed,)

    def __init__(self, machine: Machine) -> None:
        pass

    def observe(self, record: Record) -> str | None:
        assert isinstance(record.fact, SiteFailed)
        return f"{record.fact.site} of {record.stamp.actor} failed"

    def unmet(self) -> list[Owed]:
        return []


def test_a_property_is_shown_that_a_step_failed_as_it_is_in_the_world() -> None:
    setup = Setup(
        Machine((), (), ()),
        cast=lambda: {name: Trying() for name in "ab"},
        properties=(NothingFails,),
        nemeses=(Nemesis("fail", "b", site=STEP.name, times=1),),
    )
    space = WorldSpace(setup)
    search = searched(space)
    assert search.found is not None
    labels = path_to_what_was_found(space, search)
    assert len(labels) == 1
    (violation,) = run_of(setup, space, labels).violations
    assert violation.sentence == "tries.step of b failed"


def test_an_actor_is_lost_once_and_so_many_as_the_plan_says() -> None:
    rules = table(Random(0), ["b", "c"])
    actors = {n: Tabled(n, (("c" if n == "a" else "a", 5),), rules) for n in "abc"}
    for times, names in ((1, "a"), (2, "ab"), (3, "abc")):
        plan = tuple(Nemesis("lose", name, times=1) for name in names)
        space = WorldSpace(replace(setup_of(dict(actors)), properties=(), nemeses=plan))
        most = 0
        for seed in range(60):
            labels, states = random_path(space, Random(seed), faults=0.5)
            lost = [label for label in labels if space.channel(label) < 0]
            assert len(set(lost)) == len(lost)
            assert all(space.key(one) != space.key(two) for one, two in pairwise(states))
            most = max(most, len(lost))
        assert most == times


def test_who_is_lost_is_not_lost_again() -> None:
    setup = with_loss(tiny(13, 3), "a")
    plan = (Nemesis("lose", "a", times=2),)
    space = WorldSpace(replace(setup, properties=(), nemeses=plan))
    for seed in range(60):
        labels, _ = random_path(space, Random(seed), faults=0.5)
        assert len([label for label in labels if space.channel(label) < 0]) <= 1
