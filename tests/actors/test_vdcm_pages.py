from msgspec import structs

from actors.vdcm import Vdcm
from protocol.errors import Errno
from protocol.machine import Machine
from protocol.messages import (
    DisableVwq,
    DisableWq,
    Done,
    DrainPasid,
    DrainRequests,
    DrainRequestsGot,
    HostLost,
    InvalidateDevTlb,
    OpenVdev,
    Refused,
    ResetVdev,
    WriteIms,
    WriteVims,
)
from protocol.names import CORE, SUPERVISOR, WORKQUEUE
from tests.actors.vdcm_hands import (
    DSA,
    GOT,
    GUEST,
    NAME,
    bind_of,
    facts,
    hand,
    machine,
    program,
    put_of,
    run_of,
    unbind_of,
)

UNIT = "dmar0"
INVALIDATE = (UNIT, InvalidateDevTlb(1, DSA, 7, 70))
DRAIN = (UNIT, DrainRequests(1, DSA, 7, 70))
DRAINED = DrainRequestsGot(1, overflow=False)


def asking(wq: str = "dedicated", of: Machine | None = None) -> Vdcm:
    """The VDCM of a device with PRI, open for vm1."""
    vdcm = Vdcm.of(of or machine(wq, pri=True), NAME)
    hand(vdcm, OpenVdev(9), GUEST)
    hand(vdcm, Done(1))
    return vdcm


def test_the_reference_goes_back_when_no_page_request_is_on_its_way() -> None:
    """An aborted descriptor leaves its group owed; twice to the device and back brings all in."""
    vdcm = asking()
    program(vdcm)
    assert hand(vdcm, ResetVdev(5), GUEST) == [(DSA, DisableWq(1, "vm1", abort=True))]
    assert hand(vdcm, Done(1), DSA) == [INVALIDATE]
    assert hand(vdcm, Done(1), UNIT) == [DRAIN]
    assert hand(vdcm, DRAINED, UNIT) == [(CORE, put_of("wq"))]
    assert hand(vdcm, GOT) == [(GUEST, Done(5))]
    assert vdcm.slots == {}


def test_a_right_to_submit_is_settled_like_a_queue() -> None:
    """Also where nothing is aborted now: a reset of the queue may have aborted earlier."""
    vdcm = asking("shared")
    hand(vdcm, bind_of(7))
    hand(vdcm, Done(1))
    hand(vdcm, unbind_of(7))
    assert hand(vdcm, run_of("swq"), WORKQUEUE) == [(DSA, DrainPasid(1, 7, 70))]
    assert hand(vdcm, Done(1), DSA) == [INVALIDATE]
    assert hand(vdcm, Done(1), UNIT) == [DRAIN]
    assert hand(vdcm, DRAINED, UNIT) == [(CORE, put_of("swq"))]


def test_an_overflow_of_the_ring_changes_nothing() -> None:
    """What did not find room was answered by the unit, before its answer to the drain."""
    vdcm = asking()
    program(vdcm)
    hand(vdcm, DisableVwq(5), GUEST)
    hand(vdcm, Done(1), DSA)
    hand(vdcm, Done(1), UNIT)
    assert hand(vdcm, DrainRequestsGot(1, overflow=True), UNIT) == [(CORE, put_of("wq"))]


def test_the_slot_is_in_use_until_all_is_settled() -> None:
    vdcm = asking()
    program(vdcm)
    hand(vdcm, DisableVwq(5), GUEST)
    assert facts(vdcm, Done(1), DSA) == []
    assert facts(vdcm, Done(1), UNIT) == []
    assert [slot.in_use for slot in vdcm.slots.values()] == [True]
    assert len(facts(vdcm, DRAINED, UNIT)) == 1


def test_nothing_runs_with_the_pasid_of_an_ims_entry() -> None:
    vdcm = asking()
    program(vdcm, "ims")
    assert hand(vdcm, WriteVims(5, 0), GUEST) == [(DSA, WriteIms(1, "vm1", 0, 0))]
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("ims"))]


def test_a_device_without_ats_asks_for_no_page() -> None:
    with_pri = machine("dedicated", pri=True)
    devices = tuple(structs.replace(device, ats=False) for device in with_pri.devices)
    vdcm = asking(of=structs.replace(with_pri, devices=devices))
    program(vdcm)
    hand(vdcm, DisableVwq(5), GUEST)
    assert hand(vdcm, Done(1), DSA) == [(CORE, put_of("wq"))]


def test_err_an_invalidation_that_times_out_leaves_nothing_to_wait_for() -> None:
    vdcm = asking()
    program(vdcm)
    hand(vdcm, DisableVwq(5), GUEST)
    hand(vdcm, Done(1), DSA)
    assert hand(vdcm, Refused(1, Errno.ETIMEDOUT), UNIT) == [DRAIN]


def test_a_device_that_is_gone_has_no_request_on_its_way() -> None:
    vdcm = asking()
    program(vdcm)
    hand(vdcm, DisableVwq(5), GUEST)
    assert hand(vdcm, HostLost(DSA), SUPERVISOR) == [(CORE, put_of("wq"))]
