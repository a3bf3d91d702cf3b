"""Properties of mms and processes of the host."""

import pytest

from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DataDetached,
    DeviceTornDown,
    DmaBlocked,
    EntryCleared,
    EntryWritten,
    Event,
    FileDropped,
    FileHeld,
    FileReleased,
    MmFreed,
    MmNotifierRegistered,
    MmNotifierUnregistered,
    MmPasidAssigned,
    MsrCleared,
    OpInvoked,
    PageTablesFreed,
    PasidAllocated,
    ProcessExited,
)
from protocol.machine import Device, Machine, Unit
from protocol.properties import property_named
from tests.protocol.stories import PASID, Story, dropped, reclaimed, taken

P = PASID
TORN = DeviceTornDown("dsa0", P, 1)
OFF_LIST = MmNotifierUnregistered("proc1", P, 1)
DISABLED = MsrCleared("proc1", P, 1)
NO_DATA = DataDetached(P, 1, 3)
IN_ORDER: tuple[tuple[str, Event], ...] = (
    ("iommu", TORN),
    ("proc1", OFF_LIST),
    ("proc1", DISABLED),
    ("core", NO_DATA),
    ("core", dropped()),
)
ASSIGNED = MmPasidAssigned("proc1", P, 1)
ENTRY = EntryWritten("dmar0", "dsa0", P, 1, "proc1", 0, was_present=False)
CLEARED = EntryCleared("dmar0", "dsa0", P, 1, "proc1", "proc1", "release")
FILLED = CacheFilled("iotlb", "dsa0", P, 1)
FLUSHED = CacheFlushed("iotlb", "dsa0", P, 1)
FREED = PageTablesFreed("proc1", P, 1)


def bound() -> Story:
    """An svm of an mm."""
    story = Story("unbind-of-an-mm-in-order")
    story.then("proc1", MmNotifierRegistered("proc1", P, 1))
    return story


def test_an_svm_of_an_mm_that_ends_in_order_is_fine() -> None:
    story = bound()
    for actor, fact in IN_ORDER:
        assert story.then(actor, fact) == []
    assert story.then("core", reclaimed(1)) == []


def test_of_a_guest_and_of_a_task_that_exits_nothing_is_said() -> None:
    story = Story("unbind-of-an-mm-in-order")
    for actor, fact in reversed(IN_ORDER):
        assert story.then(actor, fact) == []
    story = bound()
    story.then("core", NO_DATA)
    assert story.then("proc1", MsrCleared("proc1", P, 1, "exit")) == []
    assert story.then("core", dropped(holder="kvm:translation")) == []


@pytest.mark.parametrize("late", range(4))
def test_err_what_goes_after_what_comes_behind_it(late: int) -> None:
    story = bound()
    for actor, fact in IN_ORDER[:late] + IN_ORDER[late + 1 :]:
        assert story.then(actor, fact) == []
    (said,) = story.then(*IN_ORDER[late])
    assert "after it was" in said


def test_err_what_nobody_knows_to_be_over() -> None:
    story = bound()
    story.then("iommu", TORN)
    (said,) = story.apart("proc1", OFF_LIST)
    assert "not known to be after it was torn down on a device (iommu, input 1)" in said


def test_page_tables_that_go_when_no_hardware_uses_them() -> None:
    story = Story("hardware-off-before-page-tables")
    assert story.then("dmar0", ENTRY, FILLED, CLEARED, FLUSHED) == []  # Not an mm's.
    story.then("proc1", ASSIGNED)
    story.then("dmar0", ENTRY, FILLED)
    story.then("dmar0", CacheFilled("iotlb", "dsa0", P, 7))  # Another life's.
    story.then("dmar0", CLEARED, FLUSHED, FLUSHED)
    assert story.then("proc1", FREED, PageTablesFreed("proc2", 0, 0)) == []
    story.then("core", reclaimed(1))
    story.then("proc2", MmPasidAssigned("proc2", P, 2))
    written = EntryWritten("dmar0", "dsa0", P, 2, "proc2", 0, was_present=False)
    assert story.then("dmar0", written) == []


def test_err_page_tables_that_an_entry_points_to() -> None:
    story = Story("hardware-off-before-page-tables")
    story.then("proc1", ASSIGNED)
    story.then("dmar0", ENTRY)
    (said,) = story.then("proc1", FREED)
    assert "the page tables of proc1" in said
    assert "the entry of dsa0 still there" in said


def test_err_page_tables_that_are_not_known_to_be_unused() -> None:
    story = Story("hardware-off-before-page-tables")
    story.then("proc1", ASSIGNED)
    story.then("dmar0", FILLED)
    story.then("dmar0", FLUSHED)
    (said,) = story.apart("proc1", FREED)
    assert "not known to be after a line in the iotlb for dsa0 went (input 2 of dmar0)" in said


def test_err_an_entry_that_comes_after_the_page_tables_went() -> None:
    story = Story("hardware-off-before-page-tables")
    story.then("proc1", ASSIGNED)
    story.then("proc1", FREED)
    (said,) = story.then("dmar0", ENTRY)
    assert "after its page tables went" in said


def test_an_mm_has_one_pasid_and_a_new_mm_another() -> None:
    story = Story("one-pasid-for-an-mm")
    assert story.then("proc1", ASSIGNED, MmFreed("proc1"), MmPasidAssigned("proc1", 6, 2)) == []
    assert story.then("proc2", MmFreed("proc2")) == []


def test_err_an_mm_that_gets_another_pasid() -> None:
    story = Story("one-pasid-for-an-mm")
    (said,) = story.then("proc1", ASSIGNED, MmPasidAssigned("proc1", 6, 2))
    assert "proc1 got PASID 6 (life 2)" in said
    assert "after PASID 5 (life 1)" in said


def exited() -> Story:
    """A process has exited with a file open."""
    story = Story("exited-processes-leave-nothing")
    story.then("proc1", ASSIGNED)
    story.then("uacce.dsa0", FileHeld("dsa0", "proc1", "proc1"))
    story.then("proc1", ProcessExited("proc1"))
    return story


def test_a_process_that_leaves_nothing() -> None:
    story = exited()
    story.then("uacce.dsa0", FileDropped("dsa0", "proc1", "proc1"), FileReleased("dsa0", "proc1"))
    story.then("proc1", MmFreed("proc1"))
    story.then("core", reclaimed(1))
    assert story.owed() == []


def test_a_living_child_with_the_file_may_keep_it_all() -> None:
    story = exited()
    story.then("uacce.dsa0", FileHeld("dsa0", "proc1", "proc2"))
    story.then("uacce.dsa0", FileDropped("dsa0", "proc1", "proc1"))
    assert story.owed() == []


def test_err_what_an_exited_process_leaves() -> None:
    story = exited()
    story.then("proc2", MmPasidAssigned("proc2", 6, 2))
    story.then("uacce.dsa1", FileHeld("dsa1", "proc2", "proc2"))
    pasid, file, mm = story.owed()
    assert "PASID 5 (life 1) of proc1, which has exited, is not reclaimed" in pasid
    assert "the file of proc1, which has exited, on dsa0 is not released" in file
    assert "the mm of proc1, which has exited, is not freed" in mm


def test_a_device_that_faults_after_exit_is_witnessed() -> None:
    story = Story("faults-after-exit")
    blocked = DmaBlocked("dsa0", "proc1", P, 1, "none")
    assert story.then("dsa0", blocked) == []
    story.then("proc1", FREED, PageTablesFreed("proc2", 0, 0))
    assert story.then("dsa0", blocked) == [
        "dsa0 faulted with PASID 5 (life 1) of proc1 at input 2 of dsa0"
    ]
    story.then("core", reclaimed(1))
    assert story.then("dsa0", blocked) == []


def test_a_pasid_of_the_hosts_set_is_the_mms_that_has_got_it() -> None:
    story = Story("only-the-owner-acts")
    story.then("core", PasidAllocated(P, 1, 1, "", set_count=1))
    story.then("proc1", MmPasidAssigned("proc2", 6, 9), MmPasidAssigned("proc1", P, 7), ASSIGNED)
    assert story.then("core", taken()) == []
    assert story.then("dmar0", ENTRY) == []
    other = EntryWritten("dmar0", "dsa0", P, 1, "proc2", 0, was_present=False)
    (said,) = story.then("dmar0", other)
    assert "of proc1 in set 1" in said


@pytest.mark.parametrize(
    ("operation", "path"), [("bind", "uacce.dsa0"), ("dma", "dsa0"), ("fault", "dsa0")]
)
def test_err_an_operation_of_a_process_that_does_not_end(operation: str, path: str) -> None:
    machine = Machine((Unit("dmar0"),), (Device("dsa0", "dmar0"),), (), processes=("proc1",))
    story = Story("operations-end")
    story.property = property_named("operations-end")(machine)
    story.then("proc1", OpInvoked(1, operation, 0, 0, "dsa0"))
    (said,) = story.owed()
    assert said.endswith(f"it goes through proc1, {path}")
    story.then("proc1", ProcessExited("proc1"))
    assert story.owed() == []
