"""What `bench` measures of a search engine and of a shrinker, whichever it is handed."""

from functools import partial

import pytest

from clusters.sim.search.space import D, S, Space
from experiments.harness.bench_search import (
    flattened,
    flattened_orbits,
    searches,
    shrinking,
    world_search,
)
from experiments.harness.measuring import QUICK, WHOLE
from experiments.models.two_phase import TwoPhase
from tests.experiments.plainest import searched


def search(space: Space[S, D]) -> int:
    return len(searched(space)[0])


def forgetful(space: Space[S, D]) -> int:
    return len(searched(space)[0]) - 1


@pytest.mark.parametrize("managers", range(1, 6))
def test_the_references_find_what_the_model_has(managers: int) -> None:
    assert flattened(managers) == search(TwoPhase(managers))
    assert flattened_orbits(managers) == search(TwoPhase(managers, symmetric=True))


@pytest.mark.parametrize(("managers", "orbits"), [(7, 920), (9, 2_232), (12, 6_656)])
def test_the_reference_sorts_exactly(managers: int, orbits: int) -> None:
    assert flattened_orbits(managers) == orbits


def test_states_are_counted_beside_a_search_flattened_by_hand() -> None:
    found = [figure for each in searches(search, QUICK) for figure in each.figures()]
    assert [(one.name, one.unit, one.note) for one in found] == [
        ("two-phase commit, N=3", "states/s", "288 states"),
        ("two-phase commit, N=5, symmetric", "states/s", "314 states"),
    ]
    assert all(one.figure > 0 and one.reference > 0 for one in found)


def test_the_whole_effort_has_the_sizes_that_others_publish() -> None:
    names = [one.name for each in searches(search, WHOLE) for one in each.yardsticks]
    assert names == [
        "two-phase commit, N=7",
        "two-phase commit, N=8",
        "two-phase commit, N=12, symmetric",
    ]


def test_err_an_engine_that_misses_a_state_is_not_measured() -> None:
    measurement = next(iter(searches(forgetful, QUICK)))
    with pytest.raises(AssertionError, match="287 states were found, there are 288"):
        list(measurement.figures())


def test_a_world_is_beside_bare_calls_and_shrinking_beside_one_run() -> None:
    world = world_search("own actors", search, partial(TwoPhase, 2), QUICK)
    [figure] = world.figures()
    assert (figure.name, figure.unit, figure.note) == ("own actors", "states/s", "56 states")
    done: list[str] = []
    shrunk = shrinking("shrink", partial(done.append, "shrunk"), partial(done.append, "run"), QUICK)
    [figure] = shrunk.figures()
    assert (figure.unit, done) == ("s", ["shrunk", "run"])
    assert figure.ratio == pytest.approx(figure.figure / figure.reference)
