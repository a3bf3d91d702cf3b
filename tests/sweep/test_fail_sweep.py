"""Every fallible step of every actor fails at its first, second and third passage (fail-nth).

Whoever is refused undoes what it has begun, and everything still comes to rest.
"""

from itertools import product
from typing import Final

import pytest

from clusters.cluster import ROLES, build
from clusters.nemesis import Nemesis
from clusters.sim.world import simulate
from protocol.names import Name
from tests.sweep.scripts import CROWD, SCRIPTS
from tests.worlds import assert_fine, with_faults, without_expectations, world_of

TEXTS: Final = {**SCRIPTS, "crowd": CROWD}
PASSAGES: Final = (1, 2, 3)
SEEDS: Final = range(3)
"""Schedules of each failure."""
SITES: Final = [site.name for made in ROLES.values() for site in made.SITES]


def owners_of(script: str, site: str) -> list[Name]:
    """The actors of a script that pass the step."""
    setup = world_of(TEXTS[script])
    actors = build(setup.machine, setup.plans)
    return [name for name, actor in actors.items() if site in [one.name for one in actor.SITES]]


@pytest.mark.parametrize("site", SITES)
def test_a_step_fails_and_everything_comes_to_rest(site: str) -> None:
    """And the scripts are rich enough for a third time."""
    struck: list[int] = []
    for script in TEXTS:
        setup = without_expectations(world_of(TEXTS[script]))
        for actor, nth, seed in product(owners_of(script, site), PASSAGES, SEEDS):
            result = simulate(with_faults(setup, Nemesis("fail", actor, site=site, nth=nth)), seed)

            assert_fine(result, f"{script}: passage {nth} of {site} at {actor}, seed {seed}")
            if result.passages.get((actor, site), 0) >= nth:
                struck.append(nth)

    assert sorted(set(struck)) == list(PASSAGES)
