"""VDCM: closing a VM's files gives everything back, whatever is under way."""

import pytest

from actors.vdcm import Inbox
from protocol.errors import Errno
from protocol.facts import FdsReleased, SlotCleared, WorkEnded
from protocol.messages import (
    DisableVwq,
    DisableWq,
    Done,
    DrainPasid,
    EnableVwq,
    GetPasid,
    OpenVdev,
    PutPasidGot,
    Refused,
    ReleaseFds,
    UnregisterNotifier,
    WorkDone,
    WriteIms,
)
from protocol.names import CORE, SUPERVISOR, WORKQUEUE, Name
from tests.actors.vdcm_hands import (
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
    fresh,
    hand,
    opened,
    program,
    programmed,
    put_of,
    run,
    unbind_of,
)

RELEASE = ReleaseFds("vm1")
OFF = (CORE, UnregisterNotifier(1, "vm1"))
RELEASED = FdsReleased("vm1")


def get_of(call: int, pasid: int = 7) -> tuple[Name, GetPasid]:
    """The right to submit, asked for."""
    return (CORE, GetPasid(call, 3, pasid, 10 * pasid, "vm1:swq"))


def test_closing_stops_the_wq_unregisters_clears_the_interrupts_and_puts_each() -> None:
    vdcm = programmed("wq")
    program(vdcm, "ims")
    assert hand(vdcm, RELEASE, GUEST) == [(DSA, DisableWq(1, "vm1", abort=True))]
    assert facts(vdcm, Done(1), DSA) == [SlotCleared("vm1", DSA, "wq", 7, 70)]
    assert hand(vdcm, GOT) == [OFF]
    assert hand(vdcm, Done(1)) == [(DSA, WriteIms(1, "vm1", 0, 0))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("ims"))]
    assert facts(vdcm, GOT) == [RELEASED]
    assert (vdcm.slots, vdcm.tasks, vdcm.works) == ({}, {}, {})


def test_closing_drains_every_right_to_submit() -> None:
    vdcm = entitled(7, 8)
    hand(vdcm, RELEASE, GUEST)
    assert hand(vdcm, Done(1)) == [(DSA, DrainPasid(1, 7, 70, abort=True))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("swq"))]
    assert hand(vdcm, GOT) == [(DSA, DrainPasid(1, 8, 80, abort=True))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("swq", pasid=8))]
    assert facts(vdcm, GOT) == [RELEASED]


def test_closing_one_vm_leaves_the_other_alone() -> None:
    vdcm = opened("shared", "vm1", "vm2")
    hand(vdcm, bind_of(8, vm="vm2"))
    hand(vdcm, Done(1))
    hand(vdcm, RELEASE, GUEST)
    assert facts(vdcm, Done(1)) == [RELEASED]
    assert hand(vdcm, unbind_of(8, vm="vm2"))[0][0] == CORE


def test_closing_twice_or_before_opening_or_elsewhere_is_closing_once() -> None:
    vdcm = fresh()
    assert facts(vdcm, ReleaseFds("vm3"), SUPERVISOR) == []
    assert facts(vdcm, RELEASE, SUPERVISOR) == [RELEASED]
    assert facts(vdcm, RELEASE, SUPERVISOR) == []
    assert hand(vdcm, OpenVdev(9), GUEST) == [(GUEST, Refused(9, Errno.ENODEV))]


def test_qemu_may_end_while_the_virtual_device_is_being_opened() -> None:
    vdcm = fresh()
    hand(vdcm, OpenVdev(9), GUEST)
    assert hand(vdcm, RELEASE, SUPERVISOR) == []
    assert hand(vdcm, Done(1)) == [(GUEST, Done(9)), OFF]
    assert facts(vdcm, Done(1)) == [RELEASED]


def test_err_qemu_may_end_while_opening_is_refused() -> None:
    vdcm = fresh()
    hand(vdcm, OpenVdev(9), GUEST)
    hand(vdcm, RELEASE, SUPERVISOR)
    assert facts(vdcm, Refused(1, Errno.ENOMEM)) == [RELEASED]


def test_closing_waits_for_programming_and_turns_away_what_waits_behind_it() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(7, 4), GUEST)
    hand(vdcm, EnableVwq(8, 4), GUEST)
    assert hand(vdcm, RELEASE, GUEST) == []
    hand(vdcm, found(7))
    assert hand(vdcm, Done(1), DSA) == [
        (GUEST, Done(7)),
        (GUEST, Refused(8, Errno.ENODEV)),
        (DSA, DisableWq(3, "vm1", abort=True)),
    ]


def test_closing_does_not_wait_for_a_guest_that_answers_no_page_request() -> None:
    vdcm = programmed("wq")
    hand(vdcm, DisableVwq(8), GUEST)
    assert hand(vdcm, RELEASE, SUPERVISOR) == [(DSA, DisableWq(3, "vm1", abort=True))]
    hand(vdcm, Done(1), DSA)
    hand(vdcm, Done(3), DSA)
    assert hand(vdcm, GOT)[-1] == OFF
    assert facts(vdcm, Done(1)) == [RELEASED]


def test_a_bind_under_way_comes_to_its_end_and_is_cleared() -> None:
    vdcm = opened("shared")
    hand(vdcm, bind_of(7))
    hand(vdcm, RELEASE, GUEST)
    assert hand(vdcm, Done(2)) == []
    assert hand(vdcm, Done(1))[1] == (DSA, DrainPasid(2, 7, 70, abort=True))


def test_a_bind_that_waited_for_a_work_is_cleared_too() -> None:
    vdcm = entitled(7)
    hand(vdcm, unbind_of(7))
    run(vdcm, "swq")
    hand(vdcm, bind_of(7))
    hand(vdcm, Done(3), DSA)
    hand(vdcm, RELEASE, GUEST)
    hand(vdcm, Done(3))
    hand(vdcm, Done(1), DSA)
    assert hand(vdcm, GOT) == [(WORKQUEUE, WorkDone("vm1:swq:7")), get_of(2)]
    assert hand(vdcm, Done(2)) == [OK, (DSA, DrainPasid(3, 7, 70, abort=True))]


def test_a_pasid_that_is_bound_while_the_wq_stops_is_drained_like_the_others() -> None:
    """The guest may have submitted with it already, and nobody else holds it until that ends."""
    vdcm = opened("shared")
    hand(vdcm, EnableVwq(8, 0), GUEST)
    hand(vdcm, Done(1), DSA)
    assert hand(vdcm, RELEASE, SUPERVISOR) == [(DSA, DisableWq(1, "vm1", abort=True))]
    assert hand(vdcm, bind_of(7)) == [get_of(2)]
    assert hand(vdcm, Done(2)) == [OK]
    assert hand(vdcm, Done(1), DSA) == [OFF]
    assert hand(vdcm, Done(1)) == [(DSA, DrainPasid(1, 7, 70, abort=True))]
    hand(vdcm, Done(1), DSA)
    assert facts(vdcm, GOT) == [RELEASED]
    assert hand(vdcm, bind_of(8)) == [DONE]


@pytest.mark.parametrize("notification", [unbind_of(7), free_of(7)])
def test_what_is_notified_while_closing_changes_nothing(notification: Inbox) -> None:
    vdcm = entitled(7)
    hand(vdcm, RELEASE, GUEST)
    assert hand(vdcm, notification) == [DONE]
    assert hand(vdcm, Done(1)) == [(DSA, DrainPasid(1, 7, 70, abort=True))]


def test_a_work_that_was_queued_for_what_closing_clears_finds_nothing() -> None:
    vdcm = entitled(7)
    hand(vdcm, free_of(7))
    hand(vdcm, RELEASE, GUEST)
    hand(vdcm, Done(1))
    assert run(vdcm, "swq") == []
    assert facts(vdcm, Done(1), DSA)[1] == WorkEnded("vm1:swq:7", 7, 70)
    assert hand(vdcm, GOT) == [(WORKQUEUE, WorkDone("vm1:swq:7"))]
    assert (vdcm.slots, vdcm.tasks, vdcm.works) == ({}, {}, {})


def test_closing_waits_for_a_work_and_finds_its_slot_empty() -> None:
    vdcm = entitled(7)
    hand(vdcm, free_of(7))
    run(vdcm, "swq")
    hand(vdcm, RELEASE, GUEST)
    assert hand(vdcm, Done(2)) == []
    hand(vdcm, Done(1), DSA)
    assert facts(vdcm, PutPasidGot(1, reclaimed=True))[-1] == RELEASED
