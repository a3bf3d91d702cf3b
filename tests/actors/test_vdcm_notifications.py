"""VDCM: BIND, UNBIND and FREE, and the works that they make."""

import pytest

from actors.vdcm import Inbox
from actors.vdcm.state import WorkState
from protocol.effects import SetTimer
from protocol.errors import Errno
from protocol.facts import (
    MemoryAllocated,
    MemoryFreed,
    MemoryUsed,
    NotificationAnswered,
    NotificationHandled,
    SleepMay,
    SlotCleared,
    SlotProgrammed,
    WorkBegun,
    WorkEnded,
    WorkQueued,
)
from protocol.messages import (
    DisableVwq,
    DisableWq,
    Done,
    DrainPasid,
    EnableVwq,
    GetPasid,
    HostLost,
    NotifyAlloc,
    NotifyReply,
    PutPasidGot,
    QueueWork,
    Refused,
    TimerFired,
    Verdict,
    WorkDone,
    WriteIms,
)
from protocol.names import CORE, SUPERVISOR, WORKQUEUE
from tests.actors.vdcm_hands import (
    BAD,
    DONE,
    DSA,
    GOT,
    GUEST,
    OK,
    bind_of,
    entitled,
    facts,
    found,
    free_of,
    hand,
    opened,
    pairs,
    program,
    programmed,
    put_of,
    run,
    run_of,
    take,
    unbind_of,
)
from tests.helpers import Failing

NO_MEMORY = Failing("vdcm.queue.nomem")
GET = GetPasid(1, 3, 7, 70, "vm1:swq")
SWQ = "vm1:swq:7"
WQ = "vm1:wq:7"
QUEUED_SWQ = (CORE, QueueWork(SWQ, 7, 70))
QUEUED_WQ = (CORE, QueueWork(WQ, 7, 70))


# --- BIND -----------------------------------------------------------------------------------------


def test_bind_takes_a_reference_as_the_right_to_submit() -> None:
    vdcm = opened("shared")
    out = take(vdcm, bind_of(7))
    assert pairs(out) == [(CORE, GET)]
    assert out.facts == [NotificationHandled("BIND", 7, 70, "notify:1")]
    assert facts(vdcm, Done(1)) == [
        SlotProgrammed("vm1", DSA, "swq", 7, 70),
        NotificationAnswered("BIND", 7, 70, "notify:1", "OK"),
    ]
    assert vdcm == entitled(7)


def test_err_bind_without_a_reference_is_bad() -> None:
    vdcm = opened("shared")
    hand(vdcm, bind_of(7))
    assert hand(vdcm, Refused(1, Errno.EBUSY)) == [BAD]
    assert vdcm == opened("shared")


def test_bind_gives_no_right_on_a_dedicated_wq_or_a_closed_virtual_device() -> None:
    assert hand(opened("dedicated"), bind_of(7)) == [DONE]
    assert hand(opened("shared", "vm2"), bind_of(7)) == [DONE]


def test_binds_of_several_pasids_may_be_under_way_at_once() -> None:
    vdcm = opened("shared")
    hand(vdcm, bind_of(7))
    hand(vdcm, bind_of(8, 5, call=2))
    assert hand(vdcm, Done(2)) == [(CORE, NotifyReply(2, Verdict.OK))]
    assert hand(vdcm, Done(1)) == [OK]


def test_alloc_is_not_the_vdcms() -> None:
    assert hand(opened("shared"), NotifyAlloc(1, 7, 70)) == [DONE]


# --- FREE and UNBIND ------------------------------------------------------------------------------


def test_free_queues_a_work_for_each_slot_and_returns() -> None:
    vdcm = programmed("wq")
    program(vdcm, "ims")
    out = take(vdcm, free_of(7))
    assert pairs(out) == [
        (CORE, QueueWork("vm1:ims:7", 7, 70)),
        QUEUED_WQ,
        OK,
    ]
    assert out.facts[:3] == [
        NotificationHandled("FREE", 7, 70, "notify:1"),
        MemoryAllocated("work", "vdcm.dsa0/vm1:ims:7"),
        WorkQueued("vm1:ims:7", 7, 70),
    ]
    assert out.facts[-1] == NotificationAnswered("FREE", 7, 70, "notify:1", "OK")


def test_unbind_concerns_the_right_to_submit_only() -> None:
    assert hand(programmed("wq"), unbind_of(7)) == [DONE]
    assert hand(entitled(7), unbind_of(7)) == [QUEUED_SWQ, OK]


@pytest.mark.parametrize("notification", [free_of(8), unbind_of(8), free_of(7, vm="vm2")])
def test_a_pasid_that_is_in_no_slot_of_the_vm_is_not_the_vdcms(notification: Inbox) -> None:
    vdcm = entitled(7)
    assert hand(vdcm, notification) == [DONE]
    assert vdcm == entitled(7)


def test_the_work_of_a_wq_disables_with_abort_then_puts() -> None:
    vdcm = programmed("wq")
    hand(vdcm, free_of(7))
    out = take(vdcm, run_of("wq"), WORKQUEUE)
    assert pairs(out) == [(DSA, DisableWq(1, "vm1", abort=True))]
    assert out.facts == [
        MemoryUsed("work", "vdcm.dsa0/vm1:wq:7"),
        WorkBegun(WQ, 7, 70),
        SleepMay("work:vm1:wq:7", "drain"),
    ]
    out = take(vdcm, Done(1), DSA)
    assert pairs(out) == [(CORE, put_of("wq"))]
    assert out.facts == [SlotCleared("vm1", DSA, "wq", 7, 70), WorkEnded(WQ, 7, 70)]
    out = take(vdcm, GOT)
    assert pairs(out) == [(WORKQUEUE, WorkDone(WQ))]
    assert out.facts == [MemoryFreed("work", "vdcm.dsa0/vm1:wq:7")]
    assert vdcm == opened()


def test_the_work_of_an_interrupt_entry_clears_it() -> None:
    vdcm = programmed("ims")
    hand(vdcm, free_of(7))
    assert run(vdcm, "ims") == [(DSA, WriteIms(1, "vm1", 0, 0))]


@pytest.mark.parametrize(("notification", "abort"), [(free_of(7), True), (unbind_of(7), False)])
def test_the_work_of_a_right_drains_the_host_pasid(notification: Inbox, abort: bool) -> None:
    vdcm = entitled(7)
    hand(vdcm, notification)
    assert run(vdcm, "swq") == [(DSA, DrainPasid(1, 7, 70, abort))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("swq"))]
    assert hand(vdcm, GOT) == [(WORKQUEUE, WorkDone(SWQ))]
    assert vdcm == opened("shared")


def test_free_after_unbind_makes_the_queued_work_abort() -> None:
    vdcm = entitled(7)
    hand(vdcm, unbind_of(7))
    assert hand(vdcm, free_of(7)) == [OK]
    assert hand(vdcm, unbind_of(7)) == [OK]
    assert run(vdcm, "swq") == [(DSA, DrainPasid(1, 7, 70, abort=True))]
    assert hand(vdcm, run_of("swq"), WORKQUEUE) == []


def test_on_a_lost_device_a_work_only_puts() -> None:
    vdcm = entitled(7)
    hand(vdcm, HostLost(DSA), SUPERVISOR)
    hand(vdcm, free_of(7))
    assert run(vdcm, "swq") == [(CORE, put_of("swq"))]


# --- Works that come too late, or have to wait ----------------------------------------------------


def test_a_work_whose_slot_the_guest_has_cleared_finds_nothing() -> None:
    vdcm = programmed("wq")
    hand(vdcm, free_of(7))
    hand(vdcm, DisableVwq(8), GUEST)
    assert facts(vdcm, Done(1), DSA) == [
        SlotCleared("vm1", DSA, "wq", 7, 70),
        WorkEnded(WQ, 7, 70),
    ]
    hand(vdcm, GOT)
    assert run(vdcm, "wq") == [(WORKQUEUE, WorkDone(WQ))]
    assert run(vdcm, "wq") == []
    assert vdcm == opened()


def test_a_late_work_leaves_the_next_life_in_the_slot_alone() -> None:
    vdcm = programmed("wq")
    hand(vdcm, free_of(7))
    hand(vdcm, DisableVwq(8), GUEST)
    hand(vdcm, Done(1), DSA)
    hand(vdcm, GOT)
    program(vdcm, "wq", life=1)
    assert run(vdcm, "wq") == [(WORKQUEUE, WorkDone(WQ))]
    assert vdcm == programmed("wq", life=1)


def test_a_slot_that_dies_again_before_the_late_work_has_its_turn_for_it() -> None:
    vdcm = programmed("wq")
    hand(vdcm, free_of(7))
    hand(vdcm, DisableVwq(8), GUEST)
    hand(vdcm, Done(1), DSA)
    hand(vdcm, GOT)
    program(vdcm, "wq", life=1)
    out = take(vdcm, free_of(7))
    assert pairs(out) == [OK]
    assert out.facts[1] == WorkQueued(WQ, 7, 71)
    assert run(vdcm, "wq") == [(DSA, DisableWq(1, "vm1", abort=True))]


def test_a_work_waits_for_programming_under_way() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    hand(vdcm, found(7))
    assert hand(vdcm, free_of(7)) == [QUEUED_WQ, OK]
    assert run(vdcm, "wq") == []
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8)), (DSA, DisableWq(2, "vm1", abort=True))]


def test_a_work_is_over_when_the_device_refuses_what_was_to_be_programmed() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    hand(vdcm, found(7))
    hand(vdcm, free_of(7))
    run(vdcm, "wq")
    assert WorkEnded(WQ, 7, 70) in facts(vdcm, Refused(1, Errno.EBUSY), DSA)
    assert hand(vdcm, GOT) == [(GUEST, Refused(8, Errno.EBUSY)), (WORKQUEUE, WorkDone(WQ))]
    assert vdcm == opened()


def test_a_work_behind_a_disable_that_waits_for_the_guest_aborts_it() -> None:
    vdcm = programmed("wq")
    hand(vdcm, DisableVwq(8), GUEST)
    hand(vdcm, free_of(7))
    assert run(vdcm, "wq") == [(DSA, DisableWq(3, "vm1", abort=True))]
    assert hand(vdcm, Done(1), DSA) == []
    assert hand(vdcm, Done(3), DSA) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(GUEST, Done(8)), (WORKQUEUE, WorkDone(WQ))]
    assert vdcm == opened()


# --- Bound again ----------------------------------------------------------------------------------


def test_bound_again_before_the_work_of_unbind_the_right_never_went() -> None:
    vdcm = entitled(7)
    hand(vdcm, unbind_of(7))
    out = take(vdcm, bind_of(7))
    assert pairs(out) == [OK]
    assert out.facts[1] == WorkEnded(SWQ, 7, 70)
    assert hand(vdcm, bind_of(7)) == [OK]
    assert run(vdcm, "swq") == [(WORKQUEUE, WorkDone(SWQ))]
    assert vdcm == entitled(7)


def test_freed_after_it_was_bound_again_the_old_place_in_the_queue_serves() -> None:
    """A new place would be behind the driver's work, and DMA would go on meanwhile (O1)."""
    vdcm = entitled(7)
    hand(vdcm, unbind_of(7))
    hand(vdcm, bind_of(7))
    assert hand(vdcm, free_of(7)) == [OK]
    assert run(vdcm, "swq") == [(DSA, DrainPasid(1, 7, 70, abort=True))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("swq"))]
    assert hand(vdcm, GOT) == [(WORKQUEUE, WorkDone(SWQ))]


def test_freed_while_the_old_work_is_in_line_it_clears_what_came_into_the_slot() -> None:
    vdcm = programmed("wq")
    hand(vdcm, DisableVwq(8), GUEST)
    hand(vdcm, EnableVwq(9, 4), GUEST)
    hand(vdcm, free_of(7))
    assert run(vdcm, "wq") == [(DSA, DisableWq(4, "vm1", abort=True))]
    hand(vdcm, Done(1), DSA)
    hand(vdcm, Done(4), DSA)
    hand(vdcm, GOT)
    hand(vdcm, found(7, call=2, life=1))
    stated = facts(vdcm, free_of(7))
    assert [WorkQueued(WQ, 7, 71), WorkBegun(WQ, 7, 71)] == stated[1:3]
    sent = hand(vdcm, Done(2), DSA)
    assert sent == [(GUEST, Done(9)), (DSA, DisableWq(3, "vm1", abort=True))]


def test_bound_again_while_the_work_drains_bind_hurries_and_takes_a_new_reference() -> None:
    """Not before the abort is over: it would hit what is submitted after the bind."""
    vdcm = entitled(7)
    hand(vdcm, unbind_of(7))
    run(vdcm, "swq")
    assert hand(vdcm, bind_of(7)) == [(DSA, DrainPasid(3, 7, 70, abort=True))]
    assert hand(vdcm, Done(1), DSA) == []
    assert hand(vdcm, Done(3), DSA) == [(CORE, put_of("swq"))]
    assert hand(vdcm, GOT) == [
        (WORKQUEUE, WorkDone(SWQ)),
        (CORE, GetPasid(2, 3, 7, 70, "vm1:swq")),
    ]
    assert hand(vdcm, Done(2)) == [OK]
    assert vdcm == entitled(7)


# --- Without memory for the work ------------------------------------------------------------------


def test_a_work_that_cannot_be_queued_is_tried_again_until_it_is() -> None:
    vdcm = programmed("wq")
    out = take(vdcm, free_of(7), CORE, NO_MEMORY)
    assert out.effects[0] == SetTimer(WQ)
    assert len(out.effects) == 2
    assert out.facts[-1] == NotificationAnswered("FREE", 7, 70, "notify:1", "OK")
    assert take(vdcm, TimerFired(WQ), SUPERVISOR, NO_MEMORY).effects == [SetTimer(WQ)]
    assert hand(vdcm, TimerFired(WQ), SUPERVISOR) == [QUEUED_WQ]
    assert hand(vdcm, TimerFired(WQ), SUPERVISOR) == []
    assert vdcm.works[WQ].state is WorkState.QUEUED


def test_a_slot_that_was_cleared_meanwhile_needs_no_second_try() -> None:
    vdcm = programmed("wq")
    take(vdcm, free_of(7), CORE, NO_MEMORY)
    hand(vdcm, DisableVwq(8), GUEST)
    assert facts(vdcm, Done(1), DSA) == [SlotCleared("vm1", DSA, "wq", 7, 70)]
    hand(vdcm, PutPasidGot(1, reclaimed=True))
    assert hand(vdcm, TimerFired(WQ), SUPERVISOR) == []
    assert vdcm == opened()
