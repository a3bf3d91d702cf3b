"""Is a drain needed at all?  What each policy breaks, N1 and N2 judged apart (S12, S51).

A request that is left over and answered by the number's next owner breaks N2, and no more: the
answer carries no translation, the device only asks again.  Memory is touched through the wrong
tables (N1) only if, besides, DMA was not stopped.  The drain alone keeps both.
"""

from dataclasses import replace
from typing import Final, cast

import pytest

from clusters.cluster import ActorClass, Role
from clusters.lineup import lineup
from clusters.sim.strategies import campaign, prepared
from protocol.properties.dma_in_its_own_life import DmaInItsOwnLife
from protocol.properties.page_answers_in_the_same_life import PageAnswersInTheSameLife
from protocol.properties.page_requests_settled_before_reclaim import (
    PageRequestsSettledBeforeReclaim,
)
from tests.clusters.campaigns import runs
from tests.defects.users import DrainsNothing
from tests.worlds import world_of

SCRIPT: Final = """
title = "a number comes back at once, with faults of its last life under way"
[pool]
pasids = 1
[[process]]
name  = "vm1.guest"
steps = ["p = alloc", "bind p dsa0", "async fault p dsa0 x2", "free p", "q = alloc", "bind q dsa0"]
"""
SCHEDULES: Final = 1000
N1, N2, R5 = (
    one.name
    for one in (DmaInItsOwnLife, PageAnswersInTheSameLife, PageRequestsSettledBeforeReclaim)
)
POLICIES: Final[dict[str, tuple[str, ...]]] = {
    "drain": (),
    "none": ("no-prq-drain",),
    "acknowledge": ("acknowledge-anything",),
}


def broken(policy: str, *, dma_stops: bool) -> list[str]:
    """Which of the three some schedule breaks."""
    classes: dict[Role, ActorClass] = dict(lineup("sound", POLICIES[policy]).classes())
    if not dma_stops:
        vdcm: object = classes.get("vdcm", DrainsNothing)
        assert isinstance(vdcm, type)
        layers = tuple(dict.fromkeys((DrainsNothing, vdcm)))
        classes["vdcm"] = cast("ActorClass", type("Vdcm", layers, {"__slots__": ()}))
    setup = replace(
        world_of(SCRIPT, classes),
        properties=(DmaInItsOwnLife, PageAnswersInTheSameLife, PageRequestsSettledBeforeReclaim),
        stop_at_first=False,
    )
    found: dict[str, None] = {}
    schedules = runs(prepared(setup, "portfolio"), campaign("portfolio", 1))
    for _, (_, result, _) in zip(range(SCHEDULES), schedules, strict=False):
        found |= {violation.property: None for violation in result.violations}
    return sorted(found)


@pytest.mark.long
def test_with_dma_stopped_and_a_drain_nothing_is_broken() -> None:
    assert broken("drain", dma_stops=True) == []


@pytest.mark.long
@pytest.mark.parametrize("policy", ["none", "acknowledge"])
def test_err_without_a_drain_n2_is_broken_and_n1_is_not(policy: str) -> None:
    assert broken(policy, dma_stops=True) == sorted([N2, R5])


@pytest.mark.long
@pytest.mark.parametrize("policy", ["none", "acknowledge"])
def test_err_if_dma_goes_on_as_well_memory_is_touched(policy: str) -> None:
    assert broken(policy, dma_stops=False) == sorted([N1, N2, R5])


@pytest.mark.long
def test_err_a_drain_without_stopping_dma_still_keeps_n1_and_n2() -> None:
    assert broken("drain", dma_stops=False) == [R5]
