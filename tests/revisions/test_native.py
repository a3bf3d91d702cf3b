"""The native halves of the revisions: what each published state breaks, and what it does not.

Seed 004's question is among them: references and notification, or the order of fd release and
mmdrop.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final, cast

import pytest

from actors.revisions import linux_5_18
from actors.revisions._native_5_8 import ForgetsItsPasid, NativeDriver58
from actors.revisions._native_5_11 import NativeDriver511
from actors.revisions._native_5_15 import NativeDriver515
from clusters.cluster import ActorClass, Role
from clusters.lineup import Lineup
from clusters.sim.world import Setup, simulate
from tests.worlds import assert_fine, world_of

SCHEDULES: Final = 60
HEAD: Final = """title = "t"
[pool]
pasids = 2
[guests]
count = 0
[processes]
count = 1
[[machine.device]]
name = "dsa0"
unit = "dmar0"
"""
ONCE: Final = ("open dsa0", "bind dsa0", "dma dsa0", "close dsa0")
KILLED: Final = ("open dsa0", "bind dsa0", "async dma dsa0 x2", "exit")
TWICE: Final = ("open dsa0", "bind dsa0", "unbind dsa0", "bind dsa0", "close dsa0", "exit")


def native(driver: type) -> dict[str, type]:
    """The native half alone, on the sound allocator: what it breaks by itself."""
    return {"iommu": driver, "process": ForgetsItsPasid}


def world(steps: tuple[str, ...], classes: Mapping[Role, object], more: str = "") -> Setup:
    text = f'{HEAD}{more}\n[[process]]\nname = "proc1"\nsteps = {list(steps)}\n'
    return replace(world_of(text, cast("Mapping[Role, ActorClass]", classes)), stop_at_first=False)


def broken(setup: Setup) -> list[str]:
    """The properties that some schedule violates."""
    found = {
        violation.property: None
        for seed in range(SCHEDULES)
        for violation in simulate(setup, seed).violations
    }
    return sorted(found)


def test_5_8_frees_first_and_drains_nothing() -> None:
    setup = world(ONCE, native(NativeDriver58), 'wq = "dedicated"')
    assert broken(setup) == ["driver-done-before-reclaim", "flushes-reach-the-right-unit"]


def test_5_11_frees_while_a_cpu_has_it_loaded() -> None:
    assert broken(world(ONCE, native(NativeDriver511))) == [
        "driver-done-before-reclaim",
        "msr-cleared-before-reclaim",
    ]


def test_5_15_gives_a_process_that_binds_again_another() -> None:
    assert broken(world(ONCE, native(NativeDriver515))) == []
    assert broken(world(TWICE, native(NativeDriver515))) == ["one-pasid-for-an-mm"]


@pytest.mark.parametrize("steps", [ONCE, KILLED, TWICE])
def test_5_18_keeps_the_order_and_one_pasid(steps: tuple[str, ...]) -> None:
    setup = world(steps, linux_5_18.CLASSES)
    for seed in range(SCHEDULES):
        assert_fine(simulate(setup, seed), f"seed {seed}")


def test_a_pasid_freed_too_early_is_harmless_only_where_references_are_counted() -> None:
    early = ("pasid-freed-in-mmput",)
    counted = world(KILLED, Lineup("sound", early).classes())
    assert broken(counted) == []
    ordered = world(KILLED, Lineup("linux-5.18", early).classes())
    assert "driver-done-before-reclaim" in broken(ordered)
