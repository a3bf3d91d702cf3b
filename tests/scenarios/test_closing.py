"""QEMU is gone and its files are closed, in every order there is (domain 5.6, L4)."""

from itertools import pairwise, permutations
from typing import Final

import pytest

from protocol.facts import (
    FdsReleased,
    MessageDelivered,
    NotifierUnregistered,
    PasidAllocated,
    PasidReclaimed,
    SetFreed,
)
from protocol.messages import ReleaseFds
from protocol.names import VFIO, Name
from tests.scenarios.stage import Hold, Play, device, experiment, play, script, when

FILES: Final = (VFIO, "vm1.kvm", "vdcm.dsa0", "vdcm.dsa1")
ORDERS: Final = list(permutations(FILES))

DYING: Final = experiment(
    device("dsa0"),
    device("dsa1", "dedicated"),
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "bind p dsa0 -> ok",
        "enable p dsa1 -> ok",
        "ims p dsa1 -> ok",
        "q = alloc -> ok",
        "bind q dsa0 -> ok",
        "free q -> ok",
        "r = alloc -> ok",
        "async dma p dsa0 x2",
        "async fault p dsa0",
        "async fault p dsa1",
        "exit",
    ),
    pasids=4,
    groups='[["dsa0", "dsa1"]]',
)


def closed_in(order: tuple[Name, ...], *, finished: bool, seed: int) -> Play:
    """Each file is closed when the one before it is being closed, or when that has `finished`."""
    holds = []
    for before, after in pairwise(order):
        through = when(FdsReleased, by=before)
        heard = when(MessageDelivered, by=before, message="ReleaseFds")
        holds.append(Hold(after, ReleaseFds, until=through if finished else heard))
    return play(DYING, *holds, seed=seed)


@pytest.mark.parametrize("order", ORDERS, ids=["-".join(order) for order in ORDERS])
@pytest.mark.parametrize("finished", [False, True], ids=["overlapping", "one-by-one"])
def test_any_order_of_fd_release_converges(order: tuple[Name, ...], finished: bool) -> None:
    """All PASIDs come back, set and notifiers go, and every actor ends in the same state."""
    ends = set()
    for seed in range(3):
        run = closed_in(order, finished=finished, seed=seed)
        assert len(run.of(PasidReclaimed)) == len(run.of(PasidAllocated)) == 3
        assert run.at(SetFreed) > max(run.all_at(PasidReclaimed))
        assert len(run.of(NotifierUnregistered)) == 3
        ends.add(run.result.end)
    assert ends == {closed_in(FILES, finished=False, seed=0).result.end}
