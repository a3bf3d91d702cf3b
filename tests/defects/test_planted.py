"""Random schedules find every planted defect by the rule that it breaks, and by no other.

On the same schedules the sound actors break nothing.
"""

from dataclasses import replace
from typing import Final

import pytest

from clusters.cluster import ROLES, roles_of
from clusters.sim.world import Setup, simulate
from protocol.machine import GUESTS
from tests.defects import stages
from tests.defects.planted import PLANTED, Planted
from tests.defects.stages import Stage
from tests.worlds import assert_fine

STAGES: Final = [name for name, value in vars(stages).items() if isinstance(value, Stage)]


def name_of(one: Planted) -> str:
    """The mistake, by the actors that make it."""
    return "+".join(str(getattr(each, "__name__", each)) for each in one.classes.values())


def violated(setup: Setup, schedules: int) -> dict[str, str]:
    """The properties that some schedule violates, with the first sentence of each."""
    found: dict[str, str] = {}
    for seed in range(schedules):
        for violation in simulate(setup, seed).violations:
            found.setdefault(violation.property, f"seed {seed}: {violation.sentence}")
    return found


@pytest.mark.parametrize("one", PLANTED, ids=name_of)
def test_err_a_planted_defect_breaks_its_own_rule(one: Planted) -> None:
    setup = replace(one.stage.setup(), classes=one.classes, stop_at_first=False)
    found = violated(setup, one.stage.schedules)
    assert sorted(found) == sorted([one.property, *one.also]), found


@pytest.mark.parametrize("name", STAGES)
def test_the_sound_actors_break_nothing(name: str) -> None:
    stage = vars(stages)[name]
    setup = replace(stage.setup(), stop_at_first=False)
    for seed in range(stage.schedules):
        assert_fine(simulate(setup, seed), f"{name}, seed {seed}")


@pytest.mark.parametrize("one", PLANTED, ids=name_of)
def test_a_planted_defect_is_a_mistake_of_a_sound_actor(one: Planted) -> None:
    """What it does not write over is the sound protocol."""
    for role, mistaken in one.classes.items():
        assert isinstance(mistaken, type)
        sound: object = {**roles_of(GUESTS), **ROLES}[role]
        assert mistaken.__bases__ == (sound,)
