"""A function-level reset: the device empties, forgets what it is owed, and waits to be returned."""

from actors.device import Device
from actors.device.state import Service
from protocol.effects import Send
from protocol.facts import (
    CacheFlushed,
    FunctionReset,
    FunctionReturned,
    PageRequested,
    PageSettled,
)
from protocol.messages import (
    DeviceReset,
    Done,
    EnqcmdWriteGot,
    FlushDevTlb,
    ResetFunction,
    ResponseCode,
    ReturnToService,
    Status,
)
from protocol.names import IOMMU
from tests.actors.test_device import (
    NONE,
    P,
    ask,
    device_with,
    done,
    ended,
    enqcmd,
    response,
    translated,
)

RESET, RETURN = ResetFunction(), ReturnToService()
OUT_OF_SERVICE = Send(IOMMU, DeviceReset())


def waiting_for_a_page() -> Device:
    """Group 0 is owed to its only descriptor."""
    return device_with(enqcmd(mapped=False), translated(outcome=NONE))


def test_an_idle_device_is_out_of_service_at_once() -> None:
    device = device_with()
    out = ask(device, RESET)
    assert out.facts == [FunctionReset("dsa0")]
    assert out.effects == [OUT_OF_SERVICE]
    assert device.service is Service.OUT


def test_a_descriptor_that_waits_for_a_page_ends_and_its_group_is_cancelled() -> None:
    device = waiting_for_a_page()
    out = ask(device, RESET)
    assert out.facts == [
        ended("abort"),
        PageSettled("dsa0", P, 7, 0, -1),
        FunctionReset("dsa0"),
    ]
    assert out.effects == [done(Status.ABORT), OUT_OF_SERVICE]
    assert device.groups == {}


def test_a_late_answer_is_ignored() -> None:
    device = waiting_for_a_page()
    ask(device, RESET)
    out = ask(device, response(ResponseCode.SUCCESS))
    assert (out.facts, out.effects) == ([], [])


def test_the_reset_is_over_when_no_translation_is_on_its_way_and_leaves_no_line() -> None:
    device = device_with(enqcmd(), translated(), enqcmd(tag=1, page=1), enqcmd(tag=2, page=2))
    assert ask(device, RESET).effects == []
    assert device.service is Service.RESETTING
    assert OUT_OF_SERVICE not in ask(device, translated(1)).effects
    out = ask(device, translated(2))
    assert out.facts[-2:] == [CacheFlushed("device-tlb", "dsa0", P, 7), FunctionReset("dsa0")]
    assert out.effects[-1] == OUT_OF_SERVICE
    assert device.tlb == {}


def test_a_device_out_of_service_takes_no_work_but_flushes() -> None:
    device = device_with(RESET)
    assert ask(device, enqcmd()).effects == [Send("vm1.kvm", EnqcmdWriteGot(9, accepted=False))]
    assert ask(device, FlushDevTlb(1, 0, 0)).effects == [Send("dmar0", Done(1))]


def test_a_second_reset_finds_nothing_more() -> None:
    device = device_with(RESET)
    out = ask(device, RESET)
    assert (out.facts, out.effects) == ([], [])


def test_back_in_service_it_works_as_before_and_counts_groups_from_0() -> None:
    device = waiting_for_a_page()
    ask(device, RESET)
    assert ask(device, RETURN).facts == [FunctionReturned("dsa0")]
    ask(device, enqcmd(mapped=False))
    assert PageRequested("dsa0", P, 7, 0) in ask(device, translated(outcome=NONE)).facts


def test_who_was_not_reset_is_not_returned() -> None:
    device = device_with()
    assert ask(device, RETURN).facts == []
    assert device.service is Service.IN
