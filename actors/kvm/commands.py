"""ENQCMD of a vCPU: from the table to the device and back (§4.5).

A vCPU that is kept out has not read the table yet.  Once it has, nothing calls its command back: it
is in flight until the device has accepted it or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.kvm.state import Command, Phase, Waiting
from protocol.effects import Out
from protocol.facts import EnqcmdIssued, EnqcmdRetired
from protocol.messages import EnqcmdWrite, GuestEnqcmd, GuestEnqcmdGot, HostLost, VmExit
from protocol.names import Call, Name

if TYPE_CHECKING:
    from actors.kvm import Kvm


def execute(kvm: Kvm, command: GuestEnqcmd, guest: Name, out: Out) -> None:
    """A VM without its files runs nothing: the command leaves the guest as without an entry."""
    if kvm.phase is not Phase.OPEN:
        out.send(guest, VmExit(command.call))
    elif kvm.blocks:
        kvm.waiting.append(Waiting(guest, command))
    else:
        issue(kvm, command, guest, out)


def issue(kvm: Kvm, command: GuestEnqcmd, guest: Name, out: Out) -> None:
    """The CPU puts the host PASID in the place of the guest's, which alone the guest knows."""
    entry = kvm.table.get(command.gpasid)
    if entry is None:
        out.send(guest, VmExit(command.call))
        return
    hardware = kvm.parents.get(command.device, command.device)
    if hardware not in kvm.devices:
        out.send(guest, GuestEnqcmdGot(command.call, accepted=False))
        return

    pasid, incarnation = entry.pasid, entry.incarnation
    call = kvm.begin(Command(guest, command.call, command.device, pasid, incarnation))
    out.record(EnqcmdIssued(kvm.vm, command.device, pasid, incarnation))
    out.send(
        hardware,
        EnqcmdWrite(
            call=call,
            vm=kvm.vm,
            pasid=pasid,
            incarnation=incarnation,
            tag=command.tag,
            page=command.page,
            mapped=command.mapped,
        ),
    )


def retire(kvm: Kvm, call: Call, out: Out, *, accepted: bool) -> None:
    """It is in the device, or the guest tries again; the vCPU holds no translation any more."""
    command = kvm.tasks.get(call)
    if not isinstance(command, Command):
        return  # A second copy: it has retired.

    del kvm.tasks[call]
    out.record(EnqcmdRetired(kvm.vm, command.device, command.pasid, command.incarnation))
    out.send(command.guest, GuestEnqcmdGot(command.call, accepted))
    kvm.proceed(out)


def on_host_lost(kvm: Kvm, lost: HostLost, out: Out) -> None:
    """Nothing is accepted by a device that is gone; of no other loss does KVM wait for more."""
    if lost.name in kvm.devices:
        kvm.devices.remove(lost.name)
        lose(kvm, lost.name, out)


def lose(kvm: Kvm, device: Name, out: Out) -> None:
    """What was on its way to a device that is gone was not accepted."""
    for call in sorted(kvm.tasks):
        task = kvm.tasks[call]
        if isinstance(task, Command) and kvm.parents.get(task.device, task.device) == device:
            retire(kvm, call, out, accepted=False)


def resume(kvm: Kvm, out: Out) -> None:
    """The vCPUs are back in the guest: what waited goes by the table as it is now, in order."""
    waiting, kvm.waiting = kvm.waiting, []
    for one in waiting:
        execute(kvm, one.command, one.guest, out)
