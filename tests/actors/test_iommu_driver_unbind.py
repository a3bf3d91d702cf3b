import pytest

from actors.iommu_driver import IommuDriver
from actors.iommu_driver.state import Operation, Svm
from protocol.effects import Out, Send
from protocol.errors import Errno
from protocol.facts import (
    DeviceTornDown,
    DeviceUnbound,
    DrainScanned,
    FlushRequested,
    LockReleased,
    LockTaken,
    LockWaited,
    MemoryFreed,
    PageAnswered,
    SleepMay,
    SvmFreed,
)
from protocol.messages import (
    ClearPresent,
    DetachData,
    DetachSpid,
    Done,
    DrainRequests,
    DrainRequestsGot,
    FlushFaults,
    InvalidateDevTlb,
    InvalidateIotlb,
    InvalidatePasidCache,
    PageGroupResponse,
    PutPasid,
    ReadPrq,
    ResponseCode,
    TimerFired,
    UnbindGpasid,
    ZeroEntry,
)
from protocol.names import CORE, IOMMU, VFIO, Name
from tests.actors.iommu_driver_hands import (
    LIFE,
    P,
    bind_of,
    bound,
    fresh,
    request_of,
    unbind_of,
)
from tests.helpers import sent, step


def test_the_last_unbind_goes_step_by_step() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle()
    assert hands.sent == [
        ("dmar0", ClearPresent(1, "dsa0", P, LIFE, "vm1", "unbind", fpd=False)),
        ("dmar0", InvalidatePasidCache(1, "dsa0", P, LIFE, 1)),
        ("dmar0", InvalidateIotlb(1, "dsa0", P, LIFE, 1)),
        ("dmar0", InvalidateDevTlb(1, "dsa0", P, LIFE)),
        ("dmar0", ZeroEntry(1, "dsa0", P, LIFE)),
        ("dmar0", ReadPrq(1, thread=False)),
        (VFIO, FlushFaults(1, "dsa0")),
        ("dmar0", DrainRequests(1, "dsa0", P, LIFE)),
        (CORE, DetachSpid(1, P, LIFE)),
        (CORE, DetachData(1, P, LIFE)),
        (CORE, PutPasid(1, P, LIFE, "svm")),
        (VFIO, Done(8)),
    ]
    assert hands.state() == fresh().state()


def test_nothing_is_sent_before_the_step_before_it_is_answered() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    while hands.open:
        assert len(hands.open) == 1
        hands.answer(type(hands.open[0][1]))
    assert hands.got() == [Done(8)]


def test_the_facts_of_an_unbind_come_in_the_order_of_the_teardown() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle()
    kinds = (DeviceUnbound, FlushRequested, DrainScanned, DeviceTornDown, MemoryFreed, SvmFreed)
    assert [fact for fact in hands.facts if isinstance(fact, kinds)] == [
        DeviceUnbound("dsa0", P, LIFE, "vm1", "unbind", "unbind:1"),
        FlushRequested("pasid-cache", "dsa0", "dmar0", P, LIFE),
        FlushRequested("iotlb", "dsa0", "dmar0", P, LIFE),
        FlushRequested("device-tlb", "dsa0", "dmar0", P, LIFE),
        DrainScanned("dsa0", P, LIFE, 0),
        FlushRequested("drain", "dsa0", "dmar0", P, LIFE),
        DeviceTornDown("dsa0", P, LIFE),
        MemoryFreed("sdev", "svm1/dsa0"),
        SvmFreed(P, LIFE, 1),
        MemoryFreed("svm", "svm1"),
    ]
    assert [fact.where for fact in hands.said(SleepMay)] == [
        "invalidation",
        "invalidation",
        "invalidation",
        "drain",
        "invalidation",
        "rcu",
    ]
    assert {fact.task for fact in hands.said(SleepMay)} == {"unbind:1"}


def test_the_svm_is_freed_in_the_handler_that_sends_the_put() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(DetachData)
    assert hands.said(SvmFreed) == []
    hands.answer(DetachData)
    assert hands.said(SvmFreed) == [SvmFreed(P, LIFE, 1)]
    assert hands.calls()[-1] == "PutPasid"
    assert hands.driver.pasid_mutex.holder == 1, "until the put has been answered"


def test_an_unbind_that_leaves_other_devices_tells_nobody() -> None:
    hands = bound("dsa0", "dsa1")
    hands.give(unbind_of("dsa1"))
    hands.settle()
    assert {to for to, _ in hands.sent} == {"dmar1", VFIO}
    assert hands.calls()[-2:] == ["DrainRequests", "Done"]
    assert list(hands.driver.svms[P].devices) == ["dsa0"]


def test_a_device_without_pri_is_not_drained() -> None:
    hands = bound("dsa2")
    hands.give(unbind_of("dsa2"))
    hands.settle(DetachSpid)
    assert hands.calls()[-2:] == ["ZeroEntry", "DetachSpid"]
    assert hands.said(DeviceTornDown) == [DeviceTornDown("dsa2", P, LIFE)]


@pytest.mark.parametrize(
    "unbind",
    [unbind_of("dsa1"), unbind_of(pasid=6), unbind_of("none"), unbind_of(vm="vm2")],
    ids=["device", "pasid", "unknown device", "another VM's (N10)"],
)
def test_unbinding_what_is_not_bound_is_done_and_changes_nothing(unbind: UnbindGpasid) -> None:
    hands = bound("dsa0")
    before = hands.state()
    hands.give(unbind)
    assert hands.sent == [(VFIO, Done(8))]
    assert hands.state() == before


@pytest.mark.parametrize("why", ["release", "rollback"])
def test_the_entry_is_told_why_vfio_unbinds(why: str) -> None:
    hands = bound("dsa0")
    hands.give(UnbindGpasid(8, "vm1", "dsa0", P, LIFE, why))
    assert hands.sent == [("dmar0", ClearPresent(1, "dsa0", P, LIFE, "vm1", why, fpd=False))]
    assert [fact.why for fact in hands.said(DeviceUnbound)] == [why]


def test_an_entry_that_is_gone_already_needs_no_flush_but_a_drain() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.answer(ClearPresent, Errno.ENOENT)
    hands.settle()
    assert hands.calls()[:3] == ["ClearPresent", "ReadPrq", "FlushFaults"]
    assert [fact.flush for fact in hands.said(FlushRequested)] == ["drain"]


def test_a_device_that_is_gone_does_not_stop_its_teardown() -> None:
    """S48."""
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(InvalidateDevTlb)
    hands.answer(InvalidateDevTlb, Errno.ETIMEDOUT)
    hands.settle()
    assert hands.got() == [Done(8)]
    assert hands.driver.svms == {}


# --- The drain ------------------------------------------------------------------------------------


def test_a_drain_waits_for_the_prq_thread_while_the_ring_holds_a_request_of_its_own() -> None:
    hands = bound("dsa0")
    hands.ring(request_of(), request_of(pasid=6))
    hands.give(unbind_of())
    hands.settle(TimerFired)
    assert hands.said(DrainScanned) == [DrainScanned("dsa0", P, LIFE, 1)]
    assert hands.calls()[-1] == "ReadPrq"
    hands.settle(FlushFaults)
    assert [fact.found for fact in hands.said(DrainScanned)] == [1, 0]
    assert hands.said(PageAnswered) == [
        PageAnswered("dsa0", P, LIFE, 1, 1, 0),
        PageAnswered("dsa0", 6, 60, 1, 1, 0),
    ]
    hands.settle()
    assert hands.got() == [Done(8)]


def test_a_drain_holds_the_mutex_while_it_waits_for_the_prq_thread() -> None:
    """The thread does not need it; whoever does has to wait."""
    hands = bound("dsa0")
    hands.ring(request_of())
    hands.give(unbind_of())
    hands.give(bind_of(pasid=6))
    hands.settle(TimerFired)
    assert hands.got() == []
    assert hands.driver.pasid_mutex.holder == 2
    hands.settle()
    assert hands.got() == [Done(7), Done(8)]


def test_a_drain_does_not_wait_for_requests_of_others() -> None:
    hands = bound("dsa0")
    hands.rings["dmar0"] = [request_of(pasid=6), request_of("dsa2")]
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    assert [fact.found for fact in hands.said(DrainScanned)] == [0]


def test_the_end_of_a_round_of_another_unit_ends_no_wait() -> None:
    hands = bound("dsa0")
    hands.ring(unit="dmar1")
    hands.ring(request_of())
    hands.give(unbind_of())
    hands.settle(TimerFired)
    hands.run_thread()
    hands.settle(TimerFired)
    assert hands.timers == ["prq:dmar0"]
    assert "FlushFaults" not in hands.calls()
    hands.settle()
    assert hands.got() == [Done(8)]


def test_a_drain_lets_go_of_the_mutex_only_for_flush_faults() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    hands.give(bind_of(pasid=6))
    hands.settle(FlushFaults)
    assert hands.got() == [Done(7)]
    hands.give(bind_of(pasid=7, call=10))
    hands.answer(FlushFaults)
    hands.settle()
    assert hands.got() == [Done(7), Done(10), Done(8)]
    order = [
        (type(fact), fact.task)
        for fact in hands.facts
        if isinstance(fact, LockTaken | LockReleased | LockWaited)
    ]
    assert order == [
        (LockTaken, "unbind:1"),
        (LockReleased, "unbind:1"),
        (LockTaken, "bind:2"),
        (LockReleased, "bind:2"),
        (LockTaken, "bind:2"),
        (LockWaited, "unbind:1"),
        (LockReleased, "bind:2"),
        (LockTaken, "unbind:1"),
        (LockReleased, "unbind:1"),
    ]


def test_unbinding_a_device_that_is_being_drained_is_done() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    hands.forget()
    hands.give(unbind_of(call=9))
    assert hands.sent == [(VFIO, Done(9))]
    hands.settle()
    assert hands.got() == [Done(9), Done(8)]


def test_whoever_tears_down_the_last_device_ends_the_svm() -> None:
    """Two unbinds at once: each sees the other's device until it has gone."""
    hands = bound("dsa0", "dsa1")
    hands.give(unbind_of("dsa0", call=1))
    hands.settle(FlushFaults)
    hands.give(unbind_of("dsa1", call=2))
    hands.settle(FlushFaults)
    hands.answer(FlushFaults)
    hands.settle(FlushFaults)
    assert hands.got() == [Done(1)]
    assert "DetachSpid" not in hands.calls()
    hands.settle()
    assert hands.got() == [Done(1), Done(2)]
    assert hands.calls().count("DetachSpid") == 1
    assert hands.driver.svms == {}


def test_what_was_reported_and_not_answered_is_answered_invalid_by_the_drain() -> None:
    """S34c: a consumer that never answers."""
    hands = bound("dsa0")
    hands.ring(request_of(group=2), request_of(group=1))
    hands.settle()
    hands.forget()
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    assert hands.said(PageAnswered) == []
    hands.answer(FlushFaults)
    assert hands.said(PageAnswered) == [
        PageAnswered("dsa0", P, LIFE, 1, 1, 0),
        PageAnswered("dsa0", P, LIFE, 2, 1, 0),
    ]
    answers = [one for _, one in hands.sent if isinstance(one, PageGroupResponse)]
    assert [(one.group, one.code) for one in answers] == [
        (1, ResponseCode.INVALID),
        (2, ResponseCode.INVALID),
    ]
    assert hands.calls()[-1] == "DrainRequests", "so that they have arrived when it is complete"


def test_a_drain_that_overflowed_is_done_again_after_a_round() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(DrainRequests)
    hands.ring()
    hands.answer(DrainRequests, DrainRequestsGot(1, overflow=True))
    assert hands.calls().count("DrainRequests") == 1
    hands.settle(DrainRequests)
    assert hands.calls().count("DrainRequests") == 2
    hands.settle()
    assert hands.got() == [Done(8)]
    assert [fact.flush for fact in hands.said(FlushRequested)][-2:] == ["drain", "drain"]


def test_a_drain_that_overflowed_is_done_again_at_once_when_no_round_is_under_way() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(DrainRequests)
    hands.answer(DrainRequests, DrainRequestsGot(1, overflow=True))
    assert hands.calls()[-1] == "DrainRequests"
    hands.settle()
    assert hands.got() == [Done(8)]


# --- Seams ----------------------------------------------------------------------------------------


class OneUnit(IommuDriver):
    """S27: the unit of the svm's first device for all of them."""

    def unit_of(self, svm: Svm, device: Name) -> Name:
        return self.units[next(iter(svm.devices), device)]


class NoDrain(IommuDriver):
    """S12."""

    def begin_drain(self, task: Operation, out: Out) -> None:
        self.torn_down(task, out)


class AnyoneUnbinds(IommuDriver):
    """N10: as posted, unbind was not told whose PASID it is."""

    def may_unbind(self, _svm: Svm, _request: UnbindGpasid) -> bool:
        return True


class Deaf(IommuDriver):
    """A handler is overridden like a step."""

    def on_unbind_gpasid(self, _request: UnbindGpasid, _sender: Name, _out: Out) -> None:
        """Nobody is answered."""


def test_an_entry_is_cleared_in_the_name_of_whoever_asked() -> None:
    """Else the history could not say that one VM undid the bind of another (N17)."""
    state = bound("dsa0").driver
    fields = {name: getattr(state, name) for name in IommuDriver.__slots__}
    out = step(AnyoneUnbinds(**fields), unbind_of(vm="vm2"), VFIO, name=IOMMU)
    clear = next(effect.message for effect in sent(out) if isinstance(effect, Send))
    assert isinstance(clear, ClearPresent)
    assert clear.vm == "vm2"


def test_a_subclass_changes_one_step_by_overriding_one_method() -> None:
    """What `defects` and `revisions` live on."""
    state = bound("dsa0", "dsa1").driver
    fields = {name: getattr(state, name) for name in IommuDriver.__slots__}
    one_unit = step(OneUnit(**fields), unbind_of("dsa1"), VFIO, name=IOMMU)
    assert [effect.to for effect in one_unit.effects if hasattr(effect, "to")] == ["dmar0"]

    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(ZeroEntry)
    fields = {name: getattr(hands.driver, name) for name in IommuDriver.__slots__}
    out = step(NoDrain(**fields), Done(1), "dmar0", name=IOMMU)
    assert DeviceTornDown("dsa0", P, LIFE) in out.facts
    assert step(Deaf(**fields), unbind_of(), VFIO, name=IOMMU).effects == []
