"""VDCM: a guest's commands that are trapped while its portal is not mapped."""

import pytest

from actors.vdcm import Inbox, Vdcm
from protocol.errors import Errno
from protocol.messages import (
    Done,
    EnqcmdWrite,
    EnqcmdWriteGot,
    FindBySpid,
    GuestEnqcmd,
    GuestEnqcmdGot,
    HostLost,
    PutPasidGot,
    Refused,
    ReleaseFds,
)
from protocol.names import CORE, SUPERVISOR
from tests.actors.vdcm_hands import (
    BAD,
    DSA,
    GOT,
    GUEST,
    OK,
    bind_of,
    entitled,
    found,
    free_of,
    hand,
    opened,
    put_of,
    run,
    unbind_of,
)

COMMAND = GuestEnqcmd(8, DSA, 4, tag=1, page=0, mapped=True)
WRITE = (DSA, EnqcmdWrite(1, "vm1", 7, 70, tag=1, page=0, mapped=True))
PUT = (CORE, put_of("portal"))
TAKEN = (GUEST, GuestEnqcmdGot(8, accepted=True))
RETRY = (GUEST, GuestEnqcmdGot(8, accepted=False))


def trapped(vdcm: Vdcm) -> Vdcm:
    """The guest's number is being looked up."""
    assert hand(vdcm, COMMAND, GUEST) == [(CORE, FindBySpid(1, "vm1", 4, "vm1:portal"))]
    return vdcm


@pytest.mark.parametrize(("accepted", "answer"), [(True, TAKEN), (False, RETRY)])
def test_a_command_has_a_reference_of_its_own_until_the_device_has_answered(
    accepted: bool, answer: tuple[str, GuestEnqcmdGot]
) -> None:
    vdcm = trapped(entitled(7))
    assert hand(vdcm, found(7)) == [WRITE]
    assert hand(vdcm, EnqcmdWriteGot(1, accepted), DSA) == [PUT]
    assert hand(vdcm, GOT) == [answer]
    assert vdcm == entitled(7)


def test_commands_do_not_wait_for_each_other() -> None:
    vdcm = trapped(entitled(7))
    assert hand(vdcm, COMMAND, GUEST) == [(CORE, FindBySpid(2, "vm1", 4, "vm1:portal"))]


def test_err_a_number_that_stands_for_nothing_is_enxio() -> None:
    vdcm = trapped(entitled(7))
    assert hand(vdcm, Refused(1, Errno.ENOENT)) == [(GUEST, Refused(8, Errno.ENXIO))]
    assert vdcm == entitled(7)


def test_err_nothing_is_submitted_without_a_right() -> None:
    """It would be in the device with nobody to drain it."""
    vdcm = trapped(opened("shared"))
    assert hand(vdcm, found(7)) == [PUT]
    assert hand(vdcm, GOT) == [(GUEST, Refused(8, Errno.ENXIO))]
    assert vdcm == opened("shared")


def test_err_nothing_is_submitted_with_a_right_that_is_only_asked_for() -> None:
    vdcm = opened("shared")
    hand(vdcm, bind_of(7))
    hand(vdcm, COMMAND, GUEST)
    assert hand(vdcm, found(7, call=2)) == [(CORE, put_of("portal", call=2))]
    assert hand(vdcm, Refused(1, Errno.EBUSY)) == [BAD]


@pytest.mark.parametrize("notice", [unbind_of(7), free_of(7)])
def test_err_nothing_is_submitted_with_a_right_that_is_dying(notice: Inbox) -> None:
    """Its drain may be under way (R8)."""
    vdcm = trapped(entitled(7))
    assert OK in hand(vdcm, notice)
    assert hand(vdcm, found(7)) == [PUT]


def test_err_nothing_is_submitted_while_the_right_is_drained_or_the_device_closed() -> None:
    vdcm = trapped(entitled(7))
    hand(vdcm, unbind_of(7))
    run(vdcm, "swq")
    assert hand(vdcm, found(7)) == [PUT]

    vdcm = trapped(entitled(7))
    hand(vdcm, ReleaseFds("vm1"), SUPERVISOR)
    assert hand(vdcm, found(7)) == [PUT]


def test_err_a_dedicated_wq_takes_no_pasid_from_a_command() -> None:
    assert hand(opened(), COMMAND, GUEST) == [(GUEST, Refused(8, Errno.EINVAL))]


def test_err_what_is_not_open_takes_no_command() -> None:
    assert hand(opened("shared", "vm2"), COMMAND, GUEST) == [(GUEST, Refused(8, Errno.ENODEV))]


def test_a_lost_device_accepts_nothing_more() -> None:
    vdcm = trapped(entitled(7))
    hand(vdcm, COMMAND, GUEST)
    hand(vdcm, found(7))
    assert hand(vdcm, HostLost(DSA), SUPERVISOR) == [PUT]
    assert hand(vdcm, GOT) == [RETRY]
    assert hand(vdcm, found(7, call=2)) == [(CORE, put_of("portal", call=2))]
    assert hand(vdcm, PutPasidGot(2, reclaimed=False)) == [RETRY]
    assert hand(vdcm, COMMAND, GUEST) == [(GUEST, Refused(8, Errno.ENODEV))]


def test_a_second_copy_of_an_answer_finds_the_submission_further_on() -> None:
    vdcm = trapped(entitled(7))
    hand(vdcm, found(7))
    assert hand(vdcm, found(7)) == []
    hand(vdcm, EnqcmdWriteGot(1, accepted=True), DSA)
    assert hand(vdcm, Done(1), DSA) == []
    assert hand(vdcm, EnqcmdWriteGot(1, accepted=True), DSA) == []
    assert hand(vdcm, GOT) == [TAKEN]
    assert hand(vdcm, EnqcmdWriteGot(1, accepted=True), DSA) == []
