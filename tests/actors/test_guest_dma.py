"""Descriptors: how they get in, how they end, and what is lost with whom."""

import pytest

from actors.guest import Guest
from actors.guest.descriptors import FIRST_ABSENT, RETRIES
from protocol.effects import SetTimer
from protocol.errors import Errno
from protocol.facts import OpFail, OpInfo, OpInvoked, OpOk
from protocol.messages import (
    AnyMessage,
    DescriptorDone,
    Done,
    EnableVwq,
    GuestEnqcmd,
    GuestEnqcmdGot,
    HostLost,
    PageRequestReport,
    Refused,
    RequestPasidGot,
    Status,
    SubmitDescriptor,
    TimerFired,
    VmExit,
)
from protocol.names import SUPERVISOR, VFIO
from protocol.plan import Plan, Step
from tests.actors.guest_hands import KVM, VDCMS, booted, hand, pairs
from tests.helpers import Failing, step

TAKEN = GuestEnqcmdGot(1, accepted=True)
RETRY = GuestEnqcmdGot(1, accepted=False)
AGAIN = TimerFired("retry:1")


def doing(*steps: Step, misbehave: tuple[str, ...] = ()) -> Guest:
    """A guest with 17 in `p` that has begun the first of these."""
    plan = Plan((Step("alloc", "p"), *steps), misbehave=misbehave)
    guest, _ = booted(plan=plan)
    hand(guest, RequestPasidGot(1, 17, 170), VFIO)
    return guest


def dma(count: int = 1, **more: bool) -> Guest:
    """A guest that has been asked to enable dsa0, and then to submit so many."""
    return doing(Step("dma", "p", device="dsa0", count=count, **more))  # type: ignore[arg-type]


def command(tag: int, page: int, *, mapped: bool = True) -> AnyMessage:
    return GuestEnqcmd(1, "dsa0", 1, tag, page, mapped)


def ended(tag: int, status: Status = Status.SUCCESS, device: str = "dsa0") -> DescriptorDone:
    return DescriptorDone(device, tag, status)


# --- Shared ---------------------------------------------------------------------------------------


def test_a_queue_that_nobody_touched_is_enabled_first_and_only_once() -> None:
    one = Step("dma", "p", device="dsa0")
    guest = doing(one, one)
    assert hand(guest, Done(1), VDCMS[0]) == [(KVM, command(1, 0))]
    hand(guest, TAKEN, KVM)
    assert hand(guest, ended(1), "dsa0") == [(KVM, command(1, 0))]


def test_by_the_slow_path_the_commands_go_to_the_vdcm() -> None:
    """Whatever the queue: it is the VDCM that refuses them for a dedicated one."""
    guest = doing(Step("portal", "p", device="dsa0", count=2))
    assert hand(guest, Done(1), VDCMS[0]) == [(VDCMS[0], command(1, 0))]
    assert hand(guest, TAKEN, VDCMS[0]) == [(VDCMS[0], command(2, 1))]
    hand(guest, TAKEN, VDCMS[0])
    hand(guest, ended(1), "dsa0")
    assert step(guest, ended(2), "dsa0").facts == [OpOk(2, "portal")]


def test_err_a_slow_path_that_the_vdcm_refuses_is_given_up() -> None:
    guest = doing(Step("portal", "p", device="iax0"))
    request = GuestEnqcmd(1, "iax0", 1, 1, 0, mapped=True)
    assert hand(guest, Done(1), VDCMS[2]) == [(VDCMS[2], request)]
    refused = Refused(1, Errno.EINVAL)
    assert step(guest, refused, VDCMS[2]).facts == [OpFail(2, "portal", "EINVAL")]


def test_a_queue_that_was_disabled_is_left_so() -> None:
    guest = doing(Step("disable", device="dsa0"), Step("dma", "p", device="dsa0"))
    assert hand(guest, Done(1), VDCMS[0]) == [(KVM, command(1, 0))]


def test_commands_retire_one_by_one_and_all_completions_are_waited_for() -> None:
    guest = dma(count=3)
    hand(guest, Done(1), VDCMS[0])
    assert hand(guest, TAKEN, KVM) == [(KVM, command(2, 1))]
    assert hand(guest, ended(1), "dsa0") == []
    assert hand(guest, TAKEN, KVM) == [(KVM, command(1, 2))]
    assert hand(guest, TAKEN, KVM) == []
    assert step(guest, ended(1), "dsa0").facts == []
    assert step(guest, ended(2), "dsa0").facts == [OpOk(2, "dma")]


def test_a_completion_may_come_before_its_command_is_known_to_have_retired() -> None:
    guest = dma()
    hand(guest, Done(1), VDCMS[0])
    assert step(guest, ended(1), "dsa0").facts == []
    assert step(guest, TAKEN, KVM).facts == [OpOk(2, "dma")]


def test_a_descriptor_that_has_completed_got_in_whatever_kvm_says_of_a_lost_device() -> None:
    guest = dma()
    hand(guest, Done(1), VDCMS[0])
    hand(guest, ended(1), "dsa0")
    assert step(guest, RETRY, KVM).facts == [OpOk(2, "dma")]


@pytest.mark.parametrize("status", [Status.FAULT, Status.ABORT])
def test_err_the_first_bad_completion_is_the_outcome(status: Status) -> None:
    guest = dma(count=2)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    hand(guest, TAKEN, KVM)
    hand(guest, ended(2, status), "dsa0")
    out = step(guest, ended(1, Status.ABORT), "dsa0")
    assert out.facts == [OpFail(2, "dma", status.value)]


def test_a_completion_of_another_device_or_of_nothing_is_dropped() -> None:
    guest = dma()
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    assert step(guest, ended(1, device="dsa1"), "dsa1").facts == []
    assert step(guest, ended(2), "dsa0").facts == []


def test_retry_is_tried_again_and_may_succeed() -> None:
    guest = dma()
    hand(guest, Done(1), VDCMS[0])
    assert step(guest, RETRY, KVM).effects == [SetTimer("retry:1")]
    assert hand(guest, AGAIN, SUPERVISOR) == [(KVM, command(1, 0))]
    assert hand(guest, AGAIN, SUPERVISOR) == []
    assert hand(guest, TimerFired("retry:2"), SUPERVISOR) == []
    hand(guest, TAKEN, KVM)
    assert step(guest, ended(1), "dsa0").facts == [OpOk(2, "dma")]


def test_err_retry_for_ever_is_eagain_once_the_others_have_ended() -> None:
    guest = dma(count=2)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    for _ in range(RETRIES):
        hand(guest, RETRY, KVM)
        hand(guest, AGAIN, SUPERVISOR)
    assert step(guest, RETRY, KVM).facts == []
    assert step(guest, ended(1, Status.FAULT), "dsa0").facts == [OpFail(2, "dma", "EAGAIN")]


def test_err_without_a_translation_the_command_leaves_the_guest() -> None:
    guest = dma(count=3)
    hand(guest, Done(1), VDCMS[0])
    assert step(guest, VmExit(1), KVM).facts == [OpFail(2, "dma", "exit72")]


def test_err_an_earlier_fault_is_the_outcome_and_not_the_exit_after_it() -> None:
    guest = dma(count=2)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    hand(guest, ended(1, Status.FAULT), "dsa0")
    assert step(guest, VmExit(1), KVM).facts == [OpFail(2, "dma", "fault")]


@pytest.mark.parametrize(
    ("errno", "sent"), [(Errno.EBUSY, [(KVM, command(1, 0))]), (Errno.ENODEV, [])]
)
def test_a_queue_that_is_enabled_already_will_do(
    errno: Errno, sent: list[tuple[str, AnyMessage]]
) -> None:
    guest = dma()
    out = step(guest, Refused(1, errno), VDCMS[0])
    assert pairs(out) == sent
    assert (OpFail(2, "dma", errno.value) in out.facts) is (not sent)


def test_two_operations_never_use_one_tag() -> None:
    one = Step("dma", "p", device="dsa0", wait=False)
    guest = doing(Step("enable", device="dsa0"), one, one)
    sent = hand(guest, Done(1), VDCMS[0])
    assert [message.tag for _, message in sent if isinstance(message, GuestEnqcmd)] == [1, 2]


# --- Faults ---------------------------------------------------------------------------------------


def test_each_fault_touches_a_page_that_no_other_has_had() -> None:
    guest = doing(
        Step("fault", "p", device="dsa0", count=2),
        Step("fault", number=5, device="dsa0"),
    )
    first = command(1, FIRST_ABSENT, mapped=False)
    assert hand(guest, Done(1), VDCMS[0]) == [(KVM, first)]
    hand(guest, RETRY, KVM)
    assert hand(guest, AGAIN, SUPERVISOR) == [(KVM, first)]
    second = command(2, FIRST_ABSENT + 1, mapped=False)
    assert hand(guest, TAKEN, KVM) == [(KVM, second)]
    hand(guest, TAKEN, KVM)
    hand(guest, ended(1), "dsa0")
    foreign = GuestEnqcmd(1, "dsa0", 2, 1, FIRST_ABSENT, mapped=False)
    assert hand(guest, ended(2), "dsa0") == [(KVM, foreign)]


@pytest.mark.parametrize("device", ["dsa0", "iax0"])
def test_a_guest_that_does_not_answer_knows_which_descriptor_waits(device: str) -> None:
    fault = Step("fault", "p", device=device, count=2, wait=False)
    other = Step("fault", "p", device="dsa1", wait=False)
    guest = doing(fault, other, misbehave=("no-response",))
    hand(guest, Done(1), f"vdcm.{device}")
    hand(guest, TAKEN, KVM)
    report = PageRequestReport("vm1", device, 17, 170, 1, 9, FIRST_ABSENT)
    assert hand(guest, report, VFIO, Failing(draws=(3,))) == []
    held = [flight.withheld for task in guest.running() for flight in task.flying]
    assert held == [True, False]
    assert len(hand(guest, report, VFIO)) == 1


# --- Dedicated ------------------------------------------------------------------------------------


def test_a_dedicated_queue_is_enabled_with_the_pasid_and_written_to_directly() -> None:
    guest, _ = booted(Step("alloc", "p"), Step("dma", "p", device="iax0", count=2))
    assert hand(guest, RequestPasidGot(1, 17, 170), VFIO) == [(VDCMS[2], EnableVwq(1, 1))]
    assert hand(guest, Done(1), VDCMS[2]) == [
        ("iax0", SubmitDescriptor(1, 0, mapped=True)),
        ("iax0", SubmitDescriptor(2, 1, mapped=True)),
    ]
    assert guest.queues == {"iax0": 17}
    hand(guest, ended(2, device="iax0"), "iax0")
    out = step(guest, ended(1, Status.ABORT, "iax0"), "iax0")
    assert out.facts == [OpFail(2, "dma", "abort")]


# --- Losses ---------------------------------------------------------------------------------------


def test_with_the_device_its_descriptors_are_lost() -> None:
    guest = dma(count=2)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    assert step(guest, HostLost("dsa0"), SUPERVISOR).facts == []
    assert step(guest, TAKEN, KVM).facts == [OpInfo(2, "dma")]


def test_a_retry_for_a_lost_device_is_not_waited_for() -> None:
    one = Step("dma", "p", device="dsa0")
    guest = doing(one, one)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, RETRY, KVM)
    out = step(guest, HostLost("dsa0"), SUPERVISOR)
    assert out.facts == [OpInfo(2, "dma"), OpInvoked(3, "dma", 17, 170, "dsa0"), OpInfo(3, "dma")]
    assert out.effects == []


def test_with_the_vm_only_what_the_device_has_is_waited_for() -> None:
    guest = dma(count=2)
    hand(guest, Done(1), VDCMS[0])
    hand(guest, TAKEN, KVM)
    assert step(guest, HostLost(KVM), SUPERVISOR).facts == []
    assert step(guest, ended(1), "dsa0").facts == [OpInfo(2, "dma")]


def test_a_lost_vm_is_not_asked_again() -> None:
    guest = dma()
    hand(guest, Done(1), VDCMS[0])
    hand(guest, RETRY, KVM)
    hand(guest, HostLost(KVM), SUPERVISOR)
    assert step(guest, AGAIN, SUPERVISOR).facts == [OpInfo(2, "dma")]


def test_without_its_virtual_device_a_queue_cannot_be_enabled() -> None:
    one = Step("dma", "p", device="dsa0")
    guest = doing(one, one)
    out = step(guest, HostLost(VDCMS[0]), SUPERVISOR)
    assert out.facts == [OpInfo(2, "dma"), OpInvoked(3, "dma", 17, 170, "dsa0"), OpInfo(3, "dma")]
