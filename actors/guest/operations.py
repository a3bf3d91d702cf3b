"""The operations of a guest: whom each asks, and what the guest learns from the answer (§7).

What it learns is only what it believes: the host may have cleaned up behind its back.

Kernel: ioctls of VFIO, and the virtual device's registers, which QEMU and the VDCM trap.
"""

from typing import TYPE_CHECKING

from actors.guest import boot, calls, completions, descriptors, variables
from actors.guest.state import INFO, SUBMITS, Answer, Operation, Value
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts import OpInvoked, VmExited
from protocol.messages import (
    AnyMessage,
    BindPgtbl,
    DisableVwq,
    Done,
    DrainVwq,
    EnableVwq,
    FreePasidRange,
    OpenVm,
    Refused,
    ReleaseFds,
    RequestPasid,
    RequestPasidGot,
    ResetVdev,
    UnbindPgtbl,
    WriteVims,
)
from protocol.names import PASID_COUNT, PASID_MIN, Name, kvm_of, vdcm_of
from protocol.plan import Step

if TYPE_CHECKING:
    from actors.guest import Guest


def begin(guest: "Guest", step: Step, out: Out) -> None:
    """What the step names is looked up now, and asked for."""
    value = Value() if step.operation == "alloc" else variables.value_of(guest, step)
    guest.invoked += 1
    task = Operation(guest.free_number(), guest.invoked, step, value, left=step.count)
    guest.tasks[task.number] = task
    if step.wait:
        guest.busy = task.number
    invoked = (task.op, step.operation, value.pasid, value.incarnation, step.device)
    out.record(OpInvoked(*invoked))
    if step.operation == "exit":
        leave(guest, task, out)
    elif variables.is_never_told(guest, step):
        on_target_lost(guest, task, out)
    elif step.operation in SUBMITS:
        descriptors.begin(guest, task, out)
    else:
        target, request = request_of(guest, task)
        if not calls.ask(guest, task, target, request, out):
            on_target_lost(guest, task, out)


def request_of(guest: "Guest", task: Operation) -> tuple[Name, AnyMessage]:
    """Whom an operation asks, and for what; a PASID's table has the guest's number of the PASID."""
    number, pasid, ghost = task.number, task.value.pasid, task.value.incarnation
    match task.step.operation:
        case "alloc":
            return guest.door, RequestPasid(number, PASID_MIN, PASID_COUNT - 1)
        case "free":
            return guest.door, FreePasidRange(number, pasid, pasid)
        case "free-all":
            return guest.door, FreePasidRange(number, PASID_MIN, PASID_COUNT - 1)
        case "open-vm":
            return kvm_of(guest.vm), OpenVm(number)
        case "bind":
            group, gpasid = guest.group_of(guest.device_of(task.step)), task.value.gpasid
            return guest.door, BindPgtbl(number, group, pasid, ghost, gpasid, table=gpasid)
        case "unbind":
            group = guest.group_of(guest.device_of(task.step))
            return guest.door, UnbindPgtbl(number, group, pasid, ghost)
        case _:
            return vdcm_of(guest.hardware(task.step)), access_of(guest, task)


def access_of(guest: "Guest", task: Operation) -> AnyMessage:
    """The access to a register of the virtual device by which an operation asks its VDCM."""
    number, gpasid = task.number, task.value.gpasid
    match task.step.operation:
        case "enable":
            return EnableVwq(number, guest.wq_gpasid(guest.device_of(task.step), gpasid))
        case "disable":
            return DisableVwq(number)
        case "drain":
            return DrainVwq(number)
        case "reset":
            return ResetVdev(number)
        case "ims":
            return WriteVims(number, gpasid)
        case operation:
            assert operation == "unims", f"{operation} is not an operation of a guest"
            return WriteVims(number, 0)


def on_answer(guest: "Guest", task: Operation, answer: Answer, out: Out) -> None:
    """An operation of one call is over; one of descriptors goes on."""
    if task.step.operation in SUBMITS:
        descriptors.on_answer(guest, task, answer, out)
        return

    if isinstance(answer, Refused):
        task.outcome = answer.errno.value
    learn(guest, task, answer, out)
    calls.end(guest, task, out)


def learn(guest: "Guest", task: Operation, answer: Answer, out: Out) -> None:
    """What the guest believes from now on."""
    device, pasid = guest.device_of(task.step), task.value.pasid
    match task.step.operation, answer:
        case "alloc", RequestPasidGot():
            variables.on_allocated(guest, task.step.variable, answer, out)
        case "alloc", Refused():
            variables.on_not_allocated(guest, task.step.variable, out)
        case "free", Done():
            variables.on_freed(guest, pasid)
        case "free-all", Done():
            for variable in list(guest.variables.values()):
                variables.on_freed(guest, variable.value.pasid)
        case "bind", Done():
            variables.on_bound(guest, pasid, guest.group_of(device))
        case "unbind", Done():
            variables.on_unbound(guest, pasid, guest.group_of(device))
        case "enable", Done():
            guest.queues[device] = pasid if device in guest.dedicated else 0
        case ("disable", Done()) | ("disable", Refused(errno=Errno.EINVAL)):
            guest.queues[device] = None
        case "reset", Done():
            guest.queues[device] = None
            guest.ims.pop(device, None)
        case "ims", Done():
            guest.ims[device] = pasid
        case "unims", Done():
            guest.ims.pop(device, None)
        case _:
            pass  # A refusal changed nothing, and a drain never does.


def on_target_lost(guest: "Guest", task: Operation, out: Out) -> None:
    """The answer will not come; what had come before still counts."""
    if task.step.operation in SUBMITS:
        completions.on_target_lost(guest, task, out)
    else:
        task.outcome = INFO
        calls.end(guest, task, out)


def leave(guest: "Guest", task: Operation, out: Out) -> None:
    """QEMU ends: its files are closed, and what it still waited for will never be known."""
    for other in guest.tasks.values():
        if isinstance(other, Operation) and other.number != task.number:
            other.outcome = INFO
            calls.state_outcome(other, out)
    for name in dict.fromkeys(name for name, _ in guest.plan.tell):
        variables.on_not_allocated(guest, name, out)
    guest.forget()
    out.record(VmExited(guest.vm))
    out.send(guest.door, ReleaseFds(guest.vm))
    out.send(kvm_of(guest.vm), ReleaseFds(guest.vm))
    for vdcm in boot.vdcms(guest):
        out.send(vdcm, ReleaseFds(guest.vm))
    calls.state_outcome(task, out)
