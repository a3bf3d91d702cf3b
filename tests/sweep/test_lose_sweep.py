"""Who can be lost for good is lost, right after each of its inputs, one at a time (§1.9, §4.8).

The rest of the host goes on: nothing is used in a wrong life, nobody waits for the dead.
"""

from itertools import product

import pytest

from clusters.cluster import ROLES, names
from clusters.nemesis import Nemesis
from clusters.sim.tape import Begin
from clusters.sim.world import World
from protocol.names import Name
from tests.sweep.schedules import Struck, base_of
from tests.sweep.scripts import SCRIPTS
from tests.worlds import assert_fine, with_faults, without_expectations, world_of

SEEDS = range(2)
"""Schedules after each loss."""
LOSABLE = ("guest", "kvm", "vdcm")
CASES = [
    (script, actor)
    for script, text in SCRIPTS.items()
    for actor, role in names(world_of(text).machine).items()
    if role in LOSABLE
]


def test_these_can_be_lost_and_no_others() -> None:
    assert tuple(sorted(role for role, made in ROLES.items() if made.LOSABLE)) == LOSABLE


@pytest.mark.parametrize(("script", "actor"), CASES)
def test_the_others_go_on_without_the_lost_one(script: str, actor: Name) -> None:
    """Whatever is owed comes, too: only what the lost one itself holds may stay for ever."""
    base = base_of(script)
    setup = with_faults(without_expectations(base.setup), Nemesis("lose", actor))
    for place, seed in product(base.places[actor], SEEDS):
        lost = Struck(base.tape, place, Begin("lose", actor), seed)
        result = World(setup, lost).run()

        assert result.faults == {f"lose {actor}": 1}
        assert_fine(result, f"{script}: {actor} lost at {place}, then seed {seed}")
