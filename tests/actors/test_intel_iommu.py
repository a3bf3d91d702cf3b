"""The VT-d driver of a modern kernel: attach, detach, replace, and what a refusal leaves (§8)."""

import pytest

from actors.intel_iommu.state import NOMEM_RECORD, NOMEM_TAG
from protocol.errors import Errno
from protocol.facts import DeviceTornDown
from protocol.facts.intel_iommu import DevPasidRefused, DevPasidSet, IopfReferenced
from protocol.messages import ClearPresent, Done, HostLost, Refused
from protocol.messages.address_spaces import AddIopfDevice, RemoveIopfDevice
from protocol.messages.iommu_core import RemoveDevPasid
from protocol.messages.pasid_table import InvalidateDomainIotlb, SetUpEntry
from protocol.names import SUPERVISOR, Name
from tests.actors.intel_iommu_hands import LIFE, Hands, P, attached, detach_of, fresh, set_of
from tests.helpers import Failing

ALL = [
    "ClearPresent",
    "InvalidatePasidCache",
    "InvalidatePiotlb",
    "InvalidateDevTlb",
    "ZeroEntry",
    "ReadPrq",
    "FlushIopfDevice",
    "DrainRequests",
]


def test_attach_is_books_then_page_faults_then_hardware() -> None:
    hands = fresh()
    name = hands.sva()
    hands.forget()
    hands.attach(name)
    assert hands.calls() == ["AddIopfDevice", "SetUpEntry", "Done"]
    assert SetUpEntry(1, "d1", P, LIFE, "proc1", 1, "first") in [m for _, m in hands.sent]
    assert hands.said(DevPasidSet) == [
        DevPasidSet("d1", P, LIFE, name, "", faults=True, present=True)
    ]
    assert [(tag.kind, tag.unit) for tag in hands.driver.domains[name].tags] == [
        ("iotlb", "dmar0"),
        ("devtlb", "dmar0"),
    ]


def test_detach_is_hardware_then_page_faults_then_books() -> None:
    hands, name = attached()
    hands.give(detach_of(name))
    hands.settle()
    assert hands.calls() == [*ALL, "RemoveIopfDevice", "Done"]
    assert hands.driver.domains[name].places == []
    assert hands.driver.domains[name].tags == []
    assert (hands.driver.table, hands.driver.iopf, hands.driver.tasks) == ({}, {}, {})


def test_replace_tears_down_then_sets_up_and_lets_the_old_one_go_last() -> None:
    hands, name = attached()
    hands.attach("paging", old=name)
    assert hands.calls() == [*ALL, "SetUpEntry", "RemoveIopfDevice", "Done"]
    assert [one.device for one in hands.driver.domains["paging"].places] == ["d1"]
    assert hands.driver.domains[name].places == []


@pytest.mark.parametrize(
    ("device", "left_out"),
    [("plain", ALL[5:]), ("old", [*ALL[5:], "InvalidateDevTlb"])],
)
def test_nothing_is_asked_of_a_device_that_has_nothing(device: Name, left_out: list[str]) -> None:
    """No device TLB without ATS; nothing to drain without PRI."""
    hands, name = attached("paging", device)
    hands.give(detach_of(name, device))
    hands.settle()
    kept = [one for one in ALL if one not in left_out]
    wanted = [one.replace("Piotlb", "DomainIotlb") for one in kept]
    assert hands.calls() == [*wanted, "Done"]


def test_a_device_that_is_gone_has_no_tlb() -> None:
    hands, name = attached()
    hands.give(HostLost("d1"), SUPERVISOR)
    hands.give(detach_of(name))
    hands.settle()
    assert "InvalidateDevTlb" not in hands.calls()
    assert hands.got() == [Done(1)]


def test_a_second_level_is_flushed_by_domain() -> None:
    hands, _ = attached("nested")
    hands.give(detach_of("nested"))
    hands.settle()
    assert [m for _, m in hands.sent if isinstance(m, InvalidateDomainIotlb)] == [
        InvalidateDomainIotlb(1, "d1", P, LIFE, 2)
    ]


@pytest.mark.parametrize("site", [NOMEM_RECORD, NOMEM_TAG])
def test_err_without_memory_nothing_has_changed(site: object) -> None:
    hands, name = attached()
    before = hands.books()
    hands.chance = Failing(site.name)  # type: ignore[attr-defined]
    hands.attach("paging", old=name)
    assert hands.got() == [Refused(1, Errno.ENOMEM)]
    assert hands.calls() == ["Refused"]
    assert hands.driver.domains.pop("paging").places == []
    assert hands.books() == before


def test_err_an_entry_that_is_present_is_ebusy_and_all_is_taken_back() -> None:
    """The core said that nothing was there."""
    hands, name = attached()
    other = hands.sva("proc2")
    before = hands.books()
    hands.forget()
    hands.attach(other)
    assert hands.got() == [Refused(1, Errno.EBUSY)]
    assert [one.count for one in hands.said(IopfReferenced)] == [2, 1]
    assert hands.said(DevPasidRefused)
    assert hands.books() == before
    assert hands.driver.domains[name].places != []


def test_err_what_the_fault_core_says_is_taken_back() -> None:
    hands = fresh()
    name = hands.sva()
    before = hands.books()
    hands.give(set_of(name))
    hands.answer(AddIopfDevice, Errno.ENOMEM)
    assert hands.got() == [Refused(1, Errno.ENOMEM)]
    assert hands.books() == before


@pytest.mark.parametrize(
    ("device", "errno"),
    [("none", Errno.EOPNOTSUPP), ("old", Errno.EINVAL), ("no", Errno.EOPNOTSUPP)],
)
def test_err_sva_does_not_fit_every_device(device: Name, errno: Errno) -> None:
    hands = fresh()
    name = hands.sva()
    before = hands.books()
    hands.forget()
    hands.attach(name, device)
    assert hands.got() == [Refused(1, errno)]
    assert hands.books() == before


def test_a_device_is_on_the_fault_queue_while_some_domain_wants_it() -> None:
    hands, name = attached()
    hands.attach(name, pasid=P + 1)
    hands.give(detach_of(name))
    hands.settle()
    assert "RemoveIopfDevice" not in hands.calls()
    hands.give(detach_of(name, pasid=P + 1))
    hands.settle()
    assert hands.calls().count("RemoveIopfDevice") == 1
    assert "AddIopfDevice" not in hands.calls()


def test_a_static_domain_leaves_nothing_to_be_taken_back() -> None:
    """A reset is over: the core says that the blocking domain was there (a6dea58d8625)."""
    hands, name = attached()
    hands.give(detach_of(name))
    hands.settle()
    hands.forget()
    hands.attach(name, old="blocked")
    assert hands.calls() == ["AddIopfDevice", "SetUpEntry", "Done"]
    assert "blocked" not in hands.driver.domains


def test_the_way_of_6_12_is_the_same() -> None:
    hands, name = attached()
    hands.give(RemoveDevPasid(1, "d1", P, LIFE, name))
    hands.settle()
    assert hands.calls() == [*ALL, "RemoveIopfDevice", "Done"]
    assert hands.said(DeviceTornDown) == [DeviceTornDown("d1", P, LIFE)]


def test_detach_of_what_is_not_there_does_nothing() -> None:
    hands, name = attached()
    before = hands.books()
    hands.give(detach_of(name, "d2"))
    hands.settle()
    assert hands.calls() == ["Done"]
    assert hands.books() == before


def test_two_groups_are_attached_at_the_same_time() -> None:
    hands = fresh()
    name = hands.sva()
    hands.forget()
    hands.give(set_of(name, "d1", call=1))
    hands.give(set_of(name, "d3", call=2))
    hands.give(detach_of(name, "d2", call=3))
    assert hands.got() == [Done(3)]
    hands.settle()
    assert hands.got() == [Done(3), Done(1), Done(2)]
    units = [tag.unit for tag in hands.driver.domains[name].tags]
    assert units == ["dmar0", "dmar0", "dmar1", "dmar1"]


def test_domain_ids_are_of_a_unit_and_used_again() -> None:
    hands, _ = attached("paging", "d1", "d3")
    hands.attach("other", "d2")
    ids = {name: one.dids for name, one in hands.driver.domains.items()}
    assert [(unit, one.id) for unit, one in ids["paging"].items()] == [("dmar0", 2), ("dmar1", 2)]
    assert ids["other"]["dmar0"].id == 3
    hands.give(detach_of("paging"))
    hands.settle()
    hands.attach("nested")
    assert hands.driver.domains["nested"].dids["dmar0"].id == 2


def test_the_answer_waits_for_each_step() -> None:
    hands, name = attached()
    hands.give(detach_of(name))
    held: list[type] = [ClearPresent, RemoveIopfDevice]
    for kind in held:
        hands.settle(kind)
        assert hands.got() == []
        hands.answer(kind)
    assert isinstance(hands, Hands)
    assert hands.got() == [Done(1)]
