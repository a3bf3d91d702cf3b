"""A PASID is its owner's: another VM that names it is refused, and nothing of it changes (S33)."""

from typing import Final

from protocol.facts import (
    DeviceUnbound,
    EntryCleared,
    EntryWritten,
    FreeRequested,
    OpFail,
    OpInvoked,
    OpOk,
    PasidAllocated,
    PasidReclaimed,
    ReferenceTaken,
    SlotCleared,
    StateChanged,
    TranslationCleared,
)
from protocol.messages import RequestPasid, Told, UnbindPgtbl
from protocol.names import VFIO
from tests.scenarios.stage import Hold, Play, any_order, device, experiment, play, script, when

SHARED: Final = device("dsa0")
DEDICATED: Final = device("dsa1", "dedicated")

FOREIGN: Final = (
    "bind vm1.guest.p dsa0 -> EPERM",
    "unbind vm1.guest.p dsa0 -> EPERM",
    "free vm1.guest.p -> ok",
    "enable vm1.guest.p dsa1 -> ENXIO",
    "ims vm1.guest.p dsa1 -> ENXIO",
    "dma vm1.guest.p dsa0 -> exit72",
)


@any_order
def test_foreign_pasid_is_refused_and_changes_nothing(seed: int) -> None:
    """By every door a guest has; its owner, in the middle of using it, notices nothing."""
    run = play(
        experiment(
            SHARED,
            DEDICATED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free vm2.guest.through -> ok",
                "dma p dsa0 -> ok",
                "enable p dsa1 -> ok",
                "dma p dsa1 -> ok",
            ),
            script(
                "vm2.guest",
                *FOREIGN,
                "through = alloc -> ok",
            ),
            guests=2,
            groups='[["dsa0", "dsa1"]]',
        ),
        Hold("vm2.guest", Told, until=when(OpOk, by="vm1.guest", operation="bind")),
        seed=seed,
    )
    mine = run.of(PasidAllocated, token="vm1")[0].pasid
    begin, end = run.at(OpInvoked, by="vm2.guest", op=1), run.at(PasidAllocated, token="vm2")
    meanwhile = Play(run.history[begin:end], run.result)
    changed = (StateChanged, EntryCleared, DeviceUnbound, TranslationCleared, SlotCleared)
    assert not [fact for kind in changed for fact in meanwhile.of(kind)]
    taken = [fact.holder for fact in meanwhile.of(ReferenceTaken)]
    assert taken == []
    assert not run.of(FreeRequested)
    assert not run.of(PasidReclaimed, pasid=mine)


@any_order
def test_a_stale_number_that_is_another_vms_now_is_foreign(seed: int) -> None:
    """S11 across VMs: the late unbind and a new bind are refused, the new life goes on."""
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "unbind p dsa0 -> EPERM",
                "bind p dsa0 -> EPERM",
                "free p -> ok",
            ),
            script(
                "vm2.guest",
                "free vm1.guest.p -> ok",
                "q = alloc -> ok",
                "bind q dsa0 -> ok",
                "dma q dsa0 -> ok",
                "unbind q dsa0 -> ok",
            ),
            guests=2,
        ),
        Hold(VFIO, RequestPasid, sender="vm2.guest", until=when(PasidReclaimed)),
        Hold(VFIO, UnbindPgtbl, sender="vm1.guest", until=when(EntryWritten, count=2)),
        Hold(
            VFIO,
            UnbindPgtbl,
            sender="vm2.guest",
            until=when(OpFail, count=2),
        ),
        seed=seed,
    )
    first, second = run.of(PasidAllocated)
    assert (first.pasid, first.token, second.token) == (second.pasid, "vm1", "vm2")
    assert [(fact.vm, fact.why) for fact in run.of(DeviceUnbound)] == [
        ("vm1", "free"),
        ("vm2", "unbind"),
    ]
