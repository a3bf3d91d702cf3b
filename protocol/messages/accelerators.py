"""Accelerators and processes of a modern kernel: files, queues, address spaces, exec and fork (§8).

`proc1` is a process; its mms are `proc1`, and after an exec `proc1.mm2`.  A door is the driver
behind an accelerator: `uacce.d1` or `idxd.d1`.  A file is known to its door by a number.

Source: drivers/dma/idxd/cdev.c, drivers/misc/uacce/uacce.c, kernel/fork.c, fs/exec.c, Linux 7.3.
"""

from protocol.messages.common import Message
from protocol.names import Call, Incarnation, Name, Pasid


class OpenDevice(Message, frozen=True, tag=True):
    """process -> door: open the character device, and bind it to the caller's `mm`.

    -> OpenDeviceGot.  EBUSY a dedicated WQ is in use, ENOMEM, EINVAL (uacce) or ENODEV (idxd) the
    device is gone, else what bind says.
    """

    call: Call
    mm: Name


class OpenDeviceGot(Message, frozen=True, tag=True):
    """The file, with the caller as its only holder."""

    call: Call
    file: int


class UseFile(Message, frozen=True, tag=True):
    """process -> door: `how` is `mmap` (of the portal), `mremap` or `poll`, by a caller in `mm`.

    EPERM (idxd) another mm than the opener's, ENXIO (uacce) the device is gone; of an mremap EPERM
    (uacce), EFAULT it has no mapping.
    """

    call: Call
    file: int
    mm: Name
    how: str


class StartQueue(Message, frozen=True, tag=True):
    """process -> door, UACCE_CMD_START_Q: the queue takes descriptors from here on.

    EINVAL not INIT, or the door is not uacce; ENXIO the device is gone.
    """

    call: Call
    file: int


class PutQueue(Message, frozen=True, tag=True):
    """process -> door, UACCE_CMD_PUT_Q: it takes none any more, for good.  Errors as StartQueue."""

    call: Call
    file: int


class WriteDescriptor(Message, frozen=True, tag=True):
    """process -> door, write(): the driver submits a descriptor for a caller that lives in `mm`.

    Done when the device has it.  EPERM another mm, EAGAIN no room, EINVAL the door is not idxd.
    """

    call: Call
    file: int
    mm: Name
    page: int
    mapped: bool


class CloseFile(Message, frozen=True, tag=True):
    """process -> door: its descriptor goes, or (`mapping`) its mapping of the portal.

    With the last of all of them the file is released, and then it is Done: DMA stopped, unbound.
    """

    call: Call
    file: int
    mapping: bool


class HoldMm(Message, frozen=True, tag=True):
    """door -> process, mmgrab: the struct of `mm` stays until LetMmGo.  EINVAL it has no user."""

    call: Call
    mm: Name


class LetMmGo(Message, frozen=True, tag=True):
    """door -> process, mmdrop.  Not answered."""

    mm: Name


class BeginChild(Message, frozen=True, tag=True):
    """process -> process: the child of a fork begins, in an mm of its own.  Not answered.

    `doors` and `files` are the descriptors that it has inherited, one of each in a row.
    """

    doors: tuple[Name, ...]
    files: tuple[int, ...]


class InitMmPasid(Message, frozen=True, tag=True):
    """process -> sva, mm_pasid_init: `mm` is new, a copy of `of` (fork) or empty (exec, ``).

    It has no PASID.  Always Done.
    """

    call: Call
    mm: Name
    of: Name


class GetMmPasid(Message, frozen=True, tag=True):
    """process or door -> sva, mm_get_enqcmd_pasid, without the lock: -> MmPasidGot."""

    call: Call
    mm: Name


class MmPasidGot(Message, frozen=True, tag=True):
    """The mm's PASID, or INVALID_PASID."""

    call: Call
    pasid: Pasid
    incarnation: Incarnation


AcceleratorMessage = (
    OpenDevice
    | OpenDeviceGot
    | UseFile
    | StartQueue
    | PutQueue
    | WriteDescriptor
    | CloseFile
    | HoldMm
    | LetMmGo
    | BeginChild
    | InitMmPasid
    | GetMmPasid
    | MmPasidGot
)
"""All of them."""
