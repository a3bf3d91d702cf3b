"""Open, which takes nothing, and bind: the device is an object of the user's iommufd context.

Kernel: vfio_device_fops_cdev_open, vfio_df_ioctl_bind_iommufd, vfio_df_open of 7.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from actors.vfio_cdev.state import COPY, FILE, OPEN_DEVICE, Do, File, Task
from protocol.effects import Out
from protocol.errors import Errno
from protocol.messages.iommufd import BindDevice
from protocol.messages.vfio_cdev import BIND_SIZE, BindIommufd, OpenCdev
from protocol.names import iommufd_of

if TYPE_CHECKING:
    from actors.vfio_cdev import VfioCdev


def open_file(vfio: VfioCdev, task: Task, asked: OpenCdev, out: Out) -> None:
    """With the smallest number that no file has."""
    if asked.device not in vfio.devices:
        task.fail(Errno.ENODEV)
        return
    if (errno := out.may_fail(FILE)) is not None:
        task.fail(errno)
        return
    number = 1
    while number in vfio.files:
        number += 1
    vfio.files[number] = File(asked.device, asked.group_fd)
    task.file = number


def bind_refusal(_vfio: VfioCdev, asked: BindIommufd, file: File) -> Errno | None:
    """Too short, a flag, no file descriptor, a file that came with its group."""
    wrong = asked.argsz < BIND_SIZE or asked.flags or asked.iommufd.startswith("-")
    return Errno.EINVAL if wrong or file.group_fd else None


def bind(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """A file is bound once, and a device through one file."""
    asked, vdev = task.request, vfio.vdev(task)
    assert isinstance(asked, BindIommufd), "only a bind binds"
    context = asked.iommufd or iommufd_of(task.sender)
    if vfio.files[task.file].bound:
        task.fail(Errno.EINVAL)
    elif context not in vfio.contexts:
        task.fail(Errno.EBADF)
    elif vdev.file:
        task.fail(Errno.EINVAL)
    else:
        vdev.file, vdev.context = task.file, context
        task.then(Do.BOUND)
        out.send(context, BindDevice(task.number, vdev.name, vdev.group))
        return False
    return True


def bound(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """The device's driver opens it, and the user is told; what fails is undone as by a close."""
    vdev = vfio.vdev(task)
    if task.errno is not None:
        vdev.file, vdev.context = 0, ""
        return True
    vdev.object = task.got
    task.errno = out.may_fail(OPEN_DEVICE)
    if task.errno is not None:
        task.then(Do.UNBIND, Do.UNBOUND)
        return True
    task.errno = out.may_fail(COPY)
    if task.errno is not None:
        task.then(Do.CLOSE_DEVICE, Do.NEXT, Do.UNBIND, Do.UNBOUND)
        return True
    vfio.files[task.file].bound = True
    return True


def bind_now(vfio: VfioCdev, task: Task, out: Out) -> bool:
    """With the lock held."""
    return vfio.bind(task, out)


STEPS = {Do.BIND: bind_now, Do.BOUND: bound}
