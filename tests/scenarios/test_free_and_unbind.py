"""Free before unbind, in every order that the mails worry about (life patterns 3 and 4)."""

from itertools import pairwise
from typing import Final

from actors.guest import Guest, Inbox
from clusters.nemesis import Nemesis
from protocol.effects import Out, Send
from protocol.facts import (
    DeviceUnbound,
    FreeRequested,
    NotificationSent,
    OpFail,
    OpOk,
    PasidAllocated,
    PasidReclaimed,
    ReferenceDropped,
    ReferenceTaken,
    SlotCleared,
    SlotProgrammed,
    StateChanged,
    SubscriberAnswered,
    SubscriberCalled,
    TranslationCleared,
    UnbindRequested,
)
from protocol.messages import FreePasidRange, GetIfOwned, ReleaseFds, RunWork, TimerFired
from protocol.names import CORE, IOMMU, PASID_COUNT, PASID_MIN, Name
from tests.scenarios.stage import Hold, any_order, device, experiment, play, script, when

SHARED: Final = device("dsa0")
DEDICATED: Final = device("dsa1", "dedicated")
GROUP: Final = '[["dsa0", "dsa1"]]'


@any_order
def test_free_then_unbind_before_tear_down(seed: int) -> None:
    """The late unbind is told that all is well, and leaves everything to the work."""
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "unbind p dsa0 -> ok",
            ),
        ),
        Hold(IOMMU, RunWork, until=when(OpOk, operation="unbind")),
        seed=seed,
    )
    assert [fact.why for fact in run.of(DeviceUnbound)] == ["free"]
    freed, unbound = run.at(FreeRequested), run.at(OpOk, operation="unbind")
    assert freed < unbound < run.at(DeviceUnbound) < run.at(PasidReclaimed)
    assert [fact.after for fact in run.of(StateChanged)][-2:] == ["FREE_PENDING", "FREE"]
    sent = [fact.notification for fact in run.of(NotificationSent)]
    assert sent == ["ALLOC", "BIND", "FREE", "UNBIND"]


@any_order
def test_an_unbind_that_comes_after_everything_finds_nothing_to_do(seed: int) -> None:
    """The number is free by then, and nobody asks the driver for it."""
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "unbind p dsa0 -> ok",
            ),
        ),
        Hold(CORE, GetIfOwned, since=when(FreeRequested), until=when(PasidReclaimed)),
        seed=seed,
    )
    assert run.at(PasidReclaimed) < run.at(OpOk, operation="unbind")
    assert [fact.linked for fact in run.of(UnbindRequested)] == [False]
    assert [fact.why for fact in run.of(DeviceUnbound)] == ["free"]


@any_order
def test_double_free_is_silent(seed: int) -> None:
    """S39: freed twice by the guest while it is pending, then once more by the core's caller.

    The VDCM has no memory to queue its work and tries again later: until then the PASID is pending,
    and closing frees whatever is in the set.
    """
    again = when(FreeRequested, effective=False)
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "free p -> ok",
                "exit",
            ),
        ),
        Hold("vdcm.dsa0", TimerFired, until=again),
        Hold("vdcm.dsa0", ReleaseFds, until=again),
        seed=seed,
        faults=(Nemesis("fail", "vdcm.dsa0", site="vdcm.queue.nomem", nth=1),),
    )
    assert [fact.effective for fact in run.of(FreeRequested)] == [True, False]
    assert len(run.of(ReferenceDropped, holder="vfio:owner")) == 1
    assert len(run.of(NotificationSent, notification="FREE")) == 1
    assert run.all_at(FreeRequested)[1] < run.at(PasidReclaimed)


class FreesAll(Guest):
    """A QEMU that frees every number there is when its guest frees one."""

    def handle(self, message: Inbox, sender: Name, out: Out) -> None:
        super().handle(message, sender, out)
        for place, effect in enumerate(out.effects):
            match effect:
                case Send(to, FreePasidRange(call=call)):
                    everything = FreePasidRange(call, PASID_MIN, PASID_COUNT - 1)
                    out.effects[place] = Send(to, everything)
                case _:
                    pass


@any_order
def test_range_free_hits_other_containers(seed: int) -> None:
    """S32: the PASIDs are the process's; a range free takes those in use through another container.

    Another VM's are out of its reach, whatever the range.
    """
    run = play(
        experiment(
            SHARED,
            DEDICATED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "q = alloc -> ok",
                "bind p dsa0 -> ok",
                "bind q dsa1 -> ok",
                "enable q dsa1 -> ok",
                "free p -> ok",
                "bind q dsa0 -> any(ENOENT, EBUSY)",
            ),
            script(
                "vm2.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "bind vm1.guest.q dsa0 -> any(EPERM, ENOENT, EBUSY)",
                "dma p dsa0 -> ok",
            ),
            guests=2,
            pasids=4,
        ),
        seed=seed,
        classes={"guest": FreesAll},
    )
    assert len(run.of(FreeRequested, effective=True)) == 2
    lost = [fact.pasid for fact in run.of(PasidReclaimed)]
    assert sorted(lost) == sorted(fact.pasid for fact in run.of(PasidAllocated, token="vm1"))


@any_order
def test_reference_not_taken_while_pending(seed: int) -> None:
    """S24: a guest that re-programs a freed PASID gets no reference by any door."""
    run = play(
        experiment(
            SHARED,
            DEDICATED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "enable p dsa1 -> ENXIO",
                "ims p dsa1 -> ENXIO",
                "bind p dsa0 -> EBUSY",
            ),
            groups=GROUP,
        ),
        *[
            Hold(owner, RunWork, until=when(OpFail, operation="bind"))
            for owner in (IOMMU, "vdcm.dsa0", "vdcm.dsa1")
        ],
        seed=seed,
    )
    assert run.at(OpFail, operation="bind") < run.at(PasidReclaimed)
    assert max(run.all_at(ReferenceTaken)) < run.at(FreeRequested)
    assert {fact.slot for fact in run.of(SlotProgrammed)} <= {"swq"}


@any_order
def test_free_order_is_cpu_device_iommu(seed: int) -> None:
    """S19: the vCPUs are stopped before anybody else hears of it, and the driver hears it last."""
    run = play(
        experiment(
            SHARED,
            DEDICATED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "enable p dsa1 -> ok",
                "ims p dsa1 -> ok",
                "async dma p dsa0",
                "async fault p dsa1",
                "free p -> ok",
            ),
            groups=GROUP,
        ),
        seed=seed,
    )
    called = [fact.subscriber for fact in run.of(SubscriberCalled, notification="FREE")]
    assert called[0] == "vm1.kvm"
    assert sorted(called[1:3]) == ["vdcm.dsa0", "vdcm.dsa1"]
    assert called[3:] == [IOMMU]
    for one, other in pairwise(called):
        answered = run.at(SubscriberAnswered, notification="FREE", subscriber=one)
        assert answered < run.at(SubscriberCalled, notification="FREE", subscriber=other)

    assert run.at(TranslationCleared) < min(run.all_at(SubscriberCalled, subscriber=IOMMU))
    assert run.at(TranslationCleared) < min(run.all_at(DeviceUnbound))
    assert max(run.all_at(SlotCleared)) < run.at(PasidReclaimed)
