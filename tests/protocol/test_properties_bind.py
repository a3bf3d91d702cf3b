"""N11, N12, N19, N20: binds, entries, memory, flushes."""

import pytest
from msgspec.structs import replace

from protocol.facts import (
    BindAnswered,
    DeviceBound,
    DeviceTornDown,
    DeviceUnbound,
    FlushRequested,
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
)
from protocol.properties.no_use_after_free import FREED_MAX
from tests.protocol.stories import PASID, Story, cleared, reclaimed, written

P = PASID


# --- N11, N12 -------------------------------------------------------------------------------------


def bound(device: str = "dsa0") -> DeviceBound:
    return DeviceBound(device, P, 1, "vm1", "bind:1")


def unbound(device: str = "dsa0", why: str = "rollback") -> DeviceUnbound:
    return DeviceUnbound(device, P, 1, "vm1", why, "unbind:2")


def answered(errno: str = "", vm: str = "vm1", group: int = 0) -> BindAnswered:
    return BindAnswered(P, 1, vm, group, "bind:1", errno, rolled_back=0)


def test_a_bind_rolls_back_what_it_bound_itself() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound("dsa0"))
    story.then("iommu", unbound("dsa0"))
    story.then("vfio", answered("EBUSY"))
    story.then("iommu", bound("dsa0"))
    story.then("core", reclaimed(1))
    story.then("iommu", bound("dsa0"))
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize("why", ["unbind", "free", "release"])
def test_a_bind_that_succeeded_may_be_undone(why: str) -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound())
    story.then("vfio", answered())
    story.then("iommu", unbound(why=why))
    assert story.said == []


def test_err_a_failed_bind_undoes_an_earlier_one() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound())
    story.then("vfio", answered())
    (sentence,) = story.then("iommu", unbound())
    assert sentence == (
        "a bind that failed undid the earlier bind of dsa0 to PASID 5 (life 1) at input 2 of iommu"
    )


def test_err_a_failed_bind_leaves_a_device_bound() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound("dsa0"))
    (sentence,) = story.then("vfio", replace(answered("EINVAL"), rolled_back=1))
    assert sentence == (
        "a bind of PASID 5 (life 1) to group 0 of vm1 failed with EINVAL at input 1 of vfio, "
        "and dsa0 stayed bound"
    )


def test_a_bind_that_bound_nothing_may_fail_beside_one_under_way() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound("dsa0"))
    story.then("vfio", answered("EBUSY"))
    assert story.said == []


def test_another_group_s_success_settles_nothing_here() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound())
    story.then("vfio", answered(vm="vm2", group=1))
    story.then("iommu", unbound())
    assert story.said == []


def test_err_a_second_bind_of_a_device() -> None:
    story = Story("one-bind-per-device")
    story.then("iommu", bound())
    assert story.then("iommu", bound("dsa1")) == []
    (sentence,) = story.then("iommu", bound())
    assert sentence == (
        "dsa0 was bound to PASID 5 (life 1) for vm1 at input 3 of iommu, "
        "and was bound to it already"
    )


def test_an_entry_where_none_was() -> None:
    assert Story("present-entries-unchanged").then("dmar0", written()) == []


def test_err_an_entry_written_while_present() -> None:
    (sentence,) = Story("present-entries-unchanged").then("dmar0", written(present=True))
    assert sentence == (
        "the entry of dsa0 in dmar0 for PASID 5 (life 1) was written at input 1 of dmar0, "
        "while it was present"
    )


# --- N19 ------------------------------------------------------------------------------------------

ALLOCATED = MemoryAllocated("svm", "svm1")
USED = MemoryUsed("svm", "svm1")
FREED = MemoryFreed("svm", "svm1")


def test_memory_is_used_between_allocation_and_free() -> None:
    story = Story("no-use-after-free")
    for _ in range(2):
        story.then("iommu", ALLOCATED)
        story.then("core", USED)
        story.then("iommu", USED)
        story.then("iommu", FREED)
    assert story.said == []
    assert story.owed() == []


def test_err_used_after_it_was_freed() -> None:
    story = Story("no-use-after-free")
    story.then("iommu", FREED)
    (sentence,) = story.then("core", USED)
    assert sentence == ("core used svm svm1 at input 1 of core, freed at input 1 of iommu")


def test_err_used_by_one_who_did_not_know() -> None:
    """The use may as well come after."""
    story = Story("no-use-after-free")
    story.then("core", USED)
    (sentence,) = story.apart("iommu", FREED)
    assert sentence.endswith("not known to be after core used it (input 1)")


def test_err_freed_twice() -> None:
    story = Story("no-use-after-free")
    story.then("iommu", FREED)
    (sentence,) = story.then("iommu", FREED)
    assert sentence.endswith("and it had been freed at input 1 of iommu")


def test_err_used_as_a_pointer_and_it_is_an_error() -> None:
    story = Story("no-use-after-free")
    for _ in range(2):
        (sentence,) = story.then("iommu", MemoryUsed("svm", "ERR_PTR(-ENOENT)"))
        assert sentence.startswith("iommu used svm ERR_PTR(-ENOENT), no pointer, at input ")


def test_only_so_many_frees_are_remembered() -> None:
    story = Story("no-use-after-free")
    story.then("iommu", FREED)
    for number in range(FREED_MAX):
        story.then("iommu", MemoryFreed("work", f"work{number}"))
    assert story.then("iommu", USED) == []
    assert len(story.then("iommu", MemoryUsed("work", "work0"))) == 1


# --- N20 ------------------------------------------------------------------------------------------

UNIT = {"dsa0": "dmar0", "dsa1": "dmar1", "dsa2": "dmar1"}
ALL = ("pasid-cache", "iotlb", "device-tlb", "drain")


def torn_down(device: str, *flushes: str, entry: bool = True) -> Story:
    story = Story("flushes-reach-the-right-unit")
    story.then("iommu", replace(unbound(device), why="unbind"))
    if entry:
        story.then("dmar0", cleared(device))
    for flush in flushes:
        story.then("iommu", FlushRequested(flush, device, UNIT[device], P, 1))
    story.then("iommu", DeviceTornDown(device, P, 1))
    return story


@pytest.mark.parametrize(
    ("device", "flushes"), [("dsa0", ALL), ("dsa1", (*ALL, "drain")), ("dsa2", ALL[:2])]
)
def test_a_teardown_that_flushes_all(device: str, flushes: tuple[str, ...]) -> None:
    story = torn_down(device, *flushes)
    assert story.said == []
    assert story.owed() == []


@pytest.mark.parametrize("missing", ALL)
def test_err_a_teardown_that_leaves_one_out(missing: str) -> None:
    (sentence,) = torn_down("dsa0", *(one for one in ALL if one != missing)).said
    assert sentence.startswith("PASID 5 (life 1) was torn down on dsa0 at input ")
    assert sentence.endswith(f"without {missing}")


def test_err_flushes_of_the_teardown_before_do_not_count() -> None:
    story = torn_down("dsa0", *ALL)
    story.then("iommu", replace(unbound("dsa0"), why="unbind"))
    story.then("dmar0", cleared())
    (sentence,) = story.then("iommu", DeviceTornDown("dsa0", P, 1))
    assert sentence.endswith("without pasid-cache, iotlb, device-tlb, drain")


def test_nothing_to_flush_without_an_entry() -> None:
    assert torn_down("dsa0", entry=False).said == []


def test_a_device_that_is_gone_need_not_be_flushed() -> None:
    story = Story("flushes-reach-the-right-unit")
    story.then("iommu", unbound())
    story.then("dmar0", cleared())
    story.lose("dsa0")
    assert story.then("iommu", DeviceTornDown("dsa0", P, 1)) == []


def test_err_a_flush_that_goes_to_another_unit() -> None:
    """As with one unit pointer for all devices of an svm (S27)."""
    story = Story("flushes-reach-the-right-unit")
    (sentence,) = story.then("iommu", FlushRequested("iotlb", "dsa1", "dmar0", P, 1))
    assert sentence == (
        "the iotlb flush of dsa1 for PASID 5 (life 1) went to dmar0 at input 1 of iommu, "
        "the device is behind dmar1"
    )
