"""EnableVwq and WriteVims: look up the host PASID, put it in the hardware (§4.6).

The look-up grants the slot's reference or nothing, so a guest can name only what its own VM has and
has not freed (mends S24, S33).

Kernel: drivers/vfio/mdev/idxd/vdev.c, idxd_vdcm_enable_wq.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from actors.vdcm import clearing, slots
from actors.vdcm.state import Kind, Program, ProgramStep, Slot
from protocol.effects import Out, Site
from protocol.errors import Errno
from protocol.facts import SlotProgrammed
from protocol.messages import (
    Done,
    EnableVwq,
    EnableWq,
    FindBySpidGot,
    Refused,
    WqMode,
    WriteIms,
    WriteVims,
)
from protocol.names import Call, Incarnation, Name, Pasid, vm_of

if TYPE_CHECKING:
    from actors.vdcm import Vdcm

COMMAND: Final = Site("vdcm.program.command", Errno.ENXIO)
"""The device's command register reports an error, when the reference is there already."""


def on_enable_vwq(vdcm: Vdcm, enable: EnableVwq, guest: Name, out: Out) -> None:
    """A dedicated WQ is programmed; for a shared one the PASID comes with each ENQCMD."""
    if not vdcm.is_open(vm_of(guest)):
        out.send(guest, Refused(enable.call, Errno.ENODEV))
        return
    if vdcm.mode is WqMode.SHARED and enable.gpasid != 0:
        out.send(guest, Refused(enable.call, Errno.EINVAL))
        return

    key = slots.make(vdcm, vm_of(guest), Kind.WQ)
    call = vdcm.begin(Program(guest, enable.call, key, enable.gpasid))
    slots.take(vdcm, call, key, out)


def on_write_vims(vdcm: Vdcm, vims: WriteVims, guest: Name, out: Out) -> None:
    """An interrupt message storage entry with PASID enable; gpasid 0 clears it."""
    vm = vm_of(guest)
    if not vdcm.is_open(vm):
        out.send(guest, Refused(vims.call, Errno.ENODEV))
        return
    if vims.gpasid == 0:
        clearing.clear_ims(vdcm, vims, guest, out)
        return

    key = slots.make(vdcm, vm, Kind.IMS)
    call = vdcm.begin(Program(guest, vims.call, key, vims.gpasid))
    slots.take(vdcm, call, key, out)


def begin(vdcm: Vdcm, call: Call, task: Program, out: Out) -> None:
    """The slot is ours, so what it is like now counts."""
    slot = vdcm.slots[task.slot]
    if vdcm.lost or not vdcm.is_open(slot.vm):
        refuse(vdcm, call, task, Errno.ENODEV, out)
    elif slot.in_use:
        refuse(vdcm, call, task, Errno.EBUSY, out)
    elif slot.kind is Kind.WQ and vdcm.mode is WqMode.SHARED:
        slot.in_use = True
        program(vdcm, call, task, out)
    else:
        task.step = ProgramStep.FIND
        vdcm.look_up(slot, task.gpasid, call, out)


def found(vdcm: Vdcm, got: FindBySpidGot, task: Program, out: Out) -> None:
    """The reference is ours, and from now on a FREE concerns the slot."""
    slot = vdcm.slots[task.slot]
    vdcm.fill(slot, got.pasid, got.incarnation, out)
    errno = out.may_fail(COMMAND)
    if errno is None:
        program(vdcm, got.call, task, out)
    else:
        undo(vdcm, got.call, task, errno, out)


def fill(vdcm: Vdcm, slot: Slot, pasid: Pasid, incarnation: Incarnation, out: Out) -> None:
    """The reference is granted: from now on the slot has to be cleared by somebody."""
    slot.pasid, slot.incarnation, slot.in_use = pasid, incarnation, True
    out.record(SlotProgrammed(slot.vm, vdcm.device, slot.kind.value, pasid, incarnation))


def program(vdcm: Vdcm, call: Call, task: Program, out: Out) -> None:
    """Into the hardware."""
    slot = vdcm.slots[task.slot]
    task.step = ProgramStep.DEVICE
    if vdcm.lost:
        undo(vdcm, call, task, Errno.ENODEV, out)
    elif slot.kind is Kind.WQ:
        enable = EnableWq(call, slot.vm, vdcm.mode, slot.pasid, slot.incarnation)
        out.send(vdcm.device, enable)
    else:
        out.send(vdcm.device, WriteIms(call, slot.vm, slot.pasid, slot.incarnation))


def programmed(vdcm: Vdcm, call: Call, task: Program, out: Out) -> None:
    """The hardware has it."""
    del vdcm.tasks[call]
    out.send(task.guest, Done(task.call))
    slots.leave(vdcm, task.slot, out)


def undo(vdcm: Vdcm, call: Call, task: Program, errno: Errno, out: Out) -> None:
    """The hardware has not taken it: the reference goes back before the guest hears of it."""
    slot = vdcm.slots[task.slot]
    if slot.pasid == 0:
        slot.in_use = False
        refuse(vdcm, call, task, errno, out)
        return

    task.step, task.errno = ProgramStep.PUT, errno
    vdcm.clear(slot, call, out)


def refuse(vdcm: Vdcm, call: Call, task: Program, errno: Errno, out: Out) -> None:
    """The slot is as it was."""
    del vdcm.tasks[call]
    out.send(task.guest, Refused(task.call, errno))
    slots.leave(vdcm, task.slot, out)
