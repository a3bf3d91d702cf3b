"""What all properties have in common."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.harness import invariants
from protocol import properties
from protocol.errors import ExperimentError
from protocol.facts import (
    BindAnswered,
    BindRequested,
    CacheFilled,
    CacheFlushed,
    DataAttached,
    DescriptorAccepted,
    DescriptorEnded,
    DeviceBound,
    DeviceTornDown,
    DeviceUnbound,
    DmaTranslated,
    EnqcmdIssued,
    EnqcmdRetired,
    EntryCleared,
    EntryWritten,
    Event,
    FlushRequested,
    FreeAnswered,
    FreeRequested,
    LockReleased,
    LockTaken,
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
    NotificationAnswered,
    NotificationHandled,
    NotificationSent,
    OpInvoked,
    OpOk,
    PageAnswered,
    PageReported,
    PageRequested,
    PageSettled,
    PasidLinked,
    PasidUnlinked,
    ReferenceDropped,
    ReferenceTaken,
    RequestRinged,
    RequestsDrained,
    RequestTaken,
    RunEnded,
    SetAllocated,
    SleepMay,
    SlotCleared,
    SlotProgrammed,
    SpidAttached,
    SpidDetached,
    StateChanged,
    SubscriberCalled,
    SvmCreated,
    SvmFreed,
    TranslationCleared,
    TranslationWritten,
    UnbindRequested,
    VmEntryBlocked,
    VmEntryLifted,
    WorkBegun,
    WorkDue,
    WorkEnded,
    WorkFinished,
    WorkLinedUp,
    WorkQueued,
    WqCleared,
    WqProgrammed,
)
from protocol.history import Record, Stamp
from protocol.properties import BY_NAME, PROPERTIES, Kind, Property, property_named
from tests.protocol.stories import MACHINE, PASID, Story, allocated, reclaimed

P = PASID

every = pytest.mark.parametrize("one", PROPERTIES, ids=lambda one: one.name)


@every
def test_a_property_is_named_as_its_file_is(one: type[Property]) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", one.name)
    assert one.__module__ == f"protocol.properties.{one.name.replace('-', '_')}"


@every
def test_a_property_says_what_holds_and_why(one: type[Property]) -> None:
    assert one.source
    assert invariants.says(one).endswith(".")


@every
def test_a_property_observes_facts(one: type[Property]) -> None:
    assert one.observes
    assert len(set(one.observes)) == len(one.observes)
    assert all(issubclass(fact, Event) for fact in one.observes)


@every
def test_a_fact_that_it_does_not_observe_is_nothing_to_it(one: type[Property]) -> None:
    stranger = Record(Stamp(actor="world", n=1), RunEnded(quiet=True, steps=0))
    assert one(MACHINE).observe(stranger) is None


def test_every_rule_has_its_property() -> None:
    missing = [rule for rule, held in invariants.holders().items() if not held]
    assert missing == []


def test_every_witness_is_a_sometimes() -> None:
    names = [one.name for one in PROPERTIES if one.kind is Kind.SOMETIMES]
    assert names == [
        "free-while-bound",
        "pasid-reused",
        "late-unbind",
        "drain-with-request-in-ring",
        "rollback",
        "page-answered",
        "ring-overflow",
        "vm-lost-while-bound",
        "faults-after-exit",
        "mm-pasid-reused",
        "mm-released-before-unbind",
        "system-pasid-beside-a-bond",
    ]


def test_every_file_of_the_folder_is_listed() -> None:
    files = {path.stem for path in Path(properties.__file__).parent.glob("*.py")}
    listed = {one.name.replace("-", "_") for one in PROPERTIES}
    assert files - listed == {"__init__", "concerning", "modern", "property"}


def test_a_property_is_found_by_its_name() -> None:
    assert len(BY_NAME) == len(PROPERTIES)
    assert property_named("rollback").name == "rollback"


def test_err_a_name_that_is_nearly_right() -> None:
    with pytest.raises(ExperimentError, match="did you mean 'entries-cleared-before-reclaim'"):
        property_named("entries-clear-before-reclaim")


def test_err_a_name_that_is_not() -> None:
    with pytest.raises(ExperimentError, match=r"'zzz' is not a property \(properties: "):
        property_named("zzz")


def test_the_page_about_invariants_is_not_stale() -> None:
    """If it is: python -m experiments.harness.invariants."""
    assert invariants.PAGE.read_text(encoding="utf-8") == invariants.page()


def test_the_page_says_which_bugs_break_a_rule(tmp_path: Path) -> None:
    assert set(map(tuple, invariants.breakers(tmp_path).values())) == {()}
    bug = 'title = "x"\n[expect]\nviolated = ["rollback", "present-entries-unchanged"]\n'
    (tmp_path / "half-an-entry.toml").write_text(bug)
    broken = invariants.breakers(tmp_path)
    assert broken["present-entries-unchanged"] == broken["rollback"] == ["half-an-entry"]
    assert "(../experiments/bugs/half-an-entry.toml)" in invariants.row(BY_NAME["rollback"], broken)


# --- One good life after another ------------------------------------------------------------------


KVM, VDCM, SLOT = "vm1.kvm", "vdcm.dsa0", "vdcm.dsa0:vm1:swq"


def a_life(life: int) -> Iterator[tuple[str, Event]]:
    """Alloc, bind, DMA with a page request, free while bound, cleanup: who states what."""
    yield from bound(life)
    yield from used(life)
    yield from freed(life)


def bound(life: int) -> Iterator[tuple[str, Event]]:
    yield "vm1.guest", OpInvoked(life, "bind p dsa0", P, life)
    yield "core", allocated(life)
    yield "core", ReferenceTaken(P, life, "vfio:owner", 1, "IDLE", "vm1")
    yield "core", NotificationSent("ALLOC", P, life, 1, "vm1")
    yield "vfio", PasidLinked(P, life, "vm1")
    yield "vfio", BindRequested(P, life, "vm1", 0, "bind:1")
    yield "iommu", LockTaken("pasid_mutex", "mutex", "bind:1")
    yield "core", ReferenceTaken(P, life, "iommu:svm", 2, "ACTIVE")
    yield "iommu", MemoryAllocated("svm", "svm1")
    yield "iommu", SvmCreated(P, life, "vm1", 1)
    yield "core", DataAttached(P, life, 1, 0)
    yield "dmar0", EntryWritten("dmar0", "dsa0", P, life, "vm1", 1, was_present=False)
    yield "iommu", DeviceBound("dsa0", P, life, "vm1", "bind:1")
    yield "core", SpidAttached(P, life, 1, 101, "ACTIVE")
    yield "core", NotificationSent("BIND", P, life, 1, "vm1", 101)
    yield KVM, NotificationHandled("BIND", P, life, "notify:1")
    yield "core", ReferenceTaken(P, life, f"{KVM}:translation", 3, "ACTIVE")
    yield KVM, TranslationWritten("vm1", 101, P, life)
    yield KVM, NotificationAnswered("BIND", P, life, "notify:1", "OK")
    yield "core", ReferenceTaken(P, life, SLOT, 4, "ACTIVE")
    yield VDCM, SlotProgrammed("vm1", "dsa0", "swq", P, life)
    yield "iommu", LockReleased("pasid_mutex", "mutex", "bind:1")
    yield "vfio", BindAnswered(P, life, "vm1", 0, "bind:1", "", 0)
    yield "vm1.guest", OpOk(life, "bind p dsa0")


def used(life: int) -> Iterator[tuple[str, Event]]:
    yield KVM, EnqcmdIssued("vm1", "dsa0", P, life)
    yield "dsa0", WqProgrammed("vm1", "dsa0", "ims", P, life)
    yield "dsa0", DescriptorAccepted("dsa0", "vm1", "vm1:1", P, life)
    yield KVM, EnqcmdRetired("vm1", "dsa0", P, life)
    yield "dsa0", PageRequested("dsa0", P, life, 0)
    yield "dmar0", RequestRinged("dmar0", "dsa0", P, life, 0)
    yield "iommu", PageReported("dsa0", P, life, 0)
    yield "dmar0", RequestTaken("dmar0", "dsa0", P, life, 0)
    yield "iommu", PageAnswered("dsa0", P, life, 0, 0, life)
    yield "dsa0", PageSettled("dsa0", P, life, 0, 0)
    yield "dmar0", CacheFilled("pasid-cache", "dsa0", P, life)
    yield "dmar0", CacheFilled("iotlb", "dsa0", P, life)
    yield "dsa0", CacheFilled("device-tlb", "dsa0", P, life)
    yield "dsa0", DmaTranslated("dsa0", "vm1", P, life, 7, "iommu", "vm1", life)


def freed(life: int) -> Iterator[tuple[str, Event]]:
    yield "vfio", PasidUnlinked(P, life, "vm1")
    yield "core", FreeRequested(P, life, 1, "vfio", effective=True, state="ACTIVE")
    yield "core", ReferenceDropped(P, life, "vfio:owner", 3)
    yield "core", StateChanged(P, life, "ACTIVE", "FREE_PENDING", 3)
    yield "core", FreeAnswered(P, life, "vfio")
    yield "core", NotificationSent("FREE", P, life, 1, "vm1", 101)
    yield "core", SubscriberCalled("FREE", P, life, KVM, "vm1", 3)
    yield KVM, VmEntryBlocked("vm1")
    yield KVM, TranslationCleared("vm1", 101, P, life)
    yield "core", ReferenceDropped(P, life, f"{KVM}:translation", 2)
    yield KVM, VmEntryLifted("vm1")
    yield "iommu", MemoryUsed("svm", "svm1")
    yield "core", SubscriberCalled("FREE", P, life, "iommu", "", 1)
    yield "iommu", WorkQueued("teardown:5", P, life)
    yield "workqueue", WorkLinedUp("iommu", "teardown:5", P, life)
    yield "dsa0", DescriptorEnded("dsa0", "vm1", "vm1:1", P, life, "success")
    yield "dsa0", WqCleared("vm1", "dsa0", "ims", P, life)
    yield VDCM, SlotCleared("vm1", "dsa0", "swq", P, life)
    yield "core", ReferenceDropped(P, life, SLOT, 1)
    yield "workqueue", WorkDue("iommu", "teardown:5", P, life)
    yield "iommu", WorkBegun("teardown:5", P, life)
    yield "iommu", SleepMay("teardown:1", "drain")
    yield "iommu", DeviceUnbound("dsa0", P, life, "vm1", "free", "teardown:1")
    yield "dmar0", EntryCleared("dmar0", "dsa0", P, life, "vm1", "vm1", "free")
    for flush in ("pasid-cache", "iotlb", "device-tlb"):
        yield "iommu", FlushRequested(flush, "dsa0", "dmar0", P, life)
        yield "dsa0" if flush == "device-tlb" else "dmar0", CacheFlushed(flush, "dsa0", P, life)
    yield "iommu", FlushRequested("drain", "dsa0", "dmar0", P, life)
    yield "dsa0", CacheFlushed("device-tlb", "dsa0", P, life)
    yield "dmar0", RequestsDrained("dmar0", "dsa0", P, life, "iommu", overflow=False)
    yield "iommu", DeviceTornDown("dsa0", P, life)
    yield "core", NotificationSent("UNBIND", P, life, 1, "vm1", 101)
    yield "core", SpidDetached(P, life, 1, 101)
    yield "iommu", WorkEnded("teardown:5", P, life)
    yield "iommu", SvmFreed(P, life, 1)
    yield "iommu", MemoryFreed("svm", "svm1")
    yield "workqueue", WorkFinished("iommu", "teardown:5", P, life)
    yield "core", ReferenceDropped(P, life, "iommu:svm", 0)
    yield "core", StateChanged(P, life, "FREE_PENDING", "FREE", 0)
    yield "core", reclaimed(life)
    yield "vfio", UnbindRequested(P, life, "vm1", 0, linked=False)


def told(name: str, lives: int) -> Story:
    """So many good lives of one number, one after the other."""
    story = Story(name)
    facts: list[tuple[str, Event]] = [("core", SetAllocated(1, "vm1", 8, 8, 0, 0))]
    for life in range(1, lives + 1):
        facts += a_life(life)
    for actor, fact in facts:
        if type(fact) in story.property.observes:
            story.then(actor, fact, input="FreePasid")
    return story


def size(value: object) -> int:
    """How many values a value holds, at any depth."""
    if isinstance(value, dict):
        return 1 + sum(size(key) + size(one) for key, one in value.items())
    if isinstance(value, list | tuple):
        return 1 + sum(size(one) for one in value)
    slots: object = getattr(value, "__slots__", None)
    names = vars(value) if hasattr(value, "__dict__") and not isinstance(value, type) else slots
    if isinstance(names, dict | list | tuple):
        return 1 + sum(size(getattr(value, name)) for name in names)
    return 1


STATED = {type(fact) for _, fact in a_life(1)}
JUDGES = [
    one
    for one in PROPERTIES
    if one.kind is not Kind.SOMETIMES and not STATED.isdisjoint(one.observes)
]
judged = pytest.mark.parametrize("one", JUDGES, ids=lambda one: one.name)


@judged
def test_good_lives_satisfy_it(one: type[Property]) -> None:
    story = told(one.name, 3)
    assert story.said == []
    assert story.owed() == []


@every
def test_its_memory_does_not_grow_with_the_lives(one: type[Property]) -> None:
    assert size(told(one.name, 260).property) == size(told(one.name, 270).property)
