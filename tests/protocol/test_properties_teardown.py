"""O2 to O4, L2, L3: the teardown of a device, its drain, and the page requests that this is for."""

from protocol.facts import (
    CacheFlushed,
    DeviceTornDown,
    DeviceUnbound,
    EntryCleared,
    EntryWritten,
    FlushRequested,
    PageRequested,
    PageSettled,
    PageWithheld,
    RequestsDrained,
)
from protocol.names import Name
from tests.protocol.stories import PASID, Story, allocated

P = PASID


# --- O2, O3, O4 -----------------------------------------------------------------------------------


def teardown(device: Name = "dsa0") -> DeviceUnbound:
    return DeviceUnbound(device, P, 1, "vm1", "free", "teardown:1")


def entry_cleared(unit: Name, device: Name) -> EntryCleared:
    return EntryCleared(unit, device, P, 1, "vm1", "vm1", "free")


def asked(flush: str, device: str = "dsa0", unit: str = "dmar0") -> FlushRequested:
    return FlushRequested(flush, device, unit, P, 1)


def flushed(cache: str, device: str = "dsa0") -> CacheFlushed:
    return CacheFlushed(cache, device, P, 1)


def drained(by: str = "iommu", *, overflow: bool = False) -> RequestsDrained:
    return RequestsDrained("dmar0", "dsa0", P, 1, by, overflow)


def begun() -> Story:
    """A teardown whose entry is clear."""
    story = Story("teardown-in-order")
    story.then("dmar0", EntryWritten("dmar0", "dsa0", P, 1, "vm1", 1, was_present=False))
    story.then("iommu", teardown())
    story.then("dmar0", entry_cleared("dmar0", "dsa0"))
    return story


def flushed_all() -> Story:
    story = begun()
    for cache in ("pasid-cache", "iotlb", "device-tlb"):
        story.then("iommu", asked(cache))
        story.then("dsa0" if cache == "device-tlb" else "dmar0", flushed(cache))
    return story


def test_a_teardown_in_order() -> None:
    story = flushed_all()
    story.then("iommu", asked("drain"))
    story.then("dsa0", flushed("device-tlb"))
    story.then("dmar0", drained())
    story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert story.said == []


def test_err_a_flush_before_the_entry_is_clear() -> None:
    story = Story("teardown-in-order")
    story.then("dmar0", EntryWritten("dmar0", "dsa0", P, 1, "vm1", 1, was_present=False))
    [said] = story.then("iommu", asked("pasid-cache"))
    assert said.startswith("PASID 5 (life 1) on dsa0: the entry is present for the pasid-cache")


def test_err_a_flush_that_waits_for_nothing() -> None:
    story = begun()
    story.then("iommu", asked("pasid-cache"))
    [said] = story.then("iommu", asked("iotlb"))
    assert "the iotlb flush does not wait for the pasid-cache" in said


def test_err_a_flush_that_was_complete_without_its_knowledge() -> None:
    story = begun()
    story.then("iommu", asked("pasid-cache"))
    story.then("dmar0", flushed("pasid-cache"))
    assert len(story.apart("iommu", asked("iotlb"))) == 1


def test_err_caches_in_the_wrong_order() -> None:
    story = begun()
    [said] = story.then("iommu", asked("iotlb"))
    assert "the iotlb flush does not wait for the pasid-cache" in said


def test_err_a_drain_before_the_flushes() -> None:
    story = begun()
    [said] = story.then("iommu", asked("drain"))
    assert "the drain flush does not wait for the device-tlb" in said


def test_err_a_drain_that_does_not_wait_for_the_device() -> None:
    story = flushed_all()
    story.then("iommu", asked("drain"))
    [said] = story.then("dmar0", drained())
    assert "before the device TLB is flushed" in said


def test_err_the_teardown_does_not_wait_for_its_drain() -> None:
    story = flushed_all()
    story.then("iommu", asked("drain"))
    story.then("dsa0", flushed("device-tlb"))
    story.then("dmar0", drained("vdcm.dsa0"))
    [said] = story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert "does not wait for the drain" in said


def test_err_an_overflow_without_another_drain() -> None:
    story = flushed_all()
    for overflow in (True, False):
        story.then("iommu", asked("drain"))
        story.then("dsa0", flushed("device-tlb"))
        story.then("dmar0", drained(overflow=overflow))
    assert story.then("iommu", DeviceTornDown("dsa0", P, 1)) == []
    story = flushed_all()
    story.then("iommu", asked("drain"))
    story.then("dsa0", flushed("device-tlb"))
    story.then("dmar0", drained(overflow=True))
    [said] = story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert "not drained again after an overflow" in said


def test_without_a_device_tlb_its_flush_is_complete_at_once() -> None:
    story = Story("teardown-in-order")
    story.then("iommu", teardown("dsa2"))
    story.then("dmar1", entry_cleared("dmar1", "dsa2"))
    for cache in ("pasid-cache", "iotlb"):
        story.then("iommu", asked(cache, "dsa2", "dmar1"))
        story.then("dmar1", flushed(cache, "dsa2"))
    story.then("iommu", asked("device-tlb", "dsa2", "dmar1"))
    story.then("iommu", DeviceTornDown("dsa2", P, 1))
    assert story.said == []


def test_a_device_that_is_gone_completes_nothing() -> None:
    story = begun()
    story.then("iommu", asked("pasid-cache"))
    story.lose("dsa0")
    story.then("iommu", asked("drain"))
    story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert story.said == []


def test_without_an_entry_there_is_no_order() -> None:
    story = Story("teardown-in-order")
    story.then("iommu", teardown())
    story.then("iommu", asked("drain"))
    story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert story.said == []


# --- L2, L3 ---------------------------------------------------------------------------------------


def waiting() -> Story:
    story = Story("page-requests-end")
    story.then("core", allocated(1))
    story.then("dsa0", PageRequested("dsa0", P, 1, 3))
    return story


def test_err_a_page_request_without_an_answer() -> None:
    [said] = waiting().owed()
    assert said.startswith("page group 3 of dsa0 for PASID 5 (life 1) is not answered")
    assert said.endswith("it goes through dsa0, dmar0, iommu, vfio, vm1.guest")
    assert waiting().owed("vm1.guest") == []


def test_a_page_request_is_answered_or_withheld_or_its_device_is_gone() -> None:
    story = waiting()
    story.then("dsa0", PageSettled("dsa0", P, 1, 3, 1))
    assert story.owed() == []
    story = waiting()
    story.then("vm1.guest", PageWithheld("dsa0", P, 1, 3))
    assert story.owed() == []
    story = waiting()
    story.lose("dsa0")
    assert story.owed() == []


def test_err_an_answer_for_another_pasid_is_none() -> None:
    story = waiting()
    story.then("vm1.guest", PageWithheld("dsa0", P + 1, 1, 3))
    assert len(story.owed()) == 1


def test_err_a_teardown_that_does_not_end() -> None:
    story = Story("page-requests-end")
    story.then("iommu", teardown())
    [said] = story.owed()
    assert said.startswith("the teardown of PASID 5 (life 1) on dsa0 has not ended")
    assert story.owed("dsa0") == []
    story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert story.owed() == []
