"""The core as posted: its lock is held until a chain has run."""

from actors.ioasid_core.under_lock import LOCK, IoasidCoreUnderLock
from actors.ioasid_core.under_mutex import IoasidCoreUnderMutex
from protocol.errors import Errno
from protocol.facts import (
    FreeAnswered,
    LockReleased,
    LockTaken,
    LockWaited,
    PasidReclaimed,
    SubscriberCalled,
)
from protocol.messages import (
    AllocPasid,
    AllocPasidGot,
    AllocSet,
    AttachData,
    AttachSpid,
    DetachData,
    Done,
    FindPasid,
    FindPasidGot,
    FreeAllInSet,
    FreePasid,
    GetPasid,
    HostLost,
    Priority,
    PutPasid,
    PutPasidGot,
    QueueWork,
    Refused,
    RegisterNotifier,
    RegisterNotifierMm,
)
from protocol.names import (
    CORE,
    INVALID_PASID,
    IOMMU,
    NO_SET,
    SUPERVISOR,
    VFIO,
    WORKQUEUE,
)
from tests.actors.core_hands import (
    ANY,
    KVM,
    MACHINE,
    VDCM,
    attach,
    called,
    facts,
    free,
    get,
    hand,
    names,
    pairs,
    put,
    replies,
    reply,
)


def heard() -> IoasidCoreUnderLock:
    """VT-d on the global chain, VDCM and KVM on set 1's; PASIDs 1 and 2 of vm1, ACTIVE."""
    core = IoasidCoreUnderLock.of(MACHINE, CORE)
    hand(core, RegisterNotifier(1, NO_SET, Priority.LAST), IOMMU)
    hand(core, RegisterNotifierMm(1, "vm1", Priority.DEVICE), VDCM)
    hand(core, RegisterNotifierMm(1, "vm1", Priority.CPU), KVM)
    hand(core, AllocSet(1, "vm1", 4))
    for pasid in (1, 2):
        replies(core, hand(core, AllocPasid(1, 1, *ANY)))
        hand(core, GetPasid(9, NO_SET, pasid, pasid, "svm"), IOMMU)
    return core


def test_free_is_answered_when_its_chain_has_run() -> None:
    core = heard()
    first = free(core)
    assert facts(first, FreeAnswered) == []
    assert facts(first, LockTaken) == [LockTaken(LOCK, "spinlock", "vfio/5")]
    *_, last = replies(core, first)
    assert facts(last, FreeAnswered) == [FreeAnswered(1, 1, VFIO)]
    assert facts(last, LockReleased) == [LockReleased(LOCK, "spinlock", "vfio/5")]
    assert pairs(last) == [(VFIO, Done(5))]


def test_the_lock_is_held_when_the_first_subscriber_is_called() -> None:
    kinds = [type(fact) for fact in free(heard()).facts]
    assert kinds.index(LockTaken) < kinds.index(SubscriberCalled)


def test_what_tells_nobody_anything_is_answered_in_the_call() -> None:
    core = IoasidCoreUnderLock.of(MACHINE, CORE)
    hand(core, AllocSet(1, "vm1", 4))
    assert pairs(hand(core, AllocPasid(1, 1, *ANY))) == [(VFIO, AllocPasidGot(1, 1, 1))]
    idle = free(core)
    assert (pairs(idle), facts(idle, FreeAnswered)) == (
        [(VFIO, Done(5))],
        [FreeAnswered(1, 1, VFIO)],
    )
    assert pairs(free(core)) == [(VFIO, Done(5))], "unknown"
    none = hand(core, AllocPasid(2, 7, *ANY))
    assert pairs(none) == [(VFIO, Refused(2, Errno.ENOSPC))]
    assert facts(none, LockTaken) == []


def test_alloc_too_is_answered_after_its_chain() -> None:
    core = heard()
    first = hand(core, AllocPasid(7, 1, *ANY))
    assert names(first) == [(KVM, "NotifyAlloc")]
    *_, last = replies(core, first)
    assert pairs(last) == [(VFIO, AllocPasidGot(7, 3, 3))]


def test_the_global_chain_is_run_before_the_sets_whatever_the_priorities_say() -> None:
    core = heard()
    order = [to for out in replies(core, free(core)) for to, _ in names(out)]
    assert order == [IOMMU, KVM, VDCM]


def test_bind_is_told_in_the_order_of_all_others() -> None:
    core = heard()
    assert [to for out in replies(core, attach(core)) for to, _ in names(out)] == [KVM, VDCM]


def test_callers_wait_in_order_and_are_served_when_the_chain_has_run() -> None:
    core = heard()
    chain = attach(core)
    waits = hand(core, GetPasid(3, 1, 2, 2, "check"), VFIO)
    assert (pairs(waits), waits.facts) == ([], [LockWaited(LOCK, "spinlock", "vfio/3")])
    assert pairs(hand(core, PutPasid(4, 2, 2, "check"), VFIO)) == []
    *_, last = replies(core, chain)
    assert pairs(last) == [
        (IOMMU, Done(6)),
        (VFIO, Done(3)),
        (VFIO, PutPasidGot(4, reclaimed=False)),
    ]
    locks = [fact for fact in last.facts if isinstance(fact, LockTaken | LockReleased)]
    assert [(type(fact), fact.task) for fact in locks] == [
        (LockReleased, "iommu/6"),
        (LockTaken, "vfio/3"),
        (LockReleased, "vfio/3"),
        (LockTaken, "vfio/4"),
        (LockReleased, "vfio/4"),
    ]


def test_the_first_in_line_with_a_chain_of_its_own_keeps_the_others_waiting() -> None:
    core = heard()
    chain = attach(core)
    hand(core, FreePasid(5, 1, 2, 2))
    get(core, "more")
    second = reply(core, reply(core, chain))
    assert names(second) == [(IOMMU, "NotifyFree")]
    assert (core.holder, len(core.waiting)) == ("vfio/5", 1)
    *_, last = replies(core, second)
    assert pairs(last) == [(VFIO, Done(5)), (IOMMU, Done(9))]


def test_the_handler_that_runs_gets_and_puts_without_waiting() -> None:
    core = heard()
    chain = attach(core)
    assert names(chain) == [(KVM, "NotifyBind")]
    assert pairs(get(core, "translation", KVM)) == [(KVM, Done(9))]
    assert pairs(put(core, "translation", KVM)) == [(KVM, PutPasidGot(9, reclaimed=False))]


def test_it_waits_like_anybody_for_another_pasid_and_so_does_who_is_not_called() -> None:
    core = heard()
    attach(core)
    assert pairs(hand(core, GetPasid(9, 1, 2, 2, "translation"), KVM)) == []
    assert pairs(get(core, "swq", VDCM)) == []
    assert [one.caller for one in core.waiting] == [KVM, VDCM]


def test_find_and_queue_work_take_no_lock() -> None:
    core = heard()
    free(core)
    assert pairs(hand(core, FindPasid(3, NO_SET, 1), IOMMU)) == [(IOMMU, FindPasidGot(3, 0))]
    work = hand(core, QueueWork("teardown:1", 1, 1), IOMMU)
    assert pairs(work) == [(WORKQUEUE, QueueWork("teardown:1", 1, 1, IOMMU))]


def test_under_a_mutex_the_handler_takes_its_data_away_and_the_spid_goes_with_the_pasid() -> None:
    """v1: the handler tears down by itself, and there is no UNBIND from inside a chain."""
    core = IoasidCoreUnderMutex.of(MACHINE, CORE)
    hand(core, RegisterNotifier(1, NO_SET, Priority.LAST), IOMMU)
    hand(core, AllocSet(1, "vm1", 4))
    hand(core, AllocPasid(1, 1, *ANY))
    get(core, "svm")
    attach(core)
    hand(core, AttachData(7, 1, 1, 5), IOMMU)
    freed = free(core)
    assert [fact.kind for fact in facts(freed, LockTaken)] == ["mutex"]
    assert pairs(hand(core, DetachData(8, 1, 1), VFIO)) == []
    assert pairs(hand(core, DetachData(8, 1, 1), IOMMU)) == [(IOMMU, Done(8))]
    last = put(core, "svm")
    assert [(fact.spid, fact.data) for fact in facts(last, PasidReclaimed)] == [(INVALID_PASID, 0)]
    assert pairs(reply(core, freed))[0] == (VFIO, Done(5))


def test_a_whole_set_is_freed_one_pasid_after_the_other() -> None:
    core = heard()
    outs = replies(core, hand(core, FreeAllInSet(8, 1)))
    told = [(to, message.pasid) for out in outs for to, message in called(out)]
    assert told == [(IOMMU, 1), (KVM, 1), (VDCM, 1), (IOMMU, 2), (KVM, 2), (VDCM, 2)]
    assert pairs(outs[-1]) == [(VFIO, Done(8))]
    assert [fact.pasid for fact in facts(outs[-1], FreeAnswered)] == [1, 2]


def test_an_empty_set_is_freed_at_once() -> None:
    core = heard()
    hand(core, AllocSet(2, "vm2", 1))
    assert pairs(hand(core, FreeAllInSet(8, 2))) == [(VFIO, Done(8))]
    assert core.holder == ""


def test_who_is_lost_ends_its_part_of_the_chain_and_waits_no_more() -> None:
    core = heard()
    chain = free(core)
    reply(core, chain)  # Now KVM has it.
    hand(core, GetPasid(2, 1, 2, 2, "swq"), VDCM)
    hand(core, HostLost(VDCM), SUPERVISOR)
    assert core.waiting == []
    last = hand(core, HostLost(KVM), SUPERVISOR)
    assert pairs(last) == [(VFIO, Done(5))]


def test_afterwards_nothing_is_left_of_it() -> None:
    """Equal situations are equal states, or a search would never end."""
    core = heard()
    before = (core.holder, core.caller, core.waiting, core.replies, core.returning, core.left)
    replies(core, hand(core, AttachSpid(6, 1, 1, 33), IOMMU))
    replies(core, free(core))
    after = (core.holder, core.caller, core.waiting, core.replies, core.returning, core.left)
    assert after == before == ("", "", [], [], [], [])
