"""What the driver of an accelerator remembers: files with what they hold, and what it is asked."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct, field

from protocol.effects import Site
from protocol.errors import Errno
from protocol.messages import DupFiles, EnqcmdWriteGot, HostLost, ReleaseFds, Start
from protocol.messages.accelerators import (
    CloseFile,
    MmPasidGot,
    OpenDevice,
    PutQueue,
    StartQueue,
    UseFile,
    WriteDescriptor,
)
from protocol.messages.common import Done, Refused
from protocol.messages.iommu_core import AllocGlobalPasidGot
from protocol.messages.sva import SvaBindDeviceGot
from protocol.names import Call, Incarnation, Name, Pasid

Request: TypeAlias = (
    OpenDevice
    | UseFile
    | StartQueue
    | PutQueue
    | WriteDescriptor
    | CloseFile
    | DupFiles
    | ReleaseFds
    | Start
    | HostLost
)
"""What waits for its turn: Start is probe, HostLost the device's removal."""
Answer: TypeAlias = (
    Done | Refused | SvaBindDeviceGot | MmPasidGot | AllocGlobalPasidGot | EnqcmdWriteGot
)

CALL: Final[Call] = 1
"""One request at a time, and one call of it: one number is enough."""
FIRST_WRITTEN: Final = 1 << 20
"""Tags of descriptors that the driver submits itself begin here."""

NOMEM: Final = Site("accelerator.open.nomem", Errno.ENOMEM)
"""The file's context."""
NOMEM_TABLE: Final = Site("idxd.open.nomem_table", Errno.ENOMEM)
"""Its place in the table of user PASIDs."""
SET_PASID: Final = Site("idxd.open.set_pasid", Errno.EIO)
"""The PASID in the configuration of a dedicated WQ."""


class Part(Enum):
    """What a file holds, in the order in which open takes it."""

    MM = "mm"
    BOND = "bond"
    TABLE = "table"
    WQ = "wq"


class Step(Enum):
    """What the request in hand waits for."""

    BEGIN = "its turn"
    HOLD = "HoldMm"
    BIND = "SvaBindDevice"
    PASID = "GetMmPasid"
    ENABLE = "EnableWq"
    WRITE = "EnqcmdWrite"
    STOP = "DisableWq or DrainPasid"
    UNBIND = "SvaUnbindDevice"
    NUMBER = "AllocGlobalPasid"
    ATTACH = "AttachDevicePasid"
    DETACH = "DetachDevicePasid"
    FREE = "FreeGlobalPasid"


OF_DEVICE: Final = (Step.ENABLE, Step.WRITE, Step.STOP)
"""What a device that has gone never answers."""


class Queue(Enum):
    """Of uacce.  An idxd file is STARTED from open on."""

    INIT = "init"
    STARTED = "started"
    ZOMBIE = "zombie"


class File(Struct):
    """`process` has opened it, for its `mm`.  `holders` have a descriptor, `mapped` the portal."""

    process: Name
    mm: Name
    holders: list[Name]
    mapped: list[Name] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    handle: Name = ""
    pasid: Pasid = 0
    incarnation: Incarnation = 0
    queue: Queue = Queue.INIT

    @property
    def held(self) -> bool:
        """Whether anybody keeps it."""
        return bool(self.holders or self.mapped)


class Life(Struct, frozen=True):
    """A PASID of the kernel's own."""

    pasid: Pasid
    incarnation: Incarnation


class Asked(Struct, frozen=True):
    """A request and whose it is."""

    sender: Name
    request: Request
