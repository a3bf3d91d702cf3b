"""What an mm and the page-request ring do to the VT-d driver of a modern kernel (§8)."""

from protocol.errors import Errno
from protocol.facts import DeviceTornDown, DrainScanned, LockWaited, PageAnswered, SleepMay
from protocol.facts.intel_iommu import AddressSpaceReleased, SecondaryTlbsFlushed
from protocol.messages import (
    ClearPresent,
    DeviceReset,
    Done,
    DrainRequests,
    DrainRequestsGot,
    InvalidateDevTlb,
    InvalidatePasidCache,
    PageGroupResponse,
    Refused,
    ResponseCode,
    ReturnToService,
    TimerFired,
)
from protocol.messages.address_spaces import (
    FlushIopfDevice,
    InvalidateSecondaryTlbs,
    PutMmuNotifier,
    RegisterMmuNotifier,
    ReleaseMm,
    ReportPageRequest,
    RespondPageRequest,
)
from protocol.messages.iommufd import AllocDomain, AllocNestedDomain, FreeDomain
from protocol.messages.pasid_table import InvalidateDomainIotlb, InvalidatePiotlb, ZeroAllButFpd
from protocol.messages.sva import DomainAllocSva, DomainAllocSvaGot, DomainFree
from protocol.names import SVA_CORE
from tests.actors.intel_iommu_hands import (
    LIFE,
    P,
    attached,
    detach_of,
    fresh,
    request_of,
    set_of,
)

SILENT = [
    "ClearPresent",
    "InvalidatePasidCache",
    "InvalidatePiotlb",
    "InvalidateDevTlb",
    "ZeroAllButFpd",
]


# --- Domains and their mm -------------------------------------------------------------------------


def test_an_sva_domain_is_on_its_mms_list_before_it_can_be_attached() -> None:
    hands = fresh()
    hands.give(DomainAllocSva(9, "d1", "proc1"), SVA_CORE)
    assert hands.calls() == ["RegisterMmuNotifier"]
    hands.settle()
    assert hands.sent[-1] == (SVA_CORE, DomainAllocSvaGot(9, "SVA@dmar0.proc1.1"))


def test_err_the_mm_has_no_memory_for_it() -> None:
    hands = fresh()
    hands.give(DomainAllocSva(9, "d1", "proc1"), SVA_CORE)
    hands.answer(RegisterMmuNotifier, Errno.ENOMEM)
    assert hands.got(SVA_CORE) == [Refused(9, Errno.ENOMEM)]
    assert hands.driver.domains == {}


def test_whoever_frees_it_does_not_wait_for_the_mm() -> None:
    hands = fresh()
    name = hands.sva()
    hands.give(DomainFree(3, name), SVA_CORE)
    assert hands.got(SVA_CORE) == [Done(3)]
    assert name in hands.driver.domains
    assert hands.sva() == "SVA@dmar0.proc1.2"
    assert name not in hands.driver.domains


def test_an_mm_without_a_process_calls_nobody_back() -> None:
    hands = fresh()
    name = hands.sva("somebody")
    hands.give(DomainFree(3, name), SVA_CORE)
    assert hands.calls(Done) == ["DomainAllocSvaGot"]


# --- The address space goes -----------------------------------------------------------------------


def test_release_takes_the_hardware_off_every_place_and_drains_nothing() -> None:
    hands, name = attached("", "d1", "d3")
    hands.give(ReleaseMm(4, name), "proc1")
    hands.settle()
    assert hands.calls() == [*SILENT, *SILENT, "Done"]
    assert hands.got("proc1") == [Done(4)]
    assert hands.said(AddressSpaceReleased) == [AddressSpaceReleased(name, "proc1")]
    assert hands.said(SleepMay) == []
    assert hands.said(DeviceTornDown) == []
    assert all(m.fpd for _, m in hands.sent if isinstance(m, ClearPresent))
    assert len(hands.driver.domains[name].places) == 2


def test_the_detach_that_comes_after_makes_up_for_the_drain() -> None:
    hands, name = attached()
    hands.give(ReleaseMm(4, name), "proc1")
    hands.settle()
    hands.forget()
    hands.give(detach_of(name))
    hands.settle()
    assert hands.calls() == [
        "ZeroEntry",
        "InvalidateDevTlb",
        "ReadPrq",
        "FlushIopfDevice",
        "DrainRequests",
        "RemoveIopfDevice",
        "Done",
    ]
    assert hands.driver.table == {}


def test_a_detach_waits_for_a_release_that_is_under_way() -> None:
    hands, name = attached()
    hands.give(ReleaseMm(4, name), "proc1")
    hands.give(detach_of(name))
    assert [one.lock for one in hands.said(LockWaited)] == [f"domain->lock {name}"]
    hands.settle()
    assert hands.calls()[: len(SILENT)] == SILENT
    assert hands.driver.table == {}
    assert hands.got() == [Done(1)]


def test_what_was_released_is_not_set_up_again() -> None:
    """A reset of the device is over; the tables of the mm are nobody's."""
    hands, name = attached()
    hands.give(ReleaseMm(4, name), "proc1")
    hands.settle()
    hands.give(detach_of(name))
    hands.settle()
    hands.forget()
    hands.give(set_of(name, old="blocked"))
    hands.settle()
    assert hands.calls() == ["AddIopfDevice", "Done"]
    assert hands.driver.table == {}


def test_release_of_a_domain_that_is_gone() -> None:
    hands = fresh()
    hands.give(ReleaseMm(4, "SVA@dmar0.proc1.1"), "proc1")
    assert hands.got("proc1") == [Done(4)]


# --- What it had somewhere is not there any more --------------------------------------------------


def test_a_flush_reaches_every_unit_and_every_device() -> None:
    hands, name = attached("", "d1", "d2", "d3")
    hands.give(InvalidateSecondaryTlbs(4, name, 7), "proc1")
    hands.settle()
    assert hands.sent == [
        ("dmar0", InvalidatePiotlb(1, "d1", P, LIFE, 1, 7)),
        ("dmar0", InvalidateDevTlb(1, "d1", P, LIFE)),
        ("dmar0", InvalidateDevTlb(1, "d2", P, LIFE)),
        ("dmar1", InvalidatePiotlb(1, "d3", P, LIFE, 1, 7)),
        ("dmar1", InvalidateDevTlb(1, "d3", P, LIFE)),
        ("proc1", Done(4)),
    ]
    assert [one.page for one in hands.said(SecondaryTlbsFlushed)] == [7]


def test_an_attach_waits_for_a_flush_that_is_under_way() -> None:
    hands, name = attached()
    hands.give(InvalidateSecondaryTlbs(4, name, 0), "proc1")
    hands.give(set_of(name, "d2"))
    assert len(hands.driver.domains[name].tags) == 2
    hands.settle()
    assert len(hands.driver.domains[name].tags) == 3


def test_a_parent_is_flushed_for_what_is_nested_on_it() -> None:
    hands = fresh()
    hands.give(AllocDomain(1, "d1", ()), "ctx")
    parent = list(hands.driver.domains)[-1]
    hands.give(AllocNestedDomain(2, "d1", parent, ()), "ctx")
    nested = list(hands.driver.domains)[-1]
    hands.attach(nested)
    hands.forget()
    hands.give(InvalidateSecondaryTlbs(4, parent, 0), "ctx")
    hands.settle()
    assert hands.sent == [
        ("dmar0", InvalidateDomainIotlb(1, "d1", P, LIFE, 2)),
        ("dmar0", InvalidateDevTlb(1, "d1", 0, 0)),
        ("ctx", Done(4)),
    ]
    hands.forget()
    hands.give(InvalidateSecondaryTlbs(4, nested, 7), "ctx")
    hands.settle()
    assert hands.sent[0] == ("dmar0", InvalidatePiotlb(1, "d1", P, LIFE, 2, 7))
    hands.give(detach_of(nested))
    hands.settle()
    assert hands.driver.domains[parent].tags == []
    for one in (nested, parent):
        hands.give(FreeDomain(1, one), "ctx")
    assert hands.driver.domains == {}


# --- Page requests --------------------------------------------------------------------------------


def test_the_thread_hands_over_each_request_and_waits_until_it_is_taken() -> None:
    hands, _ = attached()
    hands.ring(request_of(group=1, last=False), request_of(group=1), request_of(group=2))
    hands.run_thread()
    hands.settle(ReportPageRequest)
    assert hands.calls() == ["ReadPrq", "ReportPageRequest"]
    hands.answer(ReportPageRequest, Errno.ENOMEM)
    hands.settle()
    reports = [m for _, m in hands.sent if isinstance(m, ReportPageRequest)]
    assert [(one.group, one.last) for one in reports] == [(1, False), (1, True), (2, True)]
    assert hands.calls()[-1] == "AdvancePrq"
    assert hands.driver.tasks == {}


def test_an_answer_goes_to_the_unit_of_its_device() -> None:
    hands, _ = attached("", "d3")
    response = RespondPageRequest("d3", P, LIFE, 1, ResponseCode.SUCCESS, mapped=True)
    hands.give(response, "iopf")
    assert hands.sent == [
        ("dmar1", PageGroupResponse("d3", P, LIFE, 1, ResponseCode.SUCCESS, mapped=True))
    ]
    assert hands.said(PageAnswered) == [PageAnswered("d3", P, LIFE, 1, 0, LIFE)]


def test_a_drain_waits_until_the_ring_holds_none_of_it() -> None:
    hands, name = attached()
    hands.ring(request_of())
    hands.give(detach_of(name))
    hands.settle(TimerFired)
    assert hands.got() == []
    assert [one.found for one in hands.said(DrainScanned)] == [1]
    hands.settle()
    assert [one.found for one in hands.said(DrainScanned)] == [1, 0]
    assert hands.got() == [Done(1)]


def test_a_drain_is_repeated_after_an_overflow() -> None:
    hands, name = attached()
    hands.give(detach_of(name))
    hands.settle(DrainRequests)
    hands.answer(DrainRequests, DrainRequestsGot(1, overflow=True))
    hands.settle()
    assert hands.calls().count("DrainRequests") == 2


def test_a_refused_flush_ends_no_teardown() -> None:
    hands, name = attached()
    hands.give(detach_of(name))
    hands.settle(InvalidateDevTlb, FlushIopfDevice)
    hands.answer(InvalidateDevTlb, Errno.ETIMEDOUT)
    hands.settle(FlushIopfDevice)
    hands.answer(FlushIopfDevice, Errno.ENODEV)
    hands.settle()
    assert hands.got() == [Done(1)]


def test_a_device_works_again_when_its_requests_are_dealt_with() -> None:
    hands, _ = attached()
    hands.ring(request_of())
    hands.give(DeviceReset(), "d1")
    hands.settle()
    assert hands.sent[-1] == ("d1", ReturnToService())
    assert hands.calls().count("DrainRequests") == 2


def test_the_commands_of_a_release_come_one_after_the_other() -> None:
    hands, name = attached()
    hands.give(ReleaseMm(4, name), "proc1")
    hands.settle(InvalidatePasidCache)
    assert hands.calls() == SILENT[:2]
    hands.settle(ZeroAllButFpd)
    assert hands.calls() == SILENT
    hands.settle()
    assert hands.got("proc1") == [Done(4)]


def test_a_notifier_is_put_with_the_domain() -> None:
    hands = fresh()
    name = hands.sva()
    hands.forget()
    hands.give(DomainFree(3, name), SVA_CORE)
    hands.settle()
    assert hands.sent[0] == ("proc1", PutMmuNotifier(1, "proc1", name))
    assert hands.driver.domains == {}
