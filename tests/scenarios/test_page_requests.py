"""Page requests that outlive a binding: answered once, and in their own life (S12, S34)."""

from typing import Final

import pytest

from protocol.facts import (
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    DeviceTornDown,
    DrainScanned,
    EntryWritten,
    FreeRequested,
    MessageDelivered,
    MessageSent,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    PasidAllocated,
    PasidReclaimed,
    RequestAutoAnswered,
    RequestRinged,
    SetFreed,
    VmExited,
)
from protocol.messages import (
    FreePasidRange,
    PageRequestReport,
    RaisePageRequest,
    RequestPasid,
    ResetVdev,
    RespondPage,
    ResponseCode,
    TimerFired,
    UnbindPgtbl,
    WriteVims,
)
from protocol.names import IOMMU, VFIO
from tests.scenarios.stage import Hold, Mark, any_order, device, experiment, play, script, when

INVALID: Final = int(ResponseCode.INVALID)
SUCCESS: Final = int(ResponseCode.SUCCESS)

TORN_DOWN: Final = experiment(
    device("dsa0"),
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "bind p dsa0 -> ok",
        "async fault p dsa0 -> fault",
        "unbind p dsa0 -> ok",
        "free p -> ok",
        "q = alloc -> ok",
        "bind q dsa0 -> ok",
        "fault q dsa0 -> ok",
    ),
    pasids=1,
)
NEXT_LIFE: Final = Hold(VFIO, RequestPasid, since=when(FreeRequested), until=when(PasidReclaimed))


@any_order
def test_page_request_answered_after_teardown(seed: int) -> None:
    """S34c: the guest sees the request when the drain has answered it already, and is refused."""
    run = play(
        TORN_DOWN,
        Hold(VFIO, UnbindPgtbl, until=when(PageReported)),
        Hold("vm1.guest", PageRequestReport, until=when(DeviceTornDown)),
        NEXT_LIFE,
        seed=seed,
    )
    old, new = [fact.incarnation for fact in run.of(PasidAllocated)]
    answers = [(fact.incarnation, fact.code, fact.answerer) for fact in run.of(PageAnswered)]
    assert answers == [(old, INVALID, 0), (new, SUCCESS, new)]
    assert [fact.incarnation for fact in run.of(PageSettled)] == [old, new]
    late = run.all_at(MessageDelivered, by=IOMMU, message="PageResponse")[0]
    assert run.all_at(DeviceTornDown)[0] < late < run.all_at(EntryWritten)[1]


@any_order
def test_a_request_in_the_ring_is_taken_out_by_the_drain(seed: int) -> None:
    """S12: the PRQ thread runs only when the drain waits for it; the request meets no new life."""
    found = when(DrainScanned, found=1)
    run = play(
        TORN_DOWN,
        Hold(VFIO, UnbindPgtbl, until=when(RequestRinged)),
        Hold(IOMMU, TimerFired, until=found),
        NEXT_LIFE,
        seed=seed,
    )
    old, new = [fact.incarnation for fact in run.of(PasidAllocated)]
    assert [fact.found for fact in run.of(DrainScanned)] == [1, 0]
    answers = [(fact.incarnation, fact.code, fact.answerer) for fact in run.of(PageAnswered)]
    assert answers == [(old, INVALID, 0), (new, SUCCESS, new)]
    assert run.all_at(PageAnswered)[0] < run.at(DeviceTornDown) < run.at(PasidReclaimed)


@any_order
def test_a_request_on_its_way_finds_the_gate_closed(seed: int) -> None:
    """Entry and cached entry are gone when it arrives: the unit answers, and no ring sees it."""
    run = play(
        TORN_DOWN,
        Hold(VFIO, UnbindPgtbl, until=when(PageRequested)),
        Hold("dmar0", RaisePageRequest, until=when(CacheFlushed, cache="pasid-cache")),
        NEXT_LIFE,
        seed=seed,
    )
    old, new = [fact.incarnation for fact in run.of(PasidAllocated)]
    assert [(fact.incarnation, fact.code) for fact in run.of(RequestAutoAnswered)] == [
        (old, INVALID)
    ]
    assert [fact.incarnation for fact in run.of(RequestRinged)] == [new]
    assert run.at(RequestAutoAnswered) < run.at(DeviceTornDown)


DYING: Final = experiment(
    device("dsa0"),
    device("dsa1", "dedicated"),
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "bind p dsa0 -> ok",
        "async fault p dsa0",
        "async fault p dsa1",
        "unims dsa0 -> ok",
        "exit",
    ),
    script(
        "vm2.guest",
        "p = alloc -> ok",
        "bind p dsa0 -> ok",
        "dma p dsa0 x3 -> ok",
        "unbind p dsa0 -> ok",
        "free p -> ok",
    ),
    guests=2,
    groups='[["dsa0", "dsa1"]]',
)
"""At `unims` QEMU is kept until its requests are where they should be."""
EXITED: Final = when(VmExited)
MOMENTS: Final[dict[str, tuple[Mark, Hold]]] = {
    "sent": (when(PageRequested, count=2), Hold("dmar0", RaisePageRequest, until=EXITED)),
    "in the ring": (when(RequestRinged, count=2), Hold(IOMMU, TimerFired, until=EXITED)),
    "reported": (when(PageReported, count=2), Hold(VFIO, PageRequestReport, until=EXITED)),
    "with the guest": (
        when(PageReported, count=2),
        Hold("vm1.guest", PageRequestReport, until=EXITED),
    ),
    "answered": (
        when(MessageSent, by="vm1.guest", message="RespondPage", count=2),
        Hold(VFIO, RespondPage, until=EXITED),
    ),
}


@any_order
@pytest.mark.parametrize("moment", MOMENTS)
def test_dying_vm_with_requests_in_flight(moment: str, seed: int) -> None:
    """Whoever is there to answer does, each once; the devices wait for nothing, all comes back."""
    reached, hold = MOMENTS[moment]
    run = play(DYING, Hold("vdcm.dsa0", WriteVims, until=reached), hold, seed=seed)

    asked = [(fact.device, fact.group, fact.incarnation) for fact in run.of(PageRequested)]
    settled = [(fact.device, fact.group, fact.incarnation) for fact in run.of(PageSettled)]
    assert len(asked) == 2
    assert sorted(settled) == sorted(asked)
    begun = [fact.descriptor for fact in run.of(DescriptorAccepted)]
    assert sorted(fact.descriptor for fact in run.of(DescriptorEnded)) == sorted(begun)
    [mine] = run.of(PasidAllocated, token="vm1")
    assert run.at(VmExited) < run.at(PasidReclaimed, pasid=mine.pasid) < run.at(SetFreed)


NOT_BOUND: Final = experiment(
    device("dsa0"),
    device("dsa1", "dedicated"),
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "bind p dsa0 -> ok",
        "enable p dsa1 -> ok",
        "async fault p dsa1",
        "reset dsa1 -> ok",
        "unbind p dsa0 -> ok",
        "free p -> ok",
    ),
    script("vm2.guest", "free vm1.guest.p -> ok", "q = alloc -> ok", "bind q dsa1 -> ok"),
    guests=2,
)
"""Both groups are one VM's, so the VDCM of dsa1 knows p; but only dsa0 translates it."""
NO_MORE_BOUND: Final = experiment(
    device("dsa1", "dedicated"),
    script(
        "vm1.guest",
        "p = alloc -> ok",
        "bind p dsa1 -> ok",
        "enable p dsa1 -> ok",
        "unbind p dsa1 -> ok",
        "async fault p dsa1",
        "free p -> ok",
    ),
    script("vm2.guest", "free vm1.guest.p -> ok", "q = alloc -> ok", "bind q dsa1 -> ok"),
    guests=2,
)
ABORTED: Final = when(DescriptorEnded, status="abort")


@any_order
@pytest.mark.parametrize("text", [NOT_BOUND, NO_MORE_BOUND], ids=["not bound", "no more bound"])
def test_a_request_from_where_the_pasid_is_not_bound_meets_no_next_life(
    text: str, seed: int
) -> None:
    """No drain of the driver's covers it; its descriptor is gone, but the number waits for it."""
    run = play(
        text,
        Hold("vdcm.dsa1", ResetVdev, until=when(PageRequested)),
        Hold(VFIO, FreePasidRange, sender="vm1.guest", until=when(PageRequested)),
        Hold("dmar0", RaisePageRequest, until=ABORTED),
        Hold(VFIO, RequestPasid, sender="vm2.guest", until=when(PasidReclaimed)),
        seed=seed,
    )
    [asked] = run.of(PageRequested)
    assert run.at(DescriptorEnded) < run.at(RequestAutoAnswered) < run.at(PageSettled)
    assert run.at(PageSettled) < run.at(PasidReclaimed, incarnation=asked.incarnation)
    assert not run.of(RequestRinged)
