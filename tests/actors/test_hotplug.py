"""A device is unplugged and plugged: what the core asks, and what the VT-d driver does (I39)."""

from msgspec.structs import replace

from actors.iommu_core import IommuCore
from protocol.effects import Send
from protocol.facts import LockReleased, LockTaken, LockWaited, PageAnswered, ThreadEntered
from protocol.facts.intel_iommu import DeviceProbed, DeviceReleased, DevPasidSet
from protocol.facts.iommu_core import GroupJoined, GroupLeft
from protocol.machine import Unit
from protocol.messages import Done, PageGroupResponse, ResponseCode
from protocol.messages.address_spaces import ReportPageRequest
from protocol.messages.hotplug import ProbeDevice, ReleaseDevice
from protocol.messages.iommu_core import DetachGroupHandle, PlugDevice, UnplugDevice
from protocol.names import IOMMU, IOMMU_CORE
from tests.actors.intel_iommu_hands import LIFE, P, attached, fresh, request_of
from tests.actors.iommu_core_hands import MACHINE
from tests.helpers import sent, step

UNPLUG = ReleaseDevice(1, "d1")
LOCK = "iopf_lock dmar0"


def test_the_core_asks_the_driver_with_the_groups_lock_held() -> None:
    core = IommuCore.of(replace(MACHINE, units=(Unit("A"), Unit("B"))), IOMMU_CORE)
    out = step(core, UnplugDevice(1, "b1"), "caller1")
    assert sent(out) == [Send(IOMMU, ReleaseDevice(2, "b1"))]
    waits = step(core, DetachGroupHandle(2, "g2", "p0", "r"), "caller2")
    assert waits.facts == [LockWaited("group:g2", "mutex", "caller2/2")]
    out = step(core, Done(2), IOMMU)
    assert sent(out) == [Send("caller1", Done(1)), Send("caller2", Done(2))]
    assert GroupLeft("b1", "g2") in out.facts
    out = step(core, PlugDevice(3, "b1"), "caller1")
    assert sent(out) == [Send(IOMMU, ProbeDevice(2, "b1"))]
    assert GroupJoined("b1", "g2") in step(core, Done(2), IOMMU).facts


def test_a_release_waits_for_the_report_that_is_being_made() -> None:
    hands, _ = attached()
    hands.ring(request_of(group=1), request_of(group=2))
    hands.run_thread()
    hands.settle(ReportPageRequest)
    hands.give(UNPLUG)
    assert hands.said(LockWaited) == [LockWaited(LOCK, "spinlock", "unplug:2")]
    assert hands.said(DeviceReleased) == []
    hands.answer(ReportPageRequest)
    assert hands.said(DeviceReleased) == [DeviceReleased("d1")]
    hands.settle()
    assert hands.calls().count("ReportPageRequest") == 1, "the second found no device"
    assert hands.got() == [Done(1)]
    assert hands.driver.tasks == {}
    assert hands.driver.locks == {}


def test_a_request_of_a_released_device_is_answered_by_the_thread_if_it_is_owed_an_answer() -> None:
    hands = fresh()
    hands.give(UNPLUG)
    hands.ring(request_of(group=1, last=False), request_of(group=1), request_of("d2", group=2))
    hands.forget()
    hands.settle()
    answer = PageGroupResponse("d1", P, LIFE, 1, ResponseCode.INVALID, mapped=False)
    assert hands.sent.count(("dmar0", answer)) == 1
    assert hands.said(PageAnswered) == [PageAnswered("d1", P, LIFE, 1, 1, 0)]
    assert [one.device for _, one in hands.sent if isinstance(one, ReportPageRequest)] == ["d2"]


def test_what_is_attached_to_a_device_that_goes_is_detached_and_to_no_other() -> None:
    hands, name = attached("", "d1", "d2")
    hands.give(UNPLUG)
    hands.settle()
    assert [(one.device, one.domain, one.old) for one in hands.said(DevPasidSet)] == [
        ("d1", "blocked", name)
    ]
    assert list(hands.driver.table) == [("d2", P)]
    assert [one.device for one in hands.driver.domains[name].places] == ["d2"]
    assert hands.driver.iopf == {"d2": 1}
    assert hands.got() == [Done(1)]


def test_a_device_that_comes_back_is_reported_of_again() -> None:
    hands = fresh()
    hands.give(UNPLUG)
    hands.give(ProbeDevice(2, "d1"))
    hands.give(ProbeDevice(3, "d2"))
    assert hands.said(DeviceProbed) == [DeviceProbed("d1"), DeviceProbed("d2")]
    hands.ring(request_of())
    hands.settle()
    assert "ReportPageRequest" in hands.calls()


def test_the_prq_thread_is_nobody_elses() -> None:
    """Whoever had its number before had locks of his own."""
    hands = fresh()
    hands.ring(request_of())
    hands.settle()
    locks = [one for one in hands.facts if isinstance(one, LockTaken | LockReleased)]
    assert hands.said(ThreadEntered) == [ThreadEntered("prq:1", "prq:dmar0/0")]
    assert locks == [LockTaken(LOCK, "mutex", "prq:1"), LockReleased(LOCK, "mutex", "prq:1")]
