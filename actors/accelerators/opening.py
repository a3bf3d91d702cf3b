"""Open: a reference on the mm, its bond, and what else the driver has for a file.

Kernel: idxd_cdev_open, uacce_fops_open of Linux 7.3; 0642287e3ecd (I41).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.accelerators.state import CALL, NOMEM, Answer, File, Part, Queue, Step
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.accelerators import FileOpened, FileShared, PartHeld
from protocol.messages.accelerators import (
    GetMmPasid,
    HoldMm,
    MmPasidGot,
    OpenDevice,
    OpenDeviceGot,
)
from protocol.messages.common import Done, Refused
from protocol.messages.device import EnableWq
from protocol.messages.sva import SvaBindDevice, SvaBindDeviceGot
from protocol.names import INVALID_PASID, SVA_CORE, Name

if TYPE_CHECKING:
    from actors.accelerators import Accelerator


def on_open_device(door: Accelerator, request: OpenDevice, sender: Name, out: Out) -> None:
    """A new file, with the smallest number that none has."""
    errno = door.open_refusal() or out.may_fail(NOMEM)
    if errno is not None:
        door.end(out, errno)
        return
    number = 1
    while number in door.files:
        number += 1
    door.files = dict(sorted([*door.files.items(), (number, File(sender, request.mm, [sender]))]))
    door.file, door.step = number, Step.HOLD
    out.send(sender, HoldMm(CALL, request.mm))


def open_refusal(door: Accelerator) -> Errno | None:
    """Of a device that has gone, before anything is taken."""
    return Errno.EINVAL if door.removed else None


def go_on_opening(door: Accelerator, answer: Answer, out: Out) -> None:
    """The mm is held, or bound, or its PASID is known."""
    file = door.files[door.file]
    match door.step, answer:
        case Step.HOLD, Done():
            door.hold(Part.MM, out)
            door.step = Step.BIND
            out.send(SVA_CORE, SvaBindDevice(CALL, door.device, file.mm))
        case Step.BIND, SvaBindDeviceGot():
            door.hold(Part.BOND, out)
            file.handle, door.step = answer.handle, Step.PASID
            out.send(SVA_CORE, GetMmPasid(CALL, file.mm))
        case Step.PASID, MmPasidGot() if answer.pasid != INVALID_PASID:
            file.pasid, file.incarnation = answer.pasid, answer.incarnation
            door.after_bind(out)
        case _, Refused(errno=errno):
            door.undo(errno, out)
        case _:
            door.undo(Errno.EINVAL, out)


def hold(door: Accelerator, part: Part, out: Out) -> None:
    """The file has one thing more."""
    file = door.files[door.file]
    file.parts.append(part)
    out.record(PartHeld(door.device, door.file, part.value, file.mm))


def after_bind(door: Accelerator, out: Out) -> None:
    """The bond is all that the file needs until its queue is started."""
    door.opened(out)


def enable(door: Accelerator, out: Out) -> None:
    """A WQ of the device for the file's mm; a shared one may be there already."""
    file = door.files[door.file]
    others = [one for n, one in door.files.items() if n != door.file and one.mm == file.mm]
    if any(Part.WQ in one.parts for one in others) and door.mode.value == "shared":
        door.enabled(Done(CALL), out)
        return
    if door.absent:
        door.enabled(Refused(CALL, Errno.ENODEV), out)
        return
    door.step = Step.ENABLE
    out.send(door.device, EnableWq(CALL, file.mm, door.mode, file.pasid, file.incarnation))


def enabled(door: Accelerator, answer: Answer, out: Out) -> None:
    """The device takes work of the file, or will not."""
    opens = isinstance(door.queue[0].request, OpenDevice)
    if isinstance(answer, Refused):
        if opens:
            door.undo(answer.errno, out)
        else:
            door.end(out, answer.errno)
        return
    door.hold(Part.WQ, out)
    door.files[door.file].queue = Queue.STARTED
    if opens:
        door.opened(out)
    else:
        door.end(out)


def opened(door: Accelerator, out: Out) -> None:
    """The answer is the file."""
    asked, number = door.queue.pop(0), door.file
    request = asked.request
    assert isinstance(request, OpenDevice), "nothing else opens a file"
    out.record(FileOpened(door.device, number, asked.sender, request.mm))
    out.record(FileShared(door.device, number, asked.sender))
    door.step, door.file = Step.BEGIN, 0
    out.send(asked.sender, OpenDeviceGot(request.call, number))


def open_failed(door: Accelerator, out: Out) -> None:
    """Nothing is left, and that is said."""
    door.end(out, door.errno)


def undo(door: Accelerator, errno: Errno, out: Out) -> None:
    """What the file has goes, each thing once; then the open has failed."""
    door.errno = errno
    door.files[door.file].holders.clear()
    door.take_apart(out)
