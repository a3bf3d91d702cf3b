"""Descriptors, device TLB and page requests; work queues are in test_device_queues.py."""

import msgspec
import pytest

from actors.device import Device
from actors.device.inbox import Inbox
from protocol.effects import Out, Send
from protocol.facts import (
    CacheFilled,
    CacheFlushed,
    DescriptorAccepted,
    DescriptorEnded,
    DmaBlocked,
    DmaTranslated,
    Event,
    PageRequested,
    PageSettled,
)
from protocol.machine import Device as DeviceSpec
from protocol.machine import Machine, Unit
from protocol.messages import (
    DescriptorDone,
    DisableWq,
    Done,
    DrainPasid,
    EnableWq,
    EnqcmdWrite,
    EnqcmdWriteGot,
    FlushDevTlb,
    HostLost,
    PageGroupResponse,
    RaisePageRequest,
    ResponseCode,
    Start,
    Status,
    Translate,
    Translated,
    Translation,
    UntranslatedDma,
    WqMode,
)
from protocol.names import Name, Pasid
from tests.helpers import step

P = 101
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(
        DeviceSpec("dsa0", "dmar0"),
        DeviceSpec("dsa1", "dmar0", pri=False),
        DeviceSpec("plain", "dmar0", ats=False),
    ),
    vms=(),
)
OK, NONE, UR = Translation.OK, Translation.NONE, Translation.UR
ACCEPTED = Send("vm1.kvm", EnqcmdWriteGot(9, accepted=True))
ABORT_PASID = DrainPasid(8, P, 7, abort=True)


def enqcmd(tag: int = 0, page: int = 0, mapped: bool = True, pasid: Pasid = P) -> EnqcmdWrite:
    return EnqcmdWrite(9, "vm1", pasid, 7, tag, page, mapped)


def translated(call: int = 1, outcome: Translation = OK) -> Translated:
    """The unit's answer, through vm1's entry of life 7."""
    return Translated(call, outcome, 7, "vm1", 0x7000) if outcome is OK else refused(call, outcome)


def refused(call: int, outcome: Translation) -> Translated:
    return Translated(call, outcome, 0, "", 0)


def response(code: ResponseCode, group: int = 0, mapped: bool = False) -> PageGroupResponse:
    return PageGroupResponse("dsa0", P, 7, group, code, mapped)


def ask(device: Device, message: Inbox, sender: Name = "dmar0") -> Out:
    """One more input; the device is the same after being stored and read back."""
    if isinstance(message, EnqcmdWrite):
        sender = "vm1.kvm"
    elif isinstance(message, EnableWq | DisableWq | DrainPasid):
        sender = "vdcm"
    out = step(device, message, sender, name=device.name)
    stored = msgspec.msgpack.encode(device)
    assert msgspec.msgpack.decode(stored, type=Device) == device
    return out


def device_with(*messages: Inbox, name: Name = "dsa0") -> Device:
    """A device whose shared WQ vm1 may use, and that got these messages."""
    device = Device.of(MACHINE, name)
    for message in (EnableWq(1, "vm1", WqMode.SHARED, 0, 0), *messages):
        ask(device, message)
    return device


def ended(status: str, tag: int = 0) -> DescriptorEnded:
    return DescriptorEnded("dsa0", "vm1", f"vm1:{tag}", P, 7, status)


def dma(through: str = "iommu") -> DmaTranslated:
    return DmaTranslated("dsa0", "vm1", P, 7, 0, through, table_vm="vm1", table_incarnation=7)


def done(status: Status, tag: int = 0, device: Name = "dsa0") -> Send:
    return Send("vm1.guest", DescriptorDone(device, tag, status))


def test_a_device_is_what_the_machine_says() -> None:
    device = Device.of(MACHINE, "dsa0")
    assert (device.unit, device.mode, device.wq_size) == ("dmar0", WqMode.SHARED, 8)
    assert (device.ats, device.pri) == (True, True)
    assert not Device.SITES
    assert not Device.LOSABLE


@pytest.mark.parametrize("message", [Start(), HostLost("vm1.guest")])
def test_starts_and_losses_say_nothing_to_hardware(message: Start | HostLost) -> None:
    device = device_with(enqcmd())
    out = ask(device, message)
    assert out.effects == []
    assert device == device_with(enqcmd())


# --- Translations ---------------------------------------------------------------------------------


def test_an_accepted_descriptor_asks_the_unit_for_its_page() -> None:
    out = ask(device_with(), enqcmd(page=3, mapped=False))
    assert out.effects == [ACCEPTED, Send("dmar0", Translate(1, P, 7, 3, mapped=False))]
    assert out.facts == [DescriptorAccepted("dsa0", "vm1", "vm1:0", P, 7)]


def test_a_translation_fills_the_device_tlb_and_completes_the_descriptor() -> None:
    device = device_with(enqcmd())
    out = ask(device, translated())
    assert out.facts == [CacheFilled("device-tlb", "dsa0", P, 7), dma(), ended("success")]
    assert out.effects == [done(Status.SUCCESS)]
    assert device.descriptors == {}


def test_a_second_page_of_a_pasid_is_no_new_line_for_the_history() -> None:
    device = device_with(enqcmd(), translated(), enqcmd(page=1))
    assert not any(isinstance(fact, CacheFilled) for fact in ask(device, translated()).facts)


def test_a_device_tlb_line_translates_without_the_unit() -> None:
    out = ask(device_with(enqcmd(), translated()), enqcmd(tag=1))
    assert out.effects == [ACCEPTED, done(Status.SUCCESS, tag=1)]
    assert out.facts[1:] == [dma("device-tlb"), ended("success", tag=1)]


def test_a_stale_device_tlb_line_shows_whose_table_it_came_from() -> None:
    device = device_with(enqcmd(), translated())
    out = ask(device, EnqcmdWrite(9, "vm1", P, 8, 1, 0, mapped=True))
    assert DmaTranslated("dsa0", "vm1", P, 8, 0, "device-tlb", "vm1", 7) in out.facts


def test_descriptors_progress_on_their_own_and_numbers_are_used_again() -> None:
    device = device_with(enqcmd(tag=0), enqcmd(tag=1, page=1))
    assert ask(device, translated(2)).effects == [done(Status.SUCCESS, tag=1)]
    out = ask(device, enqcmd(tag=2, page=2))
    assert out.effects[1] == Send("dmar0", Translate(2, P, 7, 2, mapped=True))
    assert ask(device, translated(1)).effects == [done(Status.SUCCESS, tag=0)]


def test_err_a_tag_is_not_used_twice_at_once() -> None:
    with pytest.raises(AssertionError):
        ask(device_with(enqcmd()), enqcmd())


def test_err_an_access_that_is_unsupported_ends_in_a_fault() -> None:
    out = ask(device_with(enqcmd()), translated(outcome=UR))
    assert out.facts == [DmaBlocked("dsa0", "vm1", P, 7, "ur"), ended("fault")]
    assert out.effects == [done(Status.FAULT)]


def test_err_without_pri_nobody_can_be_asked_for_a_page() -> None:
    device = device_with(enqcmd(), name="dsa1")
    out = ask(device, translated(outcome=NONE))
    assert out.facts[0] == DmaBlocked("dsa1", "vm1", P, 7, "none")
    assert out.effects == [done(Status.FAULT, device="dsa1")]


def test_a_device_without_ats_has_its_accesses_made_by_the_unit() -> None:
    device = device_with(name="plain")
    out = ask(device, enqcmd())
    assert out.effects[1] == Send("dmar0", UntranslatedDma(1, P, 7, 0, mapped=True))
    out = ask(device, translated())
    assert [type(fact) for fact in out.facts] == [DmaTranslated, DescriptorEnded]
    assert device.tlb == {}


@pytest.mark.parametrize("outcome", [NONE, UR])
def test_err_without_ats_an_access_is_blocked_for_good(outcome: Translation) -> None:
    """PRI without ATS is nothing."""
    out = ask(device_with(enqcmd(), name="plain"), translated(outcome=outcome))
    assert out.effects == [done(Status.FAULT, device="plain")]


# --- Page requests --------------------------------------------------------------------------------


def waiting_for_a_page() -> Device:
    return device_with(enqcmd(mapped=False), translated(outcome=NONE))


def test_a_page_without_permission_is_asked_for() -> None:
    out = ask(device_with(enqcmd(page=3, mapped=False)), translated(outcome=NONE))
    assert out.effects == [Send("dmar0", RaisePageRequest(P, 7, 0, 3, last=True))]
    assert out.facts == [PageRequested("dsa0", P, 7, 0)]


def test_success_with_the_page_makes_the_device_translate_again() -> None:
    device = waiting_for_a_page()
    out = ask(device, response(ResponseCode.SUCCESS, mapped=True))
    assert out.effects == [Send("dmar0", Translate(1, P, 7, 0, mapped=True))]
    assert out.facts == [PageSettled("dsa0", P, 7, 0, 0)]
    assert ask(device, translated()).effects == [done(Status.SUCCESS)]


def test_success_from_a_full_ring_brings_no_page_so_it_is_asked_for_again() -> None:
    device = waiting_for_a_page()
    out = ask(device, response(ResponseCode.SUCCESS))
    assert out.effects == [Send("dmar0", Translate(1, P, 7, 0, mapped=False))]
    out = ask(device, translated(outcome=NONE))
    assert out.effects == [Send("dmar0", RaisePageRequest(P, 7, 0, 0, last=True))]


@pytest.mark.parametrize("code", [ResponseCode.INVALID, ResponseCode.FAILURE])
def test_err_any_other_answer_ends_the_descriptor_in_a_fault(code: ResponseCode) -> None:
    out = ask(waiting_for_a_page(), response(code))
    assert out.facts == [PageSettled("dsa0", P, 7, 0, int(code)), ended("fault")]
    assert out.effects == [done(Status.FAULT)]


def test_groups_are_numbered_with_the_smallest_that_is_free() -> None:
    device = waiting_for_a_page()
    ask(device, enqcmd(tag=1, page=1, mapped=False))
    assert ask(device, translated(2, NONE)).facts == [PageRequested("dsa0", P, 7, 1)]
    ask(device, response(ResponseCode.INVALID, group=0))
    ask(device, enqcmd(tag=2, page=2, mapped=False))
    assert ask(device, translated(1, NONE)).facts == [PageRequested("dsa0", P, 7, 0)]


@pytest.mark.parametrize(
    "unexpected",
    [
        response(ResponseCode.INVALID, group=1),
        PageGroupResponse("dsa0", P + 1, 8, 0, ResponseCode.INVALID, mapped=False),
    ],
)
def test_err_an_answer_that_nobody_waits_for_is_discarded(unexpected: PageGroupResponse) -> None:
    device = waiting_for_a_page()
    out = ask(device, unexpected)
    assert out.effects == []
    assert out.facts == []
    assert device == waiting_for_a_page()


def test_err_with_all_512_groups_owed_no_page_can_be_asked_for() -> None:
    """A guest that never answers cannot make the device keep more."""
    device = device_with()
    for _ in range(512):
        for message in (enqcmd(), translated(outcome=NONE), ABORT_PASID):
            step(device, message, "dmar0")
    assert len(device.groups) == 512
    ask(device, enqcmd())
    assert ask(device, translated(outcome=NONE)).effects == [done(Status.FAULT)]


# --- Aborted --------------------------------------------------------------------------------------


def test_an_aborted_descriptor_that_waits_for_a_page_ends_and_leaves_its_group_owed() -> None:
    device = waiting_for_a_page()
    out = ask(device, ABORT_PASID)
    assert out.effects == [done(Status.ABORT), Send("vdcm", Done(8))]
    assert out.facts == [ended("abort")]
    assert len(device.groups) == 1

    out = ask(device, response(ResponseCode.SUCCESS, mapped=True))
    assert out.effects == []
    assert out.facts == [PageSettled("dsa0", P, 7, 0, 0)]
    assert device == device_with()


def test_an_aborted_descriptor_awaits_its_translation_and_accesses_nothing() -> None:
    device = device_with(enqcmd())
    assert ask(device, ABORT_PASID).effects == []
    out = ask(device, translated())
    assert out.facts == [CacheFilled("device-tlb", "dsa0", P, 7), ended("abort")]
    assert out.effects == [done(Status.ABORT), Send("vdcm", Done(8))]


def test_an_aborted_access_that_the_unit_has_made_already_is_stated() -> None:
    device = device_with(enqcmd(), ABORT_PASID, name="plain")
    out = ask(device, translated())
    assert [type(fact) for fact in out.facts] == [DmaTranslated, DescriptorEnded]
    assert out.effects[0] == done(Status.ABORT, device="plain")


@pytest.mark.parametrize("outcome", [NONE, UR])
def test_an_aborted_descriptor_asks_for_no_page(outcome: Translation) -> None:
    device = device_with(enqcmd(), ABORT_PASID)
    out = ask(device, translated(outcome=outcome))
    assert out.facts == [ended("abort")]
    assert device == device_with()


# --- Device TLB -----------------------------------------------------------------------------------


def test_a_flush_drops_the_lines_of_its_pasid_and_is_answered() -> None:
    device = device_with(enqcmd(), translated(), enqcmd(pasid=P + 1), translated())
    out = ask(device, FlushDevTlb(1, P, 7))
    assert out.effects == [Send("dmar0", Done(1))]
    assert out.facts == [CacheFlushed("device-tlb", "dsa0", P, 7)]
    assert list(device.tlb) == [P + 1]


def test_a_flush_is_stated_even_if_there_was_no_line() -> None:
    out = ask(device_with(), FlushDevTlb(1, P, 7))
    assert out.facts == [CacheFlushed("device-tlb", "dsa0", P, 7)]


def test_a_flush_of_pasid_0_drops_all_lines() -> None:
    device = device_with(enqcmd(), translated(), enqcmd(pasid=P + 1), translated())
    out = ask(device, FlushDevTlb(1, 0, 0))
    flushed: list[Event] = [CacheFlushed("device-tlb", "dsa0", pasid, 7) for pasid in (P, P + 1)]
    assert out.facts == flushed
    assert out.effects == [Send("dmar0", Done(1))]
    assert device.tlb == {}


def test_after_a_flush_the_unit_is_asked_again() -> None:
    device = device_with(enqcmd(), translated(), FlushDevTlb(1, P, 7))
    assert ask(device, enqcmd()).effects[1] == Send("dmar0", Translate(1, P, 7, 0, mapped=True))
