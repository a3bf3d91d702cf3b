"""The device's work queues: who may submit, how many, and when a drain is answered."""

import msgspec
import pytest

from actors.device import Device
from actors.device.inbox import Inbox
from protocol.effects import Out, Send
from protocol.errors import Errno
from protocol.facts import DescriptorEnded, WqCleared, WqProgrammed
from protocol.machine import Device as DeviceSpec
from protocol.machine import Machine, Unit
from protocol.messages import (
    DescriptorDone,
    DisableWq,
    Done,
    DrainPasid,
    DrainWq,
    EnableWq,
    EnqcmdWrite,
    EnqcmdWriteGot,
    Refused,
    Status,
    SubmitDescriptor,
    Translate,
    Translated,
    Translation,
    WqMode,
    WriteIms,
)
from protocol.names import Name, Pasid, kvm_of
from tests.helpers import step

P = 101
VDCM = "vdcm.dsa0"
OTHER = "vdcm.other"
MACHINE = Machine(
    units=(Unit("dmar0"),),
    devices=(
        DeviceSpec("dsa0", "dmar0", wq="dedicated", wq_size=2),
        DeviceSpec("dsa1", "dmar0", wq_size=2),
    ),
    vms=(),
)


def enable(vm: Name = "vm1", pasid: Pasid = P, incarnation: int = 7) -> EnableWq:
    return EnableWq(1, vm, WqMode.DEDICATED, pasid, incarnation)


def submit(tag: int = 0) -> SubmitDescriptor:
    return SubmitDescriptor(tag, page=tag, mapped=True)


def enqcmd(tag: int = 0, vm: Name = "vm1", pasid: Pasid = P) -> EnqcmdWrite:
    return EnqcmdWrite(9, vm, pasid, 7, tag, tag, mapped=True)


def finished(call: int = 1) -> Translated:
    return Translated(call, Translation.OK, 7, "vm1", 0x7000)


def ask(device: Device, message: Inbox, sender: Name = "") -> Out:
    """One more input; the device is the same after being stored and read back."""
    if not sender:
        match message:
            case SubmitDescriptor():
                sender = "vm1.guest"
            case EnqcmdWrite():
                sender = kvm_of(message.vm)
            case Translated():
                sender = "dmar0"
            case _:
                sender = VDCM
    out = step(device, message, sender, name=device.name)
    stored = msgspec.msgpack.encode(device)
    assert msgspec.msgpack.decode(stored, type=Device) == device
    return out


def device_with(*messages: Inbox, name: Name = "dsa0") -> Device:
    device = Device.of(MACHINE, name)
    for message in messages:
        ask(device, message)
    return device


def shared_by(*vms: Name) -> Device:
    return device_with(*(EnableWq(1, vm, WqMode.SHARED, 0, 0) for vm in vms), name="dsa1")


def aborted(tag: int = 0) -> Send:
    return Send("vm1.guest", DescriptorDone("dsa0", tag, Status.ABORT))


# --- Configuration --------------------------------------------------------------------------------


def test_a_dedicated_queue_is_programmed_with_its_pasid() -> None:
    out = ask(device_with(), enable())
    assert out.effects == [Send(VDCM, Done(1))]
    assert out.facts == [WqProgrammed("vm1", "dsa0", "wq", P, 7)]


def test_a_shared_queue_holds_no_pasid() -> None:
    out = ask(shared_by(), EnableWq(1, "vm1", WqMode.SHARED, 0, 0))
    assert out.effects == [Send(VDCM, Done(1))]
    assert out.facts == []


def test_err_a_queue_is_not_enabled_twice_nor_while_it_is_being_disabled() -> None:
    device = device_with(enable(), submit())
    assert ask(device, enable()).effects == [Send(VDCM, Refused(1, Errno.EBUSY))]
    ask(device, DisableWq(2, "vm1"))
    assert ask(device, enable()).effects == [Send(VDCM, Refused(1, Errno.EBUSY))]


def test_err_a_queue_has_the_mode_that_the_machine_gave_it() -> None:
    out = ask(shared_by(), enable())
    assert out.effects == [Send(VDCM, Refused(1, Errno.EINVAL))]
    assert out.facts == []


def test_interrupt_storage_is_programmed_replaced_and_cleared() -> None:
    device = device_with()
    assert ask(device, WriteIms(3, "vm1", P, 7)).facts == [WqProgrammed("vm1", "dsa0", "ims", P, 7)]
    assert ask(device, WriteIms(3, "vm1", P + 1, 8)).facts == [
        WqCleared("vm1", "dsa0", "ims", P, 7),
        WqProgrammed("vm1", "dsa0", "ims", P + 1, 8),
    ]
    out = ask(device, WriteIms(3, "vm1", 0, 0))
    assert out.facts == [WqCleared("vm1", "dsa0", "ims", P + 1, 8)]
    assert out.effects == [Send(VDCM, Done(3))]
    assert ask(device, WriteIms(3, "vm1", 0, 0)).facts == []
    assert device == device_with()


# --- Submission -----------------------------------------------------------------------------------


def test_the_portal_of_a_dedicated_queue_takes_the_pasid_from_its_configuration() -> None:
    out = ask(device_with(enable()), submit())
    assert out.effects == [Send("dmar0", Translate(1, P, 7, 0, mapped=True))]


@pytest.mark.parametrize(
    "before",
    [
        (),
        (enable("vm2"),),
        (enable(), submit(1), submit(2)),
        (enable(), submit(1), DisableWq(2, "vm1")),
    ],
)
def test_err_what_no_queue_takes_ends_in_an_abort(before: tuple[Inbox, ...]) -> None:
    out = ask(device_with(*before), submit())
    assert out.effects == [aborted()]
    assert out.facts == []


def test_err_the_portal_of_a_shared_queue_takes_no_posted_write() -> None:
    out = ask(shared_by("vm1"), submit())
    assert out.effects == [Send("vm1.guest", DescriptorDone("dsa1", 0, Status.ABORT))]


def test_err_enqcmd_to_a_queue_that_is_not_there_retries() -> None:
    retry = Send("vm1.kvm", EnqcmdWriteGot(9, accepted=False))
    assert ask(shared_by(), enqcmd()).effects == [retry]
    assert ask(shared_by("vm2"), enqcmd()).effects == [retry]
    assert ask(device_with(enable()), enqcmd()).effects == [retry]


def test_err_vms_that_share_a_queue_share_its_room() -> None:
    device = shared_by("vm1", "vm2")
    ask(device, enqcmd(1))
    ask(device, enqcmd(1, vm="vm2"))
    assert ask(device, enqcmd(2)).effects == [Send("vm1.kvm", EnqcmdWriteGot(9, accepted=False))]
    ask(device, finished(2))
    assert ask(device, enqcmd(2)).effects[0] == Send("vm1.kvm", EnqcmdWriteGot(9, accepted=True))


def test_dedicated_queues_have_room_of_their_own() -> None:
    device = device_with(enable(), enable("vm2", P + 1), submit(1), submit(2))
    assert device.has_room("vm2")
    assert not device.has_room("vm1")


# --- Quiescing ------------------------------------------------------------------------------------


def test_an_idle_queue_is_disabled_at_once() -> None:
    device = device_with(enable())
    out = ask(device, DisableWq(2, "vm1"))
    assert out.effects == [Send(VDCM, Done(2))]
    assert out.facts == [WqCleared("vm1", "dsa0", "wq", P, 7)]
    assert device == device_with()


def test_a_queue_that_is_not_enabled_is_disabled_already() -> None:
    out = ask(device_with(), DisableWq(2, "vm1"))
    assert out.effects == [Send(VDCM, Done(2))]
    assert out.facts == []


def test_disable_waits_for_its_descriptors_and_clears_the_pasid_last() -> None:
    device = device_with(enable(), enable("vm2", P + 1), submit(0), submit(1))
    ask(device, submit(0), "vm2.guest")
    assert ask(device, DisableWq(2, "vm1")).effects == []
    assert ask(device, finished(1)).effects[1:] == []
    out = ask(device, finished(2))
    assert out.effects[1:] == [Send(VDCM, Done(2))]
    assert isinstance(out.facts[-2], DescriptorEnded)
    assert out.facts[-1] == WqCleared("vm1", "dsa0", "wq", P, 7)
    assert list(device.queues) == ["vm2"]


def test_disable_with_abort_hurries_one_that_waits() -> None:
    device = device_with(enable(), submit(0))
    ask(device, Translated(1, Translation.NONE, 0, "", 0))
    ask(device, submit(1))
    ask(device, DisableWq(2, "vm1"))
    assert ask(device, DisableWq(3, "vm1", abort=True)).effects == [aborted(0)]
    out = ask(device, finished(2))
    assert out.effects == [aborted(1), Send(VDCM, Done(2)), Send(VDCM, Done(3))]
    assert out.facts.count(WqCleared("vm1", "dsa0", "wq", P, 7)) == 1


def test_drains_of_a_queue_and_of_a_pasid_wait_for_their_own_descriptors() -> None:
    device = shared_by("vm1", "vm2")
    ask(device, enqcmd(0))
    ask(device, enqcmd(0, vm="vm2", pasid=P + 1))
    assert ask(device, DrainWq(2, "vm1"), OTHER).effects == []
    assert ask(device, DrainPasid(2, P + 1, 7)).effects == []
    assert ask(device, DrainPasid(3, P, 7)).effects == []
    assert ask(device, finished(1)).effects[1:] == [Send(OTHER, Done(2)), Send(VDCM, Done(3))]
    assert ask(device, finished(2)).effects[1:] == [Send(VDCM, Done(2))]
    assert device.waiting == []


def test_a_drain_without_descriptors_is_answered_at_once() -> None:
    device = shared_by("vm1")
    assert ask(device, DrainWq(2, "vm1")).effects == [Send(VDCM, Done(2))]
    assert ask(device, DrainPasid(3, P, 7, abort=True)).effects == [Send(VDCM, Done(3))]


def test_a_drain_without_abort_aborts_nothing() -> None:
    device = shared_by("vm1")
    ask(device, enqcmd())
    ask(device, DrainPasid(3, P, 7))
    done = Send("vm1.guest", DescriptorDone("dsa1", 0, Status.SUCCESS))
    assert ask(device, finished()).effects == [done, Send(VDCM, Done(3))]


def test_an_abort_of_one_pasid_leaves_the_others_alone() -> None:
    device = shared_by("vm1", "vm2")
    ask(device, enqcmd(0))
    ask(device, enqcmd(0, vm="vm2", pasid=P + 1))
    ask(device, DrainPasid(3, P, 7, abort=True))
    assert [one.aborted for one in device.descriptors.values()] == [True, False]


def test_a_disabled_queue_takes_no_enqcmd_while_it_drains() -> None:
    device = shared_by("vm1")
    ask(device, enqcmd(0))
    ask(device, DisableWq(2, "vm1"))
    assert ask(device, enqcmd(1)).effects == [Send("vm1.kvm", EnqcmdWriteGot(9, accepted=False))]
    out = ask(device, finished())
    assert out.effects[1:] == [Send(VDCM, Done(2))]
    assert device.queues == {}
