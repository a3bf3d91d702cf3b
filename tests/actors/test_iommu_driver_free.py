from protocol.errors import Errno
from protocol.facts import (
    DeviceUnbound,
    LockReleased,
    LockTaken,
    LockWaited,
    MemoryUsed,
    NotificationAnswered,
    NotificationHandled,
    SleepMay,
    SvmFreed,
    WorkBegun,
    WorkEnded,
    WorkQueued,
)
from protocol.messages import (
    AttachSpid,
    ClearPresent,
    DetachData,
    DetachDomain,
    DetachSpid,
    Done,
    FlushFaults,
    NotifyReply,
    PutPasid,
    QueueWork,
    Refused,
    Verdict,
    WorkDone,
    WriteEntry,
)
from protocol.names import CORE, VFIO, WORKQUEUE
from tests.actors.iommu_driver_hands import (
    LIFE,
    P,
    bind_of,
    bound,
    free_of,
    fresh,
    run_of,
    unbind_of,
)

WORK = f"teardown:{P}"


def test_free_of_a_bound_pasid_only_queues_the_work() -> None:
    """An atomic handler may not sleep, so it may neither drain nor take the mutex."""
    hands = bound("dsa0")
    hands.give(free_of(), CORE)
    assert hands.sent == [
        (CORE, QueueWork(WORK, P, LIFE)),
        (CORE, NotifyReply(3, Verdict.OK)),
    ]
    assert hands.facts == [
        NotificationHandled("FREE", P, LIFE, "notify:3"),
        MemoryUsed("svm", "svm1"),
        WorkQueued(WORK, P, LIFE),
        NotificationAnswered("FREE", P, LIFE, "notify:3", "OK"),
    ]


def test_free_of_what_is_not_bound_is_done() -> None:
    hands = bound("dsa0")
    before = hands.state()
    hands.give(free_of(6), CORE)
    assert hands.sent == [(CORE, NotifyReply(3, Verdict.DONE))]
    assert hands.state() == before


def test_the_work_is_queued_once() -> None:
    hands = bound("dsa0")
    hands.give(free_of(), CORE)
    hands.give(free_of(call=4), CORE)
    assert hands.calls() == ["QueueWork", "NotifyReply", "NotifyReply"]
    assert len(hands.said(WorkQueued)) == 1


def test_the_work_tears_down_every_device_then_ends_the_svm() -> None:
    hands = bound("dsa1", "dsa0", "dsa2")
    hands.free()
    hands.settle()
    cleared = [message for _, message in hands.sent if isinstance(message, ClearPresent)]
    assert [(clear.device, clear.why, clear.fpd) for clear in cleared] == [
        ("dsa0", "free", True),
        ("dsa1", "free", True),
        ("dsa2", "free", True),
    ]
    assert hands.calls()[-4:] == ["DetachSpid", "DetachData", "PutPasid", "WorkDone"]
    assert hands.calls().count("DetachSpid") == 1
    assert [fact.task for fact in hands.said(DeviceUnbound)] == ["teardown:1"] * 3
    assert hands.state() == fresh().state()


def test_the_facts_of_the_work_come_before_its_put() -> None:
    hands = bound("dsa0")
    hands.free()
    assert hands.said(WorkBegun) == [WorkBegun(WORK, P, LIFE)]
    hands.settle(PutPasid)
    assert hands.said(WorkEnded) == [WorkEnded(WORK, P, LIFE)]
    assert hands.said(SvmFreed) == [SvmFreed(P, LIFE, 1)]
    assert "WorkDone" not in hands.calls()
    hands.answer(PutPasid)
    assert hands.sent[-1] == (WORKQUEUE, WorkDone(WORK))
    assert "rcu" in [fact.where for fact in hands.said(SleepMay)]


def test_the_work_waits_for_the_mutex() -> None:
    hands = bound("dsa0")
    hands.give(bind_of("dsa1"))
    hands.settle(WriteEntry)
    hands.free()
    assert hands.said(LockWaited) == [LockWaited("pasid_mutex", "mutex", "teardown:2")]
    hands.settle()
    assert [fact.device for fact in hands.said(DeviceUnbound)] == ["dsa0", "dsa1"]
    assert hands.driver.svms == {}


def test_unbinding_while_the_work_is_queued_is_done_at_once() -> None:
    hands = bound("dsa0")
    hands.give(free_of(), CORE)
    hands.forget()
    hands.give(unbind_of())
    assert hands.sent == [(VFIO, Done(8))]
    hands.give(run_of(), WORKQUEUE)
    hands.settle()
    assert hands.driver.svms == {}


def test_unbinding_while_the_work_drains_is_done_and_the_domain_waits() -> None:
    hands = bound("dsa0", "dsa1")
    hands.free()
    hands.settle(FlushFaults)
    for call, device in enumerate(("dsa0", "dsa1"), start=1):
        hands.give(unbind_of(device, call=call))
    assert hands.got() == [Done(1), Done(2)]
    hands.give(DetachDomain(3, "vm1", "dsa1"))
    hands.settle()
    assert hands.got() == [Done(1), Done(2), Done(3)]
    names = hands.calls()
    assert names.index("DetachSpid") > names.index("Done")


def test_err_binding_while_the_work_drains_is_refused() -> None:
    hands = bound("dsa0")
    hands.free()
    hands.settle(FlushFaults)
    hands.give(bind_of("dsa0", call=1))
    hands.give(bind_of("dsa1", call=2))
    hands.settle(FlushFaults)
    assert hands.got() == [Refused(1, Errno.EBUSY), Refused(2, Errno.EINVAL)]


def test_the_work_waits_for_a_device_that_an_unbind_is_draining() -> None:
    """It holds no mutex meanwhile, because the unbind needs it to come to an end."""
    hands = bound("dsa0", "dsa1")
    hands.give(unbind_of("dsa1"))
    hands.settle(FlushFaults)
    unbinding = hands.open.pop()
    hands.free()
    hands.settle()
    assert "DetachSpid" not in hands.calls()
    assert hands.driver.pasid_mutex.holder is None
    assert list(hands.driver.svms[P].devices) == ["dsa1"]

    hands.open.append(unbinding)
    hands.settle(DetachSpid)
    assert hands.got() == [Done(8)], "the unbind leaves the svm to the work"
    hands.settle()
    assert hands.calls()[-4:] == ["DetachSpid", "DetachData", "PutPasid", "WorkDone"]
    assert hands.state() == fresh().state()


def test_an_unbind_of_the_last_device_leaves_the_svm_to_a_work_that_was_queued_meanwhile() -> None:
    """S10b: as posted it put, and the work met the next owner of the number."""
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    hands.give(free_of(), CORE)
    hands.settle()
    assert hands.got() == [Done(8)]
    assert P in hands.driver.svms
    assert "PutPasid" not in hands.calls()

    hands.forget()
    hands.give(run_of(), WORKQUEUE)
    hands.settle()
    assert hands.calls() == ["DetachSpid", "DetachData", "PutPasid", "WorkDone"]
    assert hands.said(DeviceUnbound) == []


def test_an_unbind_stops_at_whatever_step_of_the_end_the_work_was_queued() -> None:
    for held, left in (
        (DetachSpid, ["DetachData", "PutPasid", "WorkDone"]),
        (DetachData, ["PutPasid", "WorkDone"]),
    ):
        hands = bound("dsa0")
        hands.give(unbind_of())
        hands.settle(held)
        hands.give(free_of(), CORE)
        hands.settle()
        assert hands.got() == [Done(8)]
        hands.forget()
        hands.give(run_of(), WORKQUEUE)
        hands.settle()
        assert hands.calls() == left
        assert hands.state() == fresh().state()


def test_free_behind_the_put_of_an_unbind_finds_nothing_to_do() -> None:
    hands = bound("dsa0")
    hands.give(unbind_of())
    hands.settle(PutPasid)
    hands.give(free_of(), CORE)
    assert hands.sent[-1] == (CORE, NotifyReply(3, Verdict.DONE))


def test_free_during_the_first_bind_lets_it_finish_and_tears_down_after_it() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(WriteEntry)
    hands.free()
    hands.settle()
    assert hands.got() == [Done(7)]
    assert hands.calls()[-4:] == ["DetachSpid", "DetachData", "PutPasid", "WorkDone"]
    assert hands.state() == fresh().state()


def test_the_work_waits_for_a_rollback_that_is_draining() -> None:
    hands = fresh()
    hands.give(bind_of())
    hands.settle(AttachSpid)
    hands.give(free_of(), CORE)
    hands.answer(AttachSpid, Errno.ENOMEM)
    hands.settle(FlushFaults)
    draining = hands.open.pop()
    hands.give(run_of(), WORKQUEUE)
    hands.settle()
    assert hands.driver.pasid_mutex.holder is None
    hands.open.append(draining)
    hands.settle()
    assert hands.got() == [Refused(7, Errno.ENOMEM)]
    assert hands.calls()[-4:] == ["DetachSpid", "DetachData", "PutPasid", "WorkDone"]
    assert hands.state() == fresh().state()


def test_a_work_whose_svm_is_gone_does_nothing() -> None:
    """It cannot be in the sound protocol; in a defect it can."""
    hands = fresh()
    hands.give(run_of(), WORKQUEUE)
    assert hands.sent == [(WORKQUEUE, WorkDone(WORK))]
    assert hands.facts == [
        WorkBegun(WORK, P, LIFE),
        LockTaken("pasid_mutex", "mutex", "teardown:1"),
        WorkEnded(WORK, P, LIFE),
        LockReleased("pasid_mutex", "mutex", "teardown:1"),
    ]


def test_the_works_of_two_pasids_leave_each_other_alone() -> None:
    hands = bound("dsa0")
    hands.give(bind_of(pasid=6))
    hands.settle()
    hands.give(unbind_of())
    hands.settle(FlushFaults)
    hands.give(free_of(), CORE)
    draining = hands.open.pop()
    hands.give(run_of(), WORKQUEUE)
    hands.free(6)
    hands.settle()
    assert list(hands.driver.svms) == [P]
    hands.open.append(draining)
    hands.settle()
    assert hands.state() == fresh().state()
    assert [message for _, message in hands.sent if isinstance(message, WorkDone)] == [
        WorkDone("teardown:6"),
        WorkDone(WORK),
    ]
