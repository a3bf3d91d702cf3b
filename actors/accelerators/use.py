"""What is done with an open file, and who may: mmap, poll, write, start, put, fork.

Kernel: check_vma, idxd_cdev_write of drivers/dma/idxd/cdev.c; uacce_fops_unl_ioctl; 8dfa57aabff6.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.accelerators.state import CALL, FIRST_WRITTEN, Answer, File, Part, Queue, Step
from protocol.effects import Out
from protocol.errors import Errno
from protocol.facts.accelerators import DescriptorWritten, FileShared
from protocol.messages import DupFiles, EnqcmdWriteGot
from protocol.messages.accelerators import PutQueue, StartQueue, UseFile, WriteDescriptor
from protocol.messages.device import EnqcmdWrite
from protocol.names import Name

if TYPE_CHECKING:
    from actors.accelerators import Accelerator


def on_use_file(door: Accelerator, use: UseFile, sender: Name, out: Out) -> None:
    """A mapping is a holder of its own."""
    file = _held_by(door, use.file, sender)
    if file is not None and use.how == "mremap":
        door.end(out, door.remap_refusal() if sender in file.mapped else Errno.EFAULT)
        return
    errno = Errno.EBADF if file is None else door.use_refusal(file, use.mm)
    if errno is None and file is not None and use.how == "mmap" and sender not in file.mapped:
        file.mapped.append(sender)
    door.end(out, errno)


def use_refusal(door: Accelerator, _file: File, _mm: Name) -> Errno | None:
    """Of a queue whose device has gone."""
    return Errno.ENXIO if door.removed else None


def remap_refusal(_door: Accelerator) -> Errno | None:
    """A mapping moves with whatever it is of: the driver is not asked."""
    return None


def on_start_queue(door: Accelerator, start: StartQueue, sender: Name, out: Out) -> None:
    """INIT to STARTED."""
    file = _held_by(door, start.file, sender)
    errno = Errno.EBADF if file is None else door.use_refusal(file, file.mm)
    if file is None or errno is not None or file.queue is not Queue.INIT:
        door.end(out, errno or Errno.EINVAL)
        return
    door.file = start.file
    door.enable(out)


def on_put_queue(door: Accelerator, put: PutQueue, sender: Name, out: Out) -> None:
    """It only stops (26c08dabe547): the bond stays until release."""
    file = _held_by(door, put.file, sender)
    errno = Errno.EBADF if file is None else door.use_refusal(file, file.mm)
    if file is None or errno is not None or file.queue is Queue.ZOMBIE:
        door.end(out, errno or Errno.EINVAL)
        return
    file.queue = Queue.ZOMBIE
    door.file = put.file
    door.take_apart(out) if Part.WQ in file.parts else door.end(out)


def on_write_descriptor(door: Accelerator, write: WriteDescriptor, sender: Name, out: Out) -> None:
    """With the file's PASID, so only for a caller of the file's mm."""
    file = _held_by(door, write.file, sender)
    errno = Errno.EBADF if file is None else door.use_refusal(file, write.mm)
    if file is None or errno is not None or door.mode.value != "shared" or door.absent:
        door.end(out, errno or (Errno.ENODEV if door.absent else Errno.EINVAL))
        return
    door.file, door.step = write.file, Step.WRITE
    door.written += 1
    tag = FIRST_WRITTEN + door.written
    out.record(DescriptorWritten(door.device, write.file, write.mm, file.pasid, file.incarnation))
    out.send(
        door.device,
        EnqcmdWrite(CALL, file.mm, file.pasid, file.incarnation, tag, write.page, write.mapped),
    )


def after_write(door: Accelerator, answer: Answer, out: Out) -> None:
    """It is in the device, or the queue is full."""
    if isinstance(answer, EnqcmdWriteGot):
        door.end(out, None if answer.accepted else Errno.EAGAIN)
    else:
        door.end(out, Errno.ENODEV)


def on_dup_files(door: Accelerator, dup: DupFiles, sender: Name, out: Out) -> None:
    """A child has the descriptors and no mapping; nothing goes to one that has died meanwhile."""
    if dup.child in door.ended:
        door.end(out, Errno.EINVAL)
        return
    for number, file in door.files.items():
        if sender in file.holders and dup.child not in file.holders:
            file.holders.append(dup.child)
            out.record(FileShared(door.device, number, dup.child))
    door.end(out)


def _held_by(door: Accelerator, number: int, sender: Name) -> File | None:
    file = door.files.get(number)
    return file if file is not None and sender in file.holders else None
