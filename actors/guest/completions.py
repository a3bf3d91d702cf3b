"""The other half of `dma` and `fault`: the wait for what is in the device (§7.1).

An operation is over when none of its descriptors is left, however submitting them went; so a guest
that waits for its operations leaves nothing behind in a device.

Kernel: the completion records of drivers/dma/idxd, irq.c.
"""

from typing import TYPE_CHECKING

from actors.guest import calls
from actors.guest.state import INFO, OK, Operation, Waits
from protocol.effects import Out
from protocol.messages import DescriptorDone, Status
from protocol.names import Name, Pasid

if TYPE_CHECKING:
    from actors.guest import Guest


def on_descriptor_done(guest: "Guest", done: DescriptorDone, out: Out) -> None:
    """A completion record; with the last one the operation is over."""
    for task in guest.running():
        for flight in task.flying:
            if flight.tag == done.tag and guest.hardware(task.step) == done.device:
                task.flying.remove(flight)
                if done.status is not Status.SUCCESS and task.outcome == OK:
                    task.outcome = done.status.value
                if task.waits is Waits.DESCRIPTORS:
                    land(guest, task, out)
                return


def give_up(guest: "Guest", task: Operation, outcome: str, out: Out) -> None:
    """The descriptor did not get in; nor will those after it.  Those before it are waited for."""
    task.outcome = outcome if task.outcome == OK else task.outcome
    stop(task)
    land(guest, task, out)


def on_target_lost(guest: "Guest", task: Operation, out: Out) -> None:
    """Whether the last descriptor got in will never be known; those before it are waited for."""
    task.outcome = INFO
    stop(task)
    land(guest, task, out)


def stop(task: Operation) -> None:
    """No more descriptors, and not the one that is being submitted."""
    task.flying = [flight for flight in task.flying if flight.tag != task.tag]
    task.left = 0


def on_device_lost(guest: "Guest", task: Operation, out: Out) -> None:
    """What was in the device will not be completed."""
    task.outcome = INFO
    task.left = 0
    task.flying.clear()
    if task.waits in {Waits.RETRY, Waits.DESCRIPTORS}:
        land(guest, task, out)


def land(guest: "Guest", task: Operation, out: Out) -> None:
    """Submitted; over when all have been completed."""
    task.waits = Waits.DESCRIPTORS
    if not task.flying:
        calls.end(guest, task, out)


def is_settled(guest: "Guest", device: Name, pasid: Pasid | None) -> bool:
    """Whether no descriptor (with the PASID) is left that the guest can wait for.

    One whose page it keeps back ends only when the PASID is unbound or the queue is reset.
    """
    return not any(
        guest.device_of(task.step) == device
        and pasid in {None, task.value.pasid}
        and not (task.waits is Waits.DESCRIPTORS and all(flight.withheld for flight in task.flying))
        for task in guest.running()
    )
