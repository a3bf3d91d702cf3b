"""What the device is told and answers, and what stands for that when it is gone (§1.9, §5.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from actors.vdcm import clearing, portal, programming
from actors.vdcm.state import Clear, ClearStep, Drain, Hurry, Kind, Program, ProgramStep, Slot
from actors.vdcm.submission import Submission, SubmissionStep
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    DisableWq,
    Done,
    DrainPasid,
    DrainVwq,
    DrainWq,
    HostLost,
    Refused,
    WriteIms,
)
from protocol.names import Call, Name, vm_of

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def on_drain_vwq(vdcm: Vdcm, drain: DrainVwq, guest: Name, out: Out) -> None:
    """It changes no slot, so it waits for none and keeps none."""
    if not vdcm.is_open(vm_of(guest)):
        out.send(guest, Refused(drain.call, Errno.ENODEV))
        return
    if vdcm.lost:
        out.send(guest, Done(drain.call))  # Of hardware that is gone nothing is left to drain.
        return
    out.send(vdcm.device, DrainWq(vdcm.begin(Drain(guest, drain.call)), vm_of(guest)))


def quiesce(vdcm: Vdcm, slot: Slot, call: Call, out: Out, *, abort: bool) -> None:
    """Disable the WQ, clear the IMS entry, or drain the PASID."""
    match slot.kind:
        case Kind.WQ:
            out.send(vdcm.device, DisableWq(call, slot.vm, abort))
        case Kind.IMS:
            out.send(vdcm.device, WriteIms(call, slot.vm, 0, 0))
        case Kind.SWQ:
            out.send(vdcm.device, DrainPasid(call, slot.pasid, slot.incarnation, abort))
        case _:
            assert_never(slot.kind)


def answered(vdcm: Vdcm, answer: Done | Refused, out: Out) -> None:
    """The device has done it, or will not program."""
    call = answer.call
    match vdcm.tasks.get(call), answer:
        case Program(step=ProgramStep.DEVICE) as task, Done():
            programming.programmed(vdcm, call, task, out)
        case Program(step=ProgramStep.DEVICE) as task, Refused(errno=errno):
            programming.undo(vdcm, call, task, errno, out)
        case Clear(step=ClearStep.QUIESCE, hurried=True), Done():
            pass  # The abort that was sent after it is still under way.
        case Clear(step=ClearStep.QUIESCE) as task, Done():
            clearing.quiesced(vdcm, call, task, out)
        case Drain(guest=guest, call=asked), Done():
            del vdcm.tasks[call]
            out.send(guest, Done(asked))
        case Submission(step=SubmissionStep.DEVICE) as task, Done():
            portal.answered(vdcm, call, task, out, accepted=False)
        case Hurry(holder=holder), Done():
            hurried(vdcm, call, holder, out)
        case _:
            pass  # A second copy: nobody waits for it any more.


def hurried(vdcm: Vdcm, call: Call, holder: Call, out: Out) -> None:
    """The abort is over, and with it what it was for."""
    del vdcm.tasks[call]
    match vdcm.tasks.get(holder):
        case Clear(step=ClearStep.QUIESCE, hurried=True) as task:
            task.hurried = False
            clearing.quiesced(vdcm, holder, task, out)
        case _:
            pass  # It was for nobody who waits.


def on_host_lost(vdcm: Vdcm, lost: HostLost, out: Out) -> None:
    """A device that is gone is quiet and drained, and cannot be programmed."""
    if lost.name != vdcm.device:
        return  # The core is never lost, and for a guest the supervisor closes its files.

    vdcm.lost = True
    for call in sorted(vdcm.tasks):
        programs = isinstance(vdcm.tasks.get(call), Program)
        answered(vdcm, Refused(call, Errno.ENODEV) if programs else Done(call), out)
