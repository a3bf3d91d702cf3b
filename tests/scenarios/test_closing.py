"""QEMU is gone and its files are closed, in every order there is (domain 5.6, L4)."""

from itertools import pairwise, permutations
from typing import Final

import pytest

from protocol.facts import (
    DescriptorAccepted,
    DescriptorEnded,
    FdsReleased,
    FreeRequested,
    MessageDelivered,
    NotifierUnregistered,
    PasidAllocated,
    PasidReclaimed,
    SetFreed,
    SlotCleared,
    TranslationWritten,
)
from protocol.messages import AttachSpid, DisableWq, GuestEnqcmd, ReleaseFds, Translated
from protocol.names import VFIO, Name
from tests.scenarios.stage import Hold, Play, any_order, device, experiment, play, script, when

pytestmark = pytest.mark.long

VDCM: Final = "vdcm.dsa0"
FILES: Final = (VFIO, "vm1.kvm", VDCM, "vdcm.dsa1")
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


HASTY: Final = experiment(
    device("dsa0") + "\nats = false\npri = false",
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "enable dsa0 -> ok",
        "async bind p dsa0",
        "async dma p dsa0",
        "exit",
    ),
)


@any_order
def test_a_pasid_that_is_bound_while_the_wq_is_closed_is_drained(seed: int) -> None:
    """The guest submits in the middle of its bind and is gone; its WQ runs until that is closed."""
    run = play(
        HASTY,
        Hold("core", AttachSpid, until=when(MessageDelivered, VDCM, message="ReleaseFds")),
        Hold("vm1.kvm", GuestEnqcmd, until=when(TranslationWritten)),
        Hold(VFIO, ReleaseFds, until=when(DescriptorAccepted)),
        Hold("dsa0", DisableWq, until=when(FreeRequested)),
        Hold("dsa0", Translated, until=when(FreeRequested)),
        seed=seed,
    )
    assert run.at(FreeRequested) < run.at(DescriptorEnded) < run.at(SlotCleared, slot="swq")
    assert run.at(SlotCleared, slot="swq") < run.at(PasidReclaimed)
