"""A guest's boot, its single operations, and the order of its script."""

import msgspec
import pytest

from actors.guest import Guest, Inbox
from actors.guest.state import Phase, Value
from protocol.errors import Errno
from protocol.facts import OpFail, OpInfo, OpInvoked, OpOk, VmExited
from protocol.messages import (
    AnyMessage,
    BindPgtbl,
    DisableVwq,
    Done,
    DrainVwq,
    EnableVwq,
    FreePasidRange,
    HostLost,
    OpenContainer,
    OpenVdev,
    OpenVm,
    PageRequestReport,
    Refused,
    ReleaseFds,
    RequestPasid,
    RequestPasidGot,
    ResetVdev,
    RespondPage,
    ResponseCode,
    Start,
    TimerFired,
    Told,
    UnbindPgtbl,
    WriteVims,
)
from protocol.names import PASID_COUNT, SUPERVISOR, VFIO
from protocol.plan import OPERATIONS, Plan, Step
from tests.actors.guest_hands import GUEST, KVM, MACHINE, VDCMS, booted, hand, pairs, sent_at_boot
from tests.helpers import step

ALLOC = Step("alloc", "p")
BIND = Step("bind", "p", device="iax0")
REQUEST = RequestPasid(1, 1, PASID_COUNT - 1)
GOT = RequestPasidGot(1, 17, 170)
REPORT = PageRequestReport("vm1", "dsa0", 17, 170, 1, 9, 1 << 16)


def copy_of(guest: Guest) -> Guest:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(guest), type=Guest)


def with_pasid(*steps: Step, plan: Plan | None = None) -> Guest:
    """A guest that has 17 in `p`, and has begun its next step."""
    guest, _ = booted(ALLOC, *steps, plan=plan)
    hand(guest, GOT, VFIO)
    return guest


# --- Boot -----------------------------------------------------------------------------------------


def test_boot_opens_everything_at_once() -> None:
    guest = Guest.of(MACHINE, GUEST)
    assert hand(guest, Start(), SUPERVISOR) == [
        (KVM, OpenVm(1)),
        (VDCMS[0], OpenVdev(2)),
        (VDCMS[1], OpenVdev(3)),
        (VDCMS[2], OpenVdev(4)),
        (VFIO, OpenContainer(5, 0)),
        (VFIO, OpenContainer(6, 1)),
    ]


def test_the_plan_begins_when_every_open_has_been_answered() -> None:
    guest = Guest.of(MACHINE, GUEST, Plan((ALLOC,)))
    opens = hand(guest, Start(), SUPERVISOR)
    for number, (to, _) in enumerate(opens[:-1], start=1):
        assert hand(guest, Refused(number, Errno.EBUSY), to) == []
    assert hand(guest, Done(6), VFIO) == [(VFIO, REQUEST)]


def test_a_lost_actor_is_not_waited_for_at_boot() -> None:
    guest = Guest.of(MACHINE, "vm2.guest", Plan((ALLOC,)))
    hand(guest, HostLost("vm2.kvm"), SUPERVISOR)
    assert [to for to, _ in hand(guest, Start(), SUPERVISOR)] == ["vdcm.dsa0", VFIO]
    assert hand(guest, Done(2), VFIO) == []
    assert hand(guest, HostLost("vdcm.dsa0"), SUPERVISOR) == [(VFIO, REQUEST)]


def test_a_guest_without_a_plan_boots_and_sits_still() -> None:
    guest, out = booted()
    assert out.effects == []
    assert guest.phase is Phase.RUN
    assert Guest.LOSABLE
    assert Guest.SITES == ()


# --- One operation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "device", "to", "request_"),
    [
        ("alloc", "", VFIO, REQUEST),
        ("free", "", VFIO, FreePasidRange(1, 17, 17)),
        ("bind", "iax0", VFIO, BindPgtbl(1, 1, 17, 170, 1, 1)),
        ("bind", "dsa1", VFIO, BindPgtbl(1, 0, 17, 170, 1, 1)),
        ("bind", "", VFIO, BindPgtbl(1, 0, 17, 170, 1, 1)),
        ("bind", "nic7", VFIO, BindPgtbl(1, 2, 17, 170, 1, 1)),
        ("unbind", "iax0", VFIO, UnbindPgtbl(1, 1, 17, 170)),
        ("enable", "dsa0", VDCMS[0], EnableVwq(1, 0)),
        ("enable", "iax0", VDCMS[2], EnableVwq(1, 1)),
        ("disable", "dsa0", VDCMS[0], DisableVwq(1)),
        ("drain", "dsa1", VDCMS[1], DrainVwq(1)),
        ("reset", "iax0", VDCMS[2], ResetVdev(1)),
        ("ims", "iax0", VDCMS[2], WriteVims(1, 1)),
        ("unims", "iax0", VDCMS[2], WriteVims(1, 0)),
    ],
)
def test_whom_an_operation_asks(operation: str, device: str, to: str, request_: AnyMessage) -> None:
    guest, _ = booted(ALLOC, Step(operation, "p", device=device))
    out = step(guest, GOT, VFIO)
    assert pairs(out) == [(to, request_)]
    named = (0, 0) if operation == "alloc" else (17, 170)
    assert out.facts == [OpOk(1, "alloc"), OpInvoked(2, operation, *named, device)]
    assert operation in OPERATIONS


@pytest.mark.parametrize(
    ("expect", "answer", "fact"),
    [
        ((), Done(1), OpOk(2, "bind")),
        (("ok",), Done(1), OpOk(2, "bind", "ok")),
        (("EBUSY",), Done(1), OpOk(2, "bind", "EBUSY", met=False)),
        ((), Refused(1, Errno.EBUSY), OpFail(2, "bind", "EBUSY")),
        (("EBUSY",), Refused(1, Errno.EBUSY), OpFail(2, "bind", "EBUSY", "EBUSY")),
        (
            ("ok", "EPERM"),
            Refused(1, Errno.EBUSY),
            OpFail(2, "bind", "EBUSY", "any(ok, EPERM)", met=False),
        ),
        (("ok",), HostLost(VFIO), OpInfo(2, "bind", "ok")),
    ],
)
def test_an_outcome_is_compared_with_what_was_expected(
    expect: tuple[str, ...], answer: Inbox, fact: OpOk | OpFail | OpInfo
) -> None:
    guest = with_pasid(Step("bind", "p", device="iax0", expect=expect))
    assert step(guest, answer, VFIO).facts == [fact]
    assert guest.tasks == {}


def test_an_answer_from_somebody_else_or_too_late_is_dropped() -> None:
    guest = with_pasid(BIND)
    before = copy_of(guest)
    assert step(guest, Done(1), KVM).facts == []
    assert step(guest, Done(7), VFIO).facts == []
    assert guest == before


def test_who_is_lost_is_not_asked_again() -> None:
    guest = with_pasid(Step("enable", device="dsa0"), Step("drain", device="dsa0"), BIND)
    out = step(guest, HostLost(VDCMS[0]), SUPERVISOR)
    assert out.facts == [
        OpInfo(2, "enable"),
        OpInvoked(3, "drain", device="dsa0"),
        OpInfo(3, "drain"),
        OpInvoked(4, "bind", 17, 170, "iax0"),
    ]
    assert pairs(out) == [(VFIO, BindPgtbl(1, 1, 17, 170, 1, 1))]


# --- Names ----------------------------------------------------------------------------------------


def test_the_guests_number_is_the_smallest_free_one_and_comes_back_with_free() -> None:
    guest, _ = booted(ALLOC, Step("alloc", "q"), Step("free", "p"), Step("alloc", "r"))
    hand(guest, GOT, VFIO)
    hand(guest, RequestPasidGot(1, 18, 180), VFIO)
    hand(guest, Done(1), VFIO)
    hand(guest, RequestPasidGot(1, 19, 190), VFIO)
    assert [v.value.gpasid for v in guest.variables.values()] == [1, 2, 1]
    assert [v.live for v in guest.variables.values()] == [False, True, True]


def test_a_name_keeps_its_value_after_free() -> None:
    guest = with_pasid(Step("free", "p"), Step("unbind", "p", device="iax0"))
    assert hand(guest, Done(1), VFIO) == [(VFIO, UnbindPgtbl(1, 1, 17, 170))]


def test_a_live_pasid_that_loses_its_name_keeps_its_number() -> None:
    guest = with_pasid(ALLOC, ALLOC)
    hand(guest, RequestPasidGot(1, 18, 180), VFIO)
    hand(guest, RequestPasidGot(1, 19, 190), VFIO)
    numbers = {name: v.value.gpasid for name, v in guest.variables.items()}
    assert numbers == {"p": 3, "p''": 1, "p'": 2}


def test_a_name_that_was_never_set_stands_for_nothing() -> None:
    _, sent = sent_at_boot(Step("free", "p"))
    assert sent == [(VFIO, FreePasidRange(1, 0, 0))]


def test_a_literal_number_is_the_guests_own_if_it_has_it() -> None:
    own = with_pasid(Step("bind", number=17, device="iax0"))
    assert own.running()[0].value == Value(17, 170, 1)
    foreign = with_pasid(Step("bind", number=9, device="iax0"))
    assert foreign.running()[0].value == Value(9, 0, 2)


def test_another_guest_is_told_and_another_guests_name_is_waited_for() -> None:
    plan = Plan((ALLOC,), tell=(("p", "vm2.guest"), ("q", "vm3.guest")))
    teller, _ = booted(plan=plan)
    told = Told("p", 17, 170, 1)
    assert hand(teller, GOT, VFIO) == [("vm2.guest", told)]

    foreign = Step("bind", "p", owner="vm2.guest", device="dsa0")
    guest, sent = sent_at_boot(foreign)
    assert sent == []
    bind = BindPgtbl(1, 0, 17, 170, 1, 1)
    assert hand(guest, told, "vm2.guest") == [(VFIO, bind)]


def test_a_name_that_stands_for_nothing_is_told_too() -> None:
    """Else whoever waits for it would do nothing for ever, and that would look like a pass."""
    nothing = Told("p", 0, 0, 0)
    steps = (ALLOC, ALLOC, ALLOC, Step("exit"))
    plan = Plan(steps, tell=(("p", "vm2.guest"), ("q", "vm3.guest")))
    teller, _ = booted(plan=plan)
    refused = Refused(1, Errno.ENOSPC)
    again = (VFIO, REQUEST)
    assert hand(teller, refused, VFIO) == [("vm2.guest", nothing), again]
    assert hand(teller, GOT, VFIO) == [("vm2.guest", Told("p", 17, 170, 1)), again]
    leaving = hand(teller, refused, VFIO)
    assert leaving[0] == ("vm3.guest", Told("q", 0, 0, 0))
    assert all(isinstance(message, ReleaseFds) for _, message in leaving[1:])

    guest, _ = booted(Step("bind", "p", owner="vm2.guest", device="dsa0"))
    assert hand(guest, nothing, "vm2.guest") == [(VFIO, BindPgtbl(1, 0, 0, 0, 1, 1))]


def test_what_nobody_is_left_to_tell_will_never_be_known() -> None:
    foreign = Step("bind", "p", owner="vm2.guest", device="dsa0")
    guest, _ = booted(foreign, Step("unbind", "q", owner=GUEST, device="dsa0"))
    out = step(guest, HostLost("vm2.guest"), SUPERVISOR)
    assert out.facts == [
        OpInvoked(1, "bind", device="dsa0"),
        OpInfo(1, "bind"),
        OpInvoked(2, "unbind", device="dsa0"),
    ]


def test_binds_are_remembered_by_number_whatever_the_name() -> None:
    literal = Step("bind", number=17, device="dsa0")
    guest = with_pasid(BIND, literal, literal, Step("unbind", number=17, device="iax0"))
    for _ in range(3):
        hand(guest, Done(1), VFIO)
    assert guest.variables["p"].bound == [1, 0]
    hand(guest, Done(1), VFIO)
    assert guest.variables["p"].bound == [0]


def test_an_unbind_of_what_the_guest_did_not_know_to_be_bound_changes_nothing() -> None:
    guest = with_pasid(Step("unbind", "p", device="dsa0"))
    hand(guest, Done(1), VFIO)
    assert guest.variables["p"].bound == []


def test_queues_and_interrupt_stores_are_remembered() -> None:
    steps = [Step(what, "p", device="iax0") for what in ("enable", "ims", "unims", "disable")]
    guest = with_pasid(*steps, *steps[:2], Step("reset", device="iax0"), *steps[3:])
    seen = []
    for number in range(8):
        answer = Done(1) if number < 7 else Refused(1, Errno.EINVAL)
        hand(guest, answer, VDCMS[2])
        seen.append((guest.queues.get("iax0"), guest.ims.get("iax0")))
    assert seen == [
        (17, None), (17, 17), (17, None), (None, None),
        (17, None), (17, 17), (None, None), (None, None),
    ]  # fmt: skip
    shared = with_pasid(Step("enable", device="dsa0"))
    hand(shared, Done(1), VDCMS[0])
    assert shared.queues == {"dsa0": 0}


# --- Order ----------------------------------------------------------------------------------------


def test_an_async_step_does_not_hold_up_the_next() -> None:
    guest, sent = sent_at_boot(Step("alloc", "p", wait=False), Step("alloc", "q"), BIND)
    assert sent == [(VFIO, REQUEST), (VFIO, RequestPasid(2, 1, PASID_COUNT - 1))]
    assert hand(guest, GOT, VFIO) == []
    bind = BindPgtbl(1, 1, 17, 170, 1, 1)
    assert hand(guest, RequestPasidGot(2, 18, 180), VFIO) == [(VFIO, bind)]


def test_exit_closes_every_file_and_ends_the_guest() -> None:
    guest, out = booted(Step("alloc", "p", wait=False), Step("exit"), ALLOC)
    assert out.facts == [
        OpInvoked(1, "alloc"),
        OpInvoked(2, "exit"),
        OpInfo(1, "alloc"),
        VmExited("vm1"),
        OpOk(2, "exit"),
    ]
    release = ReleaseFds("vm1")
    assert pairs(out)[1:] == [(to, release) for to in (VFIO, KVM, *VDCMS)]
    assert step(guest, GOT, VFIO).facts == []
    assert hand(guest, REPORT, VFIO) == []
    assert guest.tasks == {}


# --- Page requests --------------------------------------------------------------------------------


def test_a_page_request_is_answered_once() -> None:
    guest, _ = booted()
    respond = RespondPage(1, "dsa0", 17, 170, 9, ResponseCode.SUCCESS)
    assert hand(guest, REPORT, VFIO) == [(VFIO, respond)]
    assert guest.tasks != {}
    assert copy_of(guest) == guest
    assert hand(guest, Refused(1, Errno.EINVAL), VFIO) == []
    assert guest.tasks == {}


def test_a_lost_vfio_is_not_waited_for() -> None:
    guest, _ = booted()
    hand(guest, REPORT, VFIO)
    hand(guest, HostLost(VFIO), SUPERVISOR)
    assert guest.tasks == {}


# --- State ----------------------------------------------------------------------------------------


def test_the_state_round_trips_at_every_step() -> None:
    fault = Step("fault", "p", device="dsa0", count=2, wait=False)
    plan = Plan((ALLOC, BIND, fault), operations=3, mix={"alloc": 1}, tell=(("p", "vm2.guest"),))
    guest = Guest.of(MACHINE, GUEST, plan)
    assert copy_of(guest) == guest
    opens = hand(guest, Start(), SUPERVISOR)
    inputs: list[tuple[Inbox, str]] = [(Done(n + 1), to) for n, (to, _) in enumerate(opens)]
    inputs += [(GOT, VFIO), (Done(1), VFIO), (Done(1), VDCMS[0]), (REPORT, VFIO)]
    inputs += [(Told("q", 3, 30, 1), "vm2.guest"), (TimerFired("retry:9"), SUPERVISOR)]
    for message, sender in inputs:
        hand(guest, message, sender)
        assert copy_of(guest) == guest
    assert len(guest.tasks) == 3
