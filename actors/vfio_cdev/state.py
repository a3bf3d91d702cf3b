"""What VFIO remembers: its devices, the files that users have opened, calls under way."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct, field

from protocol.effects import Site
from protocol.errors import Errno
from protocol.messages.vfio_cdev import (
    AttachIommufdPt,
    BindIommufd,
    CloseCdev,
    DetachIommufdPt,
    OpenCdev,
)
from protocol.names import Call, Name, Pasid

OnFile: TypeAlias = BindIommufd | AttachIommufdPt | DetachIommufdPt | CloseCdev
Request: TypeAlias = OpenCdev | OnFile

FILE: Final = Site("vfio_cdev.open.file", Errno.ENOMEM)
OPEN_DEVICE: Final = Site("vfio_cdev.bind.open_device", Errno.EAGAIN)
"""The device's driver will not open it: somebody else has the device's lock, so no reset."""
PASID: Final = Site("vfio_cdev.attach.pasid", Errno.ENOMEM)
"""A place in the set of the device's PASIDs."""
COPY: Final = Site("vfio_cdev.copy_out", Errno.EFAULT)
"""The user's memory is not there for the answer."""
RESET: Final = Site("vfio_cdev.close.reset", Errno.EAGAIN)
"""A device that is closed is not reset: somebody else has its lock."""
SITES: Final = (FILE, OPEN_DEVICE, PASID, COPY, RESET)


class Vdev(Struct):
    """A device of VFIO's, and what of it a context has.

    `pasids` in ascending order and `attached` (DMA without PASID) are what was attached through it;
    `file` has it open (0: none), `object` is it in `context`.  `passes_pasids`: its driver has
    pasid_attach_ioas, as vfio-pci.
    """

    name: Name
    group: Name
    passes_pasids: bool
    file: int = 0
    context: Name = ""
    object: int = 0
    pasids: list[Pasid] = field(default_factory=list)
    attached: bool = False


class File(Struct):
    """`bound`: its user may do more than bind.  `calls` are under way; `closer` waits for them."""

    device: Name
    group_fd: bool
    bound: bool = False
    calls: int = 0
    closer: Call = 0


class Do(Enum):
    """What a call does next."""

    LOCK = "takes the lock of the devices that are reset together"
    BIND = "has the device bound by iommufd"
    BOUND = "opens the device"
    ATTACH = "asks iommufd, in place of what is there"
    ATTACHED = "gives the user its page table"
    UNDO = "detaches what the user does not know of"
    DETACH = "asks iommufd"
    DETACHED = "it is detached"
    CLOSE = "nobody else uses the file"
    CLOSE_DEVICE = "the device's driver closes it"
    RESET_DONE = "a reset of the device is over"
    NEXT = "detaches the next of what is left"
    UNBIND = "has the device unbound"
    UNBOUND = "the device is nobody's"
    RELEASE = "the file goes"
    END = "answers"


class Task(Struct):
    """A call under way: what it does next (`todo`, last first), and the refusal so far.

    `got`: what iommufd has answered with, an object or a page table.  It is about `pasid` of the
    set (`fresh`: it was not in it before), or, not `by_pasid`, about DMA without one.
    """

    number: Call
    sender: Name
    request: Request
    todo: list[Do]
    errno: Errno | None = None
    got: int = 0
    file: int = 0
    device: Name = ""
    pasid: Pasid = 0
    by_pasid: bool = False
    fresh: bool = False
    lock: str = ""

    def then(self, *steps: Do) -> None:
        """These next, in this order."""
        self.todo.extend(reversed(steps))

    def fail(self, errno: Errno) -> None:
        """Nothing is left but the answer."""
        self.errno = errno
        self.todo = [Do.END]
