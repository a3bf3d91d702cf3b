"""O13: after free has returned, what is left may happen in any order, and the end is the same.

Every order is run: all states of a small world.  Whatever comes first, the end is that of a guest
that unbinds before it frees.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import pytest

from clusters.cluster import ActorClass, Role
from clusters.sim.search.frozen import thaw
from clusters.sim.search.world_space import ACTORS, WorldSpace
from tests.defects import core, order
from tests.defects.stages import stage

BOUND: Final = ("p = alloc", "bind p dsa0")
TIDY: Final = (*BOUND, "unbind p dsa0", "free p")
WAYS: Final = {
    "freed while it is bound": (*BOUND, "free p"),
    "freed twice": (*BOUND, "free p", "free p"),
    "unbound too late": (*BOUND, "free p", "unbind p dsa0"),
}
ORDERS: Final[dict[str, dict[Role, ActorClass]]] = {
    "as it is": {},
    "works all at once": {"workqueue": order.RunsAllAtOnce},
    "the driver told before the device": {"core": order.TellsTheDriverBeforeTheDevice},
}


def ends(steps: tuple[str, ...], classes: Mapping[Role, ActorClass]) -> list[dict[str, str]]:
    """All states in which nothing is left to happen: the fields of each actor but the guest."""
    setup = replace(stage(steps).setup(), properties=(), classes=classes)
    space = WorldSpace(setup, booted=True)
    todo = [space.initial()]
    seen = {space.key(todo[0])}
    found = []
    while todo:
        state = todo.pop()
        moves = space.moves(state)
        for _, key, changes in moves:
            if key not in seen:
                seen.add(key)
                todo.append(space.after(state, changes))
        if not moves:
            parts = zip(space.names, state[ACTORS:], strict=False)
            end = {name: repr(thaw(space.parts.content[part])) for name, part in parts}
            del end["vm1.guest"]  # Its script is another one.
            found.append({name: said.partition("(")[2] for name, said in end.items()})
    return found


@pytest.fixture(scope="module")
def tidy() -> dict[str, str]:
    """The end of a life that went by the book."""
    first, *others = ends(TIDY, {})
    assert others == []
    return first


@pytest.mark.parametrize("classes", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("steps", WAYS.values(), ids=WAYS)
def test_the_end_is_the_same(
    steps: tuple[str, ...], classes: dict[Role, ActorClass], tidy: dict[str, str]
) -> None:
    [end] = ends(steps, classes)
    assert end == tidy


def test_err_another_end(tidy: dict[str, str]) -> None:
    """As somebody would find it who forgets to tell of FREE."""
    [end] = ends(WAYS["freed while it is bound"], {"core": core.NeverTellsOfFree})
    holders = {name for name in tidy if end[name] != tidy[name]}
    assert holders == {"core", "iommu", "vm1.kvm", "vdcm.dsa0", "dmar0"}
