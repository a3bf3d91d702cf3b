"""VDCM: opening, programming and clearing by the guest, loss of the device."""

import pytest

from actors.vdcm import Inbox, Vdcm
from protocol.errors import Errno
from protocol.facts import SlotCleared, SlotProgrammed
from protocol.messages import (
    DisableVwq,
    DisableWq,
    Done,
    DrainVwq,
    DrainWq,
    EnableVwq,
    EnableWq,
    FindBySpid,
    HostLost,
    OpenVdev,
    Priority,
    PutPasidGot,
    Refused,
    RegisterNotifierMm,
    ResetVdev,
    Start,
    WqMode,
    WriteIms,
    WriteVims,
)
from protocol.names import CORE, SUPERVISOR
from tests.actors.vdcm_hands import (
    DSA,
    GOT,
    GUEST,
    entitled,
    facts,
    found,
    fresh,
    hand,
    opened,
    pairs,
    program,
    programmed,
    put_of,
    take,
)
from tests.helpers import Failing

DISABLE = DisableWq(1, "vm1")
ABORT = DisableWq(1, "vm1", abort=True)
CLEAR_IMS = WriteIms(1, "vm1", 0, 0)


def enabled() -> Vdcm:
    """A shared WQ that the guest has enabled."""
    vdcm = opened("shared")
    hand(vdcm, EnableVwq(8, 0), GUEST)
    hand(vdcm, Done(1), DSA)
    return vdcm


# --- Opening --------------------------------------------------------------------------------------


def test_opening_registers_the_notifier_for_the_vms_mm() -> None:
    vdcm = fresh()
    assert hand(vdcm, Start(), SUPERVISOR) == []
    assert hand(vdcm, OpenVdev(9), GUEST) == [(CORE, RegisterNotifierMm(1, "vm1", Priority.DEVICE))]
    assert hand(vdcm, Done(1)) == [(GUEST, Done(9))]
    assert vdcm == opened()


def test_each_vm_on_the_device_has_a_virtual_device_of_its_own() -> None:
    vdcm = opened("dedicated", "vm1", "vm2")
    assert hand(vdcm, EnableVwq(8, 4), "vm2.guest") == [(CORE, FindBySpid(1, "vm2", 4, "vm2:wq"))]


def test_err_a_second_open_is_ebusy() -> None:
    vdcm = fresh()
    hand(vdcm, OpenVdev(9), GUEST)
    assert hand(vdcm, OpenVdev(10), GUEST) == [(GUEST, Refused(10, Errno.EBUSY))]
    assert hand(opened(), OpenVdev(10), GUEST) == [(GUEST, Refused(10, Errno.EBUSY))]


def test_err_a_vm_that_is_not_on_the_device_has_nothing_to_open() -> None:
    assert hand(fresh(), OpenVdev(9), "vm3.guest") == [("vm3.guest", Refused(9, Errno.ENODEV))]


def test_err_a_refused_registration_leaves_it_closed() -> None:
    vdcm = fresh()
    hand(vdcm, OpenVdev(9), GUEST)
    assert hand(vdcm, Refused(1, Errno.EBUSY)) == [(GUEST, Refused(9, Errno.EBUSY))]
    assert vdcm == fresh()


@pytest.mark.parametrize(
    "message",
    [EnableVwq(8, 4), DisableVwq(8), DrainVwq(8), ResetVdev(8), WriteVims(8, 4), WriteVims(8, 0)],
)
def test_err_a_virtual_device_that_is_not_open_does_nothing(message: Inbox) -> None:
    vdcm = fresh()
    assert hand(vdcm, message, GUEST) == [(GUEST, Refused(8, Errno.ENODEV))]
    assert vdcm == fresh()


# --- Programming ----------------------------------------------------------------------------------


def test_a_dedicated_wq_is_programmed_once_the_look_up_has_granted_a_reference() -> None:
    vdcm = opened()
    assert hand(vdcm, EnableVwq(8, 4), GUEST) == [(CORE, FindBySpid(1, "vm1", 4, "vm1:wq"))]
    out = take(vdcm, found(7))
    assert pairs(out) == [(DSA, EnableWq(1, "vm1", WqMode.DEDICATED, 7, 70))]
    assert out.facts == [SlotProgrammed("vm1", DSA, "wq", 7, 70)]
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]
    assert vdcm == programmed("wq")


def test_an_interrupt_entry_is_programmed_the_same_way() -> None:
    vdcm = opened()
    assert hand(vdcm, WriteVims(8, 4), GUEST) == [(CORE, FindBySpid(1, "vm1", 4, "vm1:ims"))]
    assert hand(vdcm, found(7)) == [(DSA, WriteIms(1, "vm1", 7, 70))]
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]


def test_a_shared_wq_is_enabled_without_a_pasid() -> None:
    vdcm = opened("shared")
    enable = EnableWq(1, "vm1", WqMode.SHARED, 0, 0)
    out = take(vdcm, EnableVwq(8, 0), GUEST)
    assert pairs(out) == [(DSA, enable)]
    assert out.facts == []
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]
    assert hand(vdcm, EnableVwq(8, 0), GUEST) == [(GUEST, Refused(8, Errno.EBUSY))]


def test_err_a_shared_wq_takes_no_pasid() -> None:
    assert hand(opened("shared"), EnableVwq(8, 4), GUEST) == [(GUEST, Refused(8, Errno.EINVAL))]


@pytest.mark.parametrize("errno", [Errno.ENOENT, Errno.EBUSY])
def test_err_a_failed_look_up_is_enxio_whatever_the_reason(errno: Errno) -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    assert hand(vdcm, Refused(1, errno)) == [(GUEST, Refused(8, Errno.ENXIO))]
    assert vdcm == opened()


@pytest.mark.parametrize(("slot", "message"), [("wq", EnableVwq(8, 5)), ("ims", WriteVims(8, 5))])
def test_err_an_occupied_slot_is_ebusy_and_no_second_reference_is_asked_for(
    slot: str, message: Inbox
) -> None:
    vdcm = programmed(slot)
    assert hand(vdcm, message, GUEST) == [(GUEST, Refused(8, Errno.EBUSY))]
    assert vdcm == programmed(slot)


def test_err_what_the_device_refuses_is_put_before_the_guest_hears() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    hand(vdcm, found(7))
    out = take(vdcm, Refused(1, Errno.EBUSY), DSA)
    assert pairs(out) == [(CORE, put_of("wq"))]
    assert out.facts == [SlotCleared("vm1", DSA, "wq", 7, 70)]
    assert hand(vdcm, GOT) == [(GUEST, Refused(8, Errno.EBUSY))]
    assert vdcm == opened()


def test_err_a_command_that_fails_after_the_look_up_costs_no_reference() -> None:
    """The device has not been told anything yet (S25g)."""
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    out = take(vdcm, found(7), chance=Failing("vdcm.program.command"))
    assert pairs(out) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(GUEST, Refused(8, Errno.ENXIO))]
    assert vdcm == opened()


def test_err_a_shared_wq_that_the_device_refuses_has_nothing_to_put() -> None:
    vdcm = opened("shared")
    hand(vdcm, EnableVwq(8, 0), GUEST)
    assert hand(vdcm, Refused(1, Errno.EBUSY), DSA) == [(GUEST, Refused(8, Errno.EBUSY))]
    assert vdcm == opened("shared")


# --- Clearing -------------------------------------------------------------------------------------


def test_disable_quiesces_then_puts_then_answers() -> None:
    vdcm = programmed("wq")
    assert hand(vdcm, DisableVwq(8), GUEST) == [(DSA, DISABLE)]
    out = take(vdcm, Done(1), DSA)
    assert pairs(out) == [(CORE, put_of("wq"))]
    assert out.facts == [SlotCleared("vm1", DSA, "wq", 7, 70)]
    assert hand(vdcm, GOT) == [(GUEST, Done(8))]
    assert vdcm == opened()


def test_disable_of_a_shared_wq_has_no_reference_to_put() -> None:
    vdcm = enabled()
    assert hand(vdcm, DisableVwq(8), GUEST) == [(DSA, DISABLE)]
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]
    assert vdcm == opened("shared")


def test_err_disable_of_what_is_not_enabled_is_einval() -> None:
    vdcm = opened()
    assert hand(vdcm, DisableVwq(8), GUEST) == [(GUEST, Refused(8, Errno.EINVAL))]
    assert vdcm == opened()


def test_an_interrupt_entry_is_cleared_by_gpasid_0() -> None:
    vdcm = programmed("ims")
    assert hand(vdcm, WriteVims(8, 0), GUEST) == [(DSA, CLEAR_IMS)]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("ims"))]
    assert hand(vdcm, GOT) == [(GUEST, Done(8))]
    assert hand(vdcm, WriteVims(8, 0), GUEST) == [(GUEST, Done(8))]
    assert vdcm == opened()


def test_reset_aborts_the_wq_then_clears_the_interrupt_entry_and_puts_both() -> None:
    vdcm = programmed("wq")
    program(vdcm, "ims")
    assert hand(vdcm, ResetVdev(8), GUEST) == [(DSA, ABORT)]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(DSA, CLEAR_IMS)]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("ims"))]
    assert hand(vdcm, GOT) == [(GUEST, Done(8))]
    assert vdcm == opened()


def test_reset_leaves_the_rights_to_submit() -> None:
    vdcm = entitled(7)
    assert hand(vdcm, ResetVdev(8), GUEST) == [(GUEST, Done(8))]
    assert vdcm == entitled(7)


def test_drain_waits_for_the_device_and_changes_no_slot() -> None:
    vdcm = programmed("wq")
    assert hand(vdcm, DrainVwq(8), GUEST) == [(DSA, DrainWq(1, "vm1"))]
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(8))]
    assert vdcm == programmed("wq")


# --- One at a time --------------------------------------------------------------------------------


def test_commands_for_a_slot_run_one_after_the_other_in_order() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(1, 4), GUEST)
    assert hand(vdcm, DisableVwq(2), GUEST) == []
    assert hand(vdcm, EnableVwq(3, 5), GUEST) == []
    assert vdcm.slots["vm1:wq"].waiting == [2, 3]
    hand(vdcm, found(7))
    assert hand(vdcm, Done(1), DSA) == [(GUEST, Done(1)), (DSA, DisableWq(2, "vm1"))]
    assert hand(vdcm, Done(2), DSA) == [(CORE, put_of("wq", call=2))]
    assert hand(vdcm, PutPasidGot(2, reclaimed=False)) == [
        (GUEST, Done(2)),
        (CORE, FindBySpid(3, "vm1", 5, "vm1:wq")),
    ]


def test_a_reset_does_not_wait_for_a_guest_that_answers_no_page_request() -> None:
    vdcm = programmed("wq")
    hand(vdcm, DisableVwq(8), GUEST)
    assert hand(vdcm, ResetVdev(9), GUEST) == [(DSA, DisableWq(3, "vm1", abort=True))]
    assert hand(vdcm, ResetVdev(10), GUEST) == []
    assert hand(vdcm, Done(1), DSA) == []
    assert hand(vdcm, Done(3), DSA) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(GUEST, Done(8)), (GUEST, Done(9)), (GUEST, Done(10))]
    assert vdcm == opened()


def test_a_disable_with_a_reset_behind_it_aborts_at_once() -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(1, 4), GUEST)
    hand(vdcm, DisableVwq(2), GUEST)
    hand(vdcm, ResetVdev(3), GUEST)
    hand(vdcm, found(7))
    assert hand(vdcm, Done(1), DSA)[1] == (DSA, DisableWq(2, "vm1", abort=True))


# --- Loss -----------------------------------------------------------------------------------------


def test_a_lost_device_is_quiet_and_drained() -> None:
    vdcm = programmed("wq")
    hand(vdcm, DrainVwq(7), GUEST)
    hand(vdcm, DisableVwq(8), GUEST)
    hand(vdcm, ResetVdev(9), GUEST)
    assert hand(vdcm, HostLost(DSA), SUPERVISOR) == [
        (GUEST, Done(7)),
        (CORE, put_of("wq", call=2)),
    ]
    assert hand(vdcm, PutPasidGot(2, reclaimed=False)) == [(GUEST, Done(8)), (GUEST, Done(9))]
    assert (vdcm.slots, vdcm.tasks) == ({}, {})


def test_a_lost_device_needs_no_commands() -> None:
    vdcm = programmed("wq")
    hand(vdcm, HostLost(DSA), SUPERVISOR)
    assert hand(vdcm, DrainVwq(8), GUEST) == [(GUEST, Done(8))]
    assert hand(vdcm, DisableVwq(8), GUEST) == [(CORE, put_of("wq"))]


def test_err_a_lost_device_cannot_be_programmed() -> None:
    vdcm = opened()
    hand(vdcm, HostLost(DSA), SUPERVISOR)
    assert hand(vdcm, EnableVwq(8, 4), GUEST) == [(GUEST, Refused(8, Errno.ENODEV))]


@pytest.mark.parametrize("inputs", [(found(7), HostLost(DSA)), (HostLost(DSA), found(7))])
def test_err_programming_that_the_loss_overtakes_is_undone(inputs: tuple[Inbox, Inbox]) -> None:
    vdcm = opened()
    hand(vdcm, EnableVwq(8, 4), GUEST)
    hand(vdcm, inputs[0])
    assert hand(vdcm, inputs[1]) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(GUEST, Refused(8, Errno.ENODEV))]
    assert vdcm.slots == {}


def test_no_other_loss_is_the_vdcms() -> None:
    vdcm = programmed("wq")
    assert hand(vdcm, HostLost("vm1.kvm"), SUPERVISOR) == []
    assert vdcm == programmed("wq")


@pytest.mark.parametrize("copy", [Done(1), Refused(1, Errno.EBUSY), GOT, found(7)])
def test_a_second_copy_of_an_answer_changes_nothing(copy: Inbox) -> None:
    vdcm = programmed("wq")
    assert facts(vdcm, copy) == []
    assert vdcm == programmed("wq")
