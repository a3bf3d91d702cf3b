"""Binds that race, come twice, or fail in the middle: what was there before stays (S8, S9, S10)."""

from typing import Final

import pytest

from actors.iommu_driver import IommuDriver
from actors.kvm import Kvm
from actors.vfio import Vfio
from actors.vfio.state import Bind, Free, Locked, Unbind
from clusters.nemesis import Nemesis
from protocol.facts import (
    BindAnswered,
    DataAttached,
    DataDetached,
    DeviceBound,
    DeviceUnbound,
    EntryCleared,
    EntryWritten,
    Event,
    FreeAnswered,
    FreeRequested,
    NotificationSent,
    OpFail,
    OpOk,
    PasidAllocated,
    PasidReclaimed,
    SlotCleared,
    SlotProgrammed,
    SpidAttached,
    SpidDetached,
    SubscriberCalled,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    TranslationWritten,
    WorkEnded,
)
from protocol.messages import (
    AnyMessage,
    AttachData,
    AttachSpid,
    BindPgtbl,
    FreePasid,
    GetPasid,
    RequestPasid,
    RunWork,
)
from protocol.names import CORE, IOMMU, VFIO, Name
from tests.scenarios.stage import (
    Hold,
    Mark,
    Play,
    any_order,
    device,
    experiment,
    play,
    script,
    when,
)

SHARED: Final = device("dsa0")
TWO: Final = '[["dsa0", "dsa1"]]'

RACE: Final = experiment(
    SHARED,
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "async bind p dsa0 -> any(ok, EBUSY, ENOMEM)",
        "free p -> ok",
        "q = alloc -> ok",
        "bind q dsa0 -> ok",
        "dma q dsa0 -> ok",
    ),
    pasids=1,
)
NEXT_LIFE: Final = Hold(VFIO, RequestPasid, since=when(FreeRequested), until=when(PasidReclaimed))


class WithoutPasidLock(Vfio):
    """VFIO v8: bind, unbind and free of one process are not serialised any more."""

    def needs_lock(self, task: Locked) -> bool:
        return not isinstance(task, Bind | Unbind | Free)


@any_order
def test_bind_and_free_of_one_process_take_turns(seed: int) -> None:
    """S10, the first mend: free waits for the lock until the bind has been answered."""
    run = play(RACE, NEXT_LIFE, seed=seed)
    assert run.of(BindAnswered)[0].errno == ""
    assert run.all_at(BindAnswered)[0] < run.all_at(FreeRequested)[0]


@any_order
def test_bind_races_with_free(seed: int) -> None:
    """S10a: freed between the check and the driver's get, which is refused: nothing is written."""
    run = play(
        RACE,
        Hold(CORE, GetPasid, sender=IOMMU, until=when(FreeAnswered)),
        NEXT_LIFE,
        seed=seed,
        classes={"vfio": WithoutPasidLock},
    )
    assert run.of(BindAnswered)[0].errno == "EBUSY"
    before = run.all_at(PasidReclaimed)[0]
    for context in (SvmCreated, EntryWritten, SpidAttached, TranslationWritten):
        assert run.at(context) > before


def told_bind(subscriber: Name) -> Mark:
    """When the core calls this subscriber."""
    return when(SubscriberCalled, notification="BIND", subscriber=subscriber)


LATE: Final[dict[str, tuple[Mark, type[AnyMessage], Name]]] = {
    "after the driver's get": (when(SvmCreated), AttachData, IOMMU),
    "with the entry written": (when(DeviceBound), AttachSpid, IOMMU),
    "before KVM's get": (told_bind("vm1.kvm"), GetPasid, "vm1.kvm"),
    "before the VDCM's get": (told_bind("vdcm.dsa0"), GetPasid, "vdcm.dsa0"),
}


@any_order
@pytest.mark.parametrize("moment", LATE)
def test_a_bind_overtaken_by_free_is_undone_in_its_own_life(moment: str, seed: int) -> None:
    """S10b: the driver has its reference, so the number stays until work and bind are through."""
    begun, message, sender = LATE[moment]
    run = play(
        RACE,
        Hold(CORE, FreePasid, until=begun),
        Hold(CORE, message, sender=sender, until=when(FreeAnswered)),
        NEXT_LIFE,
        seed=seed,
        classes={"vfio": WithoutPasidLock},
    )
    assert run.of(BindAnswered)[0].errno in {"EBUSY", "ENOMEM"}
    first, second = [fact.incarnation for fact in run.of(PasidAllocated)]
    assert [fact.incarnation for fact in run.of(SvmFreed)] == [first]
    ended = [run.at(SvmFreed), *run.all_at(WorkEnded)]
    assert max(ended) < run.at(PasidReclaimed)
    assert not run.of(DeviceUnbound, incarnation=second)
    assert not run.of(EntryCleared, incarnation=second)


@any_order
def test_second_bind_of_a_device_leaves_the_first(seed: int) -> None:
    """S8, seed 000: EBUSY, and both devices of the group still have the first one."""
    run = play(
        experiment(
            SHARED,
            device("dsa1"),
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "bind p dsa0 -> EBUSY",
                "dma p dsa0 -> ok",
                "dma p dsa1 -> ok",
            ),
            groups=TWO,
        ),
        seed=seed,
    )
    assert [(fact.errno, fact.rolled_back) for fact in run.of(BindAnswered)] == [
        ("", 0),
        ("EBUSY", 0),
    ]
    assert len(run.of(EntryWritten)) == 2
    assert not run.of(EntryCleared)
    assert not run.of(DeviceUnbound)


@any_order
def test_a_bind_that_fails_on_the_second_device_leaves_the_other_group(seed: int) -> None:
    """S8: undone is what this call bound; the PASID stays bound in the other container."""
    run = play(
        experiment(
            SHARED,
            device("dsa1"),
            device("old0", pasids=1024),
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa1 -> ok",
                "bind p dsa0 -> EINVAL",
                "dma p dsa1 -> ok",
                "dma p dsa0 -> fault",
            ),
            groups='[["dsa1"], ["dsa0", "old0"]]',
        ),
        seed=seed,
    )
    assert [fact.rolled_back for fact in run.of(BindAnswered)] == [0, 1]
    assert [(fact.device, fact.why) for fact in run.of(DeviceUnbound)] == [("dsa0", "rollback")]
    assert [fact.notification for fact in run.of(NotificationSent)] == ["ALLOC", "BIND"]


@any_order
def test_same_guest_pasid_for_two_host_pasids(seed: int) -> None:
    """S40: freed but not yet torn down, the first still has the number that the guest gives again.

    The bind is refused and leaves nothing; when the first has gone the number is good again.
    """
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                "bind p dsa0 -> ok",
                "free p -> ok",
                "q = alloc -> ok",
                "bind q dsa0 -> EINVAL",
                "bind q dsa0 -> ok",
                "dma q dsa0 -> ok",
            ),
        ),
        Hold(IOMMU, RunWork, until=when(OpFail, operation="bind")),
        Hold(VFIO, BindPgtbl, since=when(OpFail), until=when(PasidReclaimed)),
        seed=seed,
    )
    first, second = [fact.pasid for fact in run.of(PasidAllocated)]
    assert [(fact.spid, fact.pasid) for fact in run.of(TranslationWritten)] == [
        (1, first),
        (1, second),
    ]
    assert run.at(TranslationCleared) < run.at(TranslationWritten, pasid=second)
    refused = run.at(OpFail, operation="bind")
    assert run.all_at(SvmFreed)[0] < refused < run.at(PasidReclaimed, pasid=first)
    assert [fact.why for fact in run.of(DeviceUnbound, pasid=second)] == ["rollback"]


CONTEXTS: Final[dict[type[Event], type[Event]]] = {
    SvmCreated: SvmFreed,
    DataAttached: DataDetached,
    SpidAttached: SpidDetached,
    EntryWritten: EntryCleared,
    TranslationWritten: TranslationCleared,
    SlotProgrammed: SlotCleared,
}
FAILURES: Final = {
    site.name: (actor, site.errno.value)
    for actor, made in ((IOMMU, IommuDriver), ("vm1.kvm", Kvm))
    for site in made.SITES
}


@any_order
@pytest.mark.parametrize("site", FAILURES)
def test_failed_first_bind_leaves_nothing(site: str, seed: int) -> None:
    """S9: no reference, no entry, no SPID: the PASID is as idle as before, and can be bound."""
    actor, errno = FAILURES[site]
    run = play(
        experiment(
            SHARED,
            script(
                "vm1.guest",
                "p = alloc -> ok",
                f"bind p dsa0 -> {errno}",
                "bind p dsa0 -> ok",
                "dma p dsa0 -> ok",
            ),
        ),
        seed=seed,
        faults=(Nemesis("fail", actor, site=site, nth=1),),
    )
    failed = run.all_at(BindAnswered)[0]
    assert (run.of(BindAnswered)[0].errno, run.of(BindAnswered)[0].rolled_back) == (errno, 0)
    for opened, closed in CONTEXTS.items():
        assert len(before(run, opened, failed)) == len(run.of(closed))
    assert run.at(OpOk, operation="dma") > failed


def before(run: Play, kind: type[Event], place: int) -> list[int]:
    """The places of such facts before this one."""
    return [at for at in run.all_at(kind) if at < place]


DRIVERS_FAILURES: Final = [site for site in FAILURES if site.startswith("iommu")]
"""When KVM fails the VDCM may have been told BIND, and puts by a work of its own."""


@any_order
@pytest.mark.parametrize("site", DRIVERS_FAILURES)
def test_a_pasid_whose_bind_failed_is_reclaimed_in_silence(site: str, seed: int) -> None:
    """S9: nobody else holds it, so free tells nobody and the number is back at once."""
    actor, errno = FAILURES[site]
    steps = ("p = alloc -> ok", f"bind p dsa0 -> {errno}", "free p -> ok")
    run = play(
        experiment(SHARED, script("vm1.guest", *steps)),
        seed=seed,
        faults=(Nemesis("fail", actor, site=site, nth=1),),
    )
    assert not run.of(NotificationSent, notification="FREE")
    assert run.of(FreeRequested)[0].state == "IDLE"
