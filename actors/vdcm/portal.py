"""The slow path to a shared WQ: a guest's ENQCMD that is trapped, and issued by the VDCM (§4.6).

While a virtual device is being migrated its portal is not mapped into the guest.  Then the VDCM
looks the guest's number up for each descriptor, with a reference of that descriptor's own, which
goes back when the device has answered (mends S25d).  What is in the device is drained as the rest
is, by the right to submit: without a right that will still be drained nothing is submitted.

Kernel: the portal writes of drivers/vfio/mdev/idxd in the Intel data-centre kernel ("DCP").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vdcm.state import Dying, Kind, key_of
from actors.vdcm.submission import Submission, SubmissionStep
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    EnqcmdWrite,
    FindBySpid,
    FindBySpidGot,
    GuestEnqcmd,
    GuestEnqcmdGot,
    PutPasid,
    Refused,
    WqMode,
)
from protocol.names import CORE, Call, Name, Pasid, vm_of

if TYPE_CHECKING:
    from actors.vdcm import Vdcm


def on_guest_enqcmd(vdcm: Vdcm, command: GuestEnqcmd, guest: Name, out: Out) -> None:
    """A dedicated WQ takes no PASID from a command."""
    if vdcm.lost or not vdcm.is_open(vm_of(guest)):
        out.send(guest, Refused(command.call, Errno.ENODEV))
        return
    if vdcm.mode is not WqMode.SHARED:
        out.send(guest, Refused(command.call, Errno.EINVAL))
        return

    call = vdcm.begin(Submission(guest, command))
    out.send(CORE, FindBySpid(call, vm_of(guest), command.gpasid, reason_of(guest)))


def reason_of(guest: Name) -> str:
    """What the reference is called in the ledger; as many as there are descriptors on their way."""
    return f"{vm_of(guest)}:portal"


def found(vdcm: Vdcm, got: FindBySpidGot, task: Submission, out: Out) -> None:
    """The PASID is there; whether it may be submitted the right to submit says."""
    vm, command = vm_of(task.guest), task.command
    task.pasid, task.incarnation = got.pasid, got.incarnation
    task.entitled = is_entitled(vdcm, vm, got.pasid)
    if vdcm.lost or not task.entitled:
        answered(vdcm, got.call, task, out, accepted=False)
        return

    task.step = SubmissionStep.DEVICE
    fields = (vm, got.pasid, got.incarnation, command.tag, command.page, command.mapped)
    out.send(vdcm.device, EnqcmdWrite(got.call, *fields))


def is_entitled(vdcm: Vdcm, vm: Name, pasid: Pasid) -> bool:
    """Behind UNBIND or FREE the drain may be under way, which would not wait for one more."""
    slot = vdcm.slots.get(key_of(vm, Kind.SWQ, pasid))
    if slot is None or not vdcm.is_open(vm):
        return False
    return slot.in_use and slot.dying is Dying.NO and slot.holder == 0


def answered(vdcm: Vdcm, call: Call, task: Submission, out: Out, *, accepted: bool) -> None:
    """It is in the device, where its right keeps the PASID; or it is not."""
    task.step, task.accepted = SubmissionStep.PUT, accepted
    put = PutPasid(call, task.pasid, task.incarnation, reason_of(task.guest))
    vdcm.put_submission(put, out)


def put_reference(_vdcm: Vdcm, put: PutPasid, out: Out) -> None:
    """One look-up, one put (mends S25d)."""
    out.send(CORE, put)


def finish(vdcm: Vdcm, call: Call, task: Submission, out: Out) -> None:
    """Nothing of it is left here."""
    if task.entitled:
        del vdcm.tasks[call]
        out.send(task.guest, GuestEnqcmdGot(task.command.call, task.accepted))
    else:
        refuse(vdcm, call, task, out)


def refuse(vdcm: Vdcm, call: Call, task: Submission, out: Out) -> None:
    """No PASID by that number, or none that may be submitted."""
    del vdcm.tasks[call]
    out.send(task.guest, Refused(task.command.call, Errno.ENXIO))
