"""Every experiment of the tree under `fail-nth`: one fault at a place, and the protocol holds.

The smallest is gone through completely, of the others a place out of so many; the whole is
`pasidlab explore FILE --strategy fail-nth`, and takes minutes for each.
"""

from functools import cache
from pathlib import Path
from typing import Final

import pytest

from clusters.sim.strategies import campaign, prepared
from clusters.sim.strategies.fail_nth import NTH
from clusters.sim.world import Setup, follow
from experiments.harness.config import load
from experiments.harness.setup import setup_of
from tests.worlds import assert_fine

TREE: Final = Path(__file__).parents[2] / "experiments"
FILES: Final = {
    path.stem: path
    for path in sorted(TREE.glob("*/*.toml"))
    if path.parent.name not in ("bugs", "network")
}
"""Those in which nothing may break: neither the bank's nor those whose links are not reliable."""
WHOLE: Final = "normal_life"
POINTS: Final = {"failing steps": 22, "crashes": 372, "losses": 1448}
STRIDES: Final = {
    "kill_everyone": 997,
    "amnesia": 997,
    "cut_and_lossy": 997,
    "kill_nodes": 997,
    "gcs_gone": 997,
    "concurrent_multi_device_bind": 499,
}
STRIDE: Final = 97
"""Prime to the pattern in which the kinds of faults come."""
SEED: Final = 1


@cache
def setup_for(name: str) -> Setup:
    return prepared(setup_of(load(FILES[name]), name), NTH)


@pytest.mark.parametrize("part", range(4))
def test_every_single_fault_of_a_normal_life_leaves_the_protocol_sound(part: int) -> None:
    """All of them, by four who share them."""
    made = campaign(NTH, SEED, 1)
    (plain,) = made.round()
    result, lesson = follow(setup_for(WHOLE), plain)
    assert_fine(result, plain.strategy)
    made.learn(plain, lesson)
    assert lesson.points == POINTS
    ran = 0
    while orders := made.round():
        for order in orders:
            ran += 1
            if ran % 4 == part:
                result, one = follow(setup_for(WHOLE), order)
                assert one.reached, order
                assert_fine(result, order.strategy)
    assert ran == sum(POINTS.values())


@pytest.mark.parametrize("name", [name for name in FILES if name != WHOLE])
def test_single_faults_of_every_experiment_leave_the_protocol_sound(name: str) -> None:
    made = campaign(NTH, SEED, 1)
    (plain,) = made.round()
    _, lesson = follow(setup_for(name), plain)
    forgets = any(nemesis.fault == "amnesia" for nemesis in setup_for(name).nemeses)
    kinds = ["failing steps", "crashes", "losses", *(["losses of memory"] if forgets else [])]
    assert list(lesson.points) == kinds
    steps, crashes, losses, *_ = lesson.points.values()
    assert steps
    assert crashes
    assert losses or not setup_for(name).machine.vms  # Only who is of a VM can be lost alone.
    assert lesson.end == sum(lesson.points.values())
    made.learn(plain, lesson)
    orders = made.round()
    stride = STRIDES.get(name, STRIDE)
    number = 0
    while orders:
        for order in orders:
            number += 1
            if number % stride == 0:
                result, one = follow(setup_for(name), order)
                assert one.reached, order
                assert_fine(result, f"{name}: {order.strategy}")
        orders = made.round()
    assert number == lesson.end
