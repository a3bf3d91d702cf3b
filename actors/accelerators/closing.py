"""Release: the queue stops, the mm is unbound, the reference on its struct goes; and removal.

Kernel: idxd_cdev_release, uacce_fops_release, uacce_remove of Linux 7.3; 80fc671bcc01.  §8 (I12).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.accelerators.state import CALL, File, Part, Queue, Step
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.accelerators import DeviceForgotten, FileGone, FileLeft, PartGone, PartLeft
from protocol.messages import HostLost, ReleaseFds
from protocol.messages.accelerators import CloseFile, LetMmGo, OpenDevice, PutQueue
from protocol.messages.device import DisableWq, DrainPasid
from protocol.messages.sva import SvaUnbindDevice
from protocol.names import SVA_CORE, Name, process_of

if TYPE_CHECKING:
    from actors.accelerators import Accelerator


def on_close_file(door: Accelerator, close: CloseFile, sender: Name, out: Out) -> None:
    """A mapping keeps the file as well as a descriptor does."""
    file = door.files.get(close.file)
    holders = [] if file is None else file.mapped if close.mapping else file.holders
    if file is None or sender not in holders:
        door.end(out, Errno.EBADF)
        return
    door.file = close.file
    _left(door, file, sender, out, mapping=close.mapping)
    if file.held:
        door.end(out)
    else:
        door.take_apart(out)


def _left(door: Accelerator, file: File, holder: Name, out: Out, *, mapping: bool) -> None:
    (file.mapped if mapping else file.holders).remove(holder)
    if not mapping:
        out.record(FileLeft(door.device, door.file, holder))


def on_release_fds(door: Accelerator, release: ReleaseFds, out: Out) -> None:
    """Descriptors that a process leaves behind, one after the other; it has no mapping left."""
    if release.vm not in door.ended:
        door.ended = sorted([*door.ended, release.vm])
    for number, file in door.files.items():
        if release.vm in file.holders:
            door.file = number
            _left(door, file, release.vm, out, mapping=False)
            if not file.held:
                door.take_apart(out)
                return
    door.end(out)


# --- What a file holds, from the last thing to the first ------------------------------------------


def take_apart(door: Accelerator, out: Out) -> None:
    """The next thing goes; when none is left the request in hand goes on."""
    file = door.files[door.file]
    part = door.next_part(file)
    if part is None:
        door.apart(out)
        return
    out.record(PartLeft(door.device, door.file, part.value, file.mm))
    match part:
        case Part.WQ:
            door.stop(file, out)
        case Part.BOND:
            door.step = Step.UNBIND
            out.send(SVA_CORE, SvaUnbindDevice(CALL, file.handle))
        case Part.TABLE:
            door.gone(part, out)
        case Part.MM:
            out.send(process_of(file.mm), LetMmGo(file.mm))
            door.gone(part, out)


def next_part(_door: Accelerator, file: File) -> Part | None:
    """The reference on the mm is the last to go, after unbind has returned (a9162439ad79)."""
    order = (Part.WQ, Part.BOND, Part.TABLE, Part.MM)
    return next((part for part in order if part in file.parts), None)


def stop(door: Accelerator, file: File, out: Out) -> None:
    """No descriptor of the file is left in a device that is there; others keep a shared WQ."""
    if door.absent:
        door.gone(Part.WQ, out)
        return
    door.step = Step.STOP
    sharing = [one for one in door.files.values() if one.mm == file.mm and Part.WQ in one.parts]
    if len(sharing) > 1:
        out.send(door.device, DrainPasid(CALL, file.pasid, file.incarnation, abort=True))
    else:
        out.send(door.device, DisableWq(CALL, file.mm, abort=True))


def gone(door: Accelerator, part: Part, out: Out) -> None:
    """The file has it no more."""
    file = door.files[door.file]
    if part in file.parts:
        file.parts.remove(part)
    out.record(PartGone(door.device, door.file, part.value, file.mm))
    if isinstance(door.queue[0].request, PutQueue):
        door.end(out)
    else:
        door.take_apart(out)


def apart(door: Accelerator, out: Out) -> None:
    """A file that nobody keeps goes; one of a removed device stays, and is good for nothing."""
    number, file = door.file, door.files[door.file]
    if not file.held:
        del door.files[number]
        if door.errno is None:
            out.record(FileGone(door.device, number))
    match door.queue[0].request:
        case OpenDevice():
            door.open_failed(out)
        case ReleaseFds() as release:
            door.on_release_fds(release, out)
        case HostLost():
            door.remove(out)
        case _:
            door.end(out)


def remove(door: Accelerator, out: Out) -> None:
    """Queue by queue: stopped and unbound; then nothing is left that could use the device."""
    door.removed = True
    for number, file in door.files.items():
        file.queue = Queue.ZOMBIE
        if file.parts:
            door.file = number
            door.take_apart(out)
            return
    out.record(DeviceForgotten(door.device))
    door.end(out)
