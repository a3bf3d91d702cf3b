"""`dma`, `fault` and `portal`: descriptors on their way into a device (§4.5, §7.1).

On a shared WQ a vCPU executes ENQCMD, one descriptor after the other, and tries again a bounded
number of times when it is told to.  On a dedicated WQ the descriptors are just written to the
portal.  A queue that this guest has never touched is enabled first.

Kernel: the guest's drivers/dma/idxd, submit.c and cdev.c.
"""

from typing import TYPE_CHECKING, Final

from actors.guest import calls, completions, variables
from actors.guest.state import Answer, Flight, Operation, Waits
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages import (
    Done,
    EnableVwq,
    GuestEnqcmd,
    GuestEnqcmdGot,
    Refused,
    SubmitDescriptor,
    VmExit,
)
from protocol.names import Call, Name, kvm_of, vdcm_of

if TYPE_CHECKING:
    from actors.guest import Guest

RETRIES: Final = 8
FIRST_ABSENT: Final = 1 << 16
"""Pages below it are in the guest's table; each `fault` touches the next one from here on."""


def begin(guest: "Guest", task: Operation, out: Out) -> None:
    """The queue first, if nobody has ever touched it."""
    device = guest.device_of(task.step)
    hardware = guest.hardware(task.step)
    if hardware in guest.lost:
        completions.on_target_lost(guest, task, out)
        return

    if device in guest.queues:
        submit(guest, task, out)
        return

    task.waits = Waits.ENABLE_VWQ
    enable = EnableVwq(task.number, guest.wq_gpasid(device, task.value.gpasid))
    if not calls.ask(guest, task, vdcm_of(hardware), enable, out):
        completions.on_target_lost(guest, task, out)


def submit(guest: "Guest", task: Operation, out: Out) -> None:
    """To a portal all at once, through the CPU one by one."""
    device = guest.device_of(task.step)
    if device not in guest.dedicated or task.step.operation == "portal":
        submit_next(guest, task, out)
        return

    while task.left:
        flight = take_off(guest, task)
        out.send(device, SubmitDescriptor(flight.tag, flight.page, task.step.operation == "dma"))
        task.left -= 1
    completions.land(guest, task, out)


def submit_next(guest: "Guest", task: Operation, out: Out) -> None:
    """The next descriptor; its completion may come before the command is known to have retired."""
    if not task.left:
        completions.land(guest, task, out)
        return

    task.tag = take_off(guest, task).tag
    task.tries = 0
    enqcmd(guest, task, out)


def enqcmd(guest: "Guest", task: Operation, out: Out) -> None:
    """One ENQCMD, the first or again."""
    flight = next(flight for flight in task.flying if flight.tag == task.tag)
    task.waits = Waits.GUEST_ENQCMD
    command = GuestEnqcmd(
        call=task.number,
        device=guest.device_of(task.step),
        gpasid=task.value.gpasid,
        tag=flight.tag,
        page=flight.page,
        mapped=task.step.operation != "fault",
    )
    if not calls.ask(guest, task, trap_of(guest, task), command, out):
        completions.on_target_lost(guest, task, out)


def trap_of(guest: "Guest", task: Operation) -> Name:
    """The CPU executes it; where the portal's page is not mapped, the VDCM does."""
    if task.step.operation == "portal":
        return vdcm_of(guest.device_of(task.step))
    return kvm_of(guest.vm)


def take_off(guest: "Guest", task: Operation) -> Flight:
    """A descriptor with a tag that no other of this guest has, and the page that it touches."""
    taken = [flight.tag for other in guest.running() for flight in other.flying]
    tag = 1
    while tag in taken:
        tag += 1
    flight = Flight(tag, next_page(guest, task))
    task.flying.append(flight)
    return flight


def next_page(guest: "Guest", task: Operation) -> int:
    """`fault` never goes to a page that it has had, the others over the same again and again."""
    if task.step.operation != "fault":
        return task.step.count - task.left

    own = variables.live(guest, task.value.pasid)
    if not own:
        return FIRST_ABSENT

    own[0].faulted += 1
    return FIRST_ABSENT + own[0].faulted - 1


def on_answer(guest: "Guest", task: Operation, answer: Answer, out: Out) -> None:
    """The queue is enabled, or a command has retired or left the guest, or somebody refused."""
    match answer:
        case Done():
            device = guest.device_of(task.step)
            guest.queues[device] = task.value.pasid if device in guest.dedicated else 0
            submit(guest, task, out)
        case Refused(errno=Errno.EBUSY) if task.waits is Waits.ENABLE_VWQ:
            submit(guest, task, out)  # Another operation of ours was first.
        case Refused(errno=errno):
            completions.give_up(guest, task, errno.value, out)
        case VmExit(reason=reason):
            completions.give_up(guest, task, f"exit{reason}", out)
        case _:
            assert isinstance(answer, GuestEnqcmdGot)
            on_retired(guest, task, answer, out)


def on_retired(guest: "Guest", task: Operation, got: GuestEnqcmdGot, out: Out) -> None:
    """Accepted: the next one.  RETRY: again, but not for ever."""
    if not task.left:
        completions.land(guest, task, out)  # The device was lost meanwhile.
    elif got.accepted or has_completed(task):
        task.left -= 1
        submit_next(guest, task, out)
    elif task.tries == RETRIES:
        completions.give_up(guest, task, Errno.EAGAIN.value, out)
    else:
        task.tries += 1
        task.waits = Waits.RETRY
        out.set_timer(f"retry:{task.number}")


def has_completed(task: Operation) -> bool:
    """Whether the record of the command's descriptor is there: then it did get in.

    Of a device that is pulled out KVM says that it accepted nothing, although it may have.
    """
    return all(flight.tag != task.tag for flight in task.flying)


def on_timer(guest: "Guest", timer: str, out: Out) -> None:
    """Try again, if it is still wanted."""
    number: Call = int(timer.removeprefix("retry:"))
    task = guest.tasks.get(number)
    if isinstance(task, Operation) and task.waits is Waits.RETRY:
        enqcmd(guest, task, out)
