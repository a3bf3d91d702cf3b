"""What the VMM of a machine's guests remembers: of each VM its objects, PASIDs and who uses them.

Kernel: none; QEMU's iommufd backend, and struct vdcm_idxd of Intel's SIOV tree (2023).
"""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct, field

from protocol.errors import Errno
from protocol.messages import Done, NotifyReply, Refused
from protocol.messages.guests import FaultsTaken
from protocol.messages.iommu_core import AllocGlobalPasidGot
from protocol.messages.iommufd import ObjectGot, PtGot
from protocol.names import Call, Gpasid, Incarnation, Name, Pasid

NOBODY: Call = 0

Answer: TypeAlias = (
    Done | Refused | ObjectGot | PtGot | AllocGlobalPasidGot | FaultsTaken | NotifyReply
)
"""What a task may be answered with."""


class Life(Struct):
    """A PASID of a VM, from its number to its number's return.

    `tables` has the nested page table by device, `users` who may make hardware use it, by holder
    and count; `gpasid` stands for it while it is bound; who is `leaving` gets no new user.
    """

    incarnation: Incarnation
    gpasid: Gpasid = 0
    tables: dict[Name, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)
    leaving: bool = False


class Vm(Struct):
    """One VM.  What is 0, or not there, is not made.

    `number` stands for it where KVM and the VDCM say a set.  `open` lists its groups with devices
    that are bound to its context; the dicts have the ids of objects, by unit or by device.
    `faults` has the cookies of page requests that the guest has not answered.  `told` are those who
    want to hear of its PASIDs; `bereft`: one of them is lost, and nobody would clean up behind it.
    """

    name: Name
    number: int
    groups: tuple[tuple[Name, ...], ...]
    ioas: int = 0
    queue: int = 0
    parents: dict[Name, int] = field(default_factory=dict)
    viommus: dict[Name, int] = field(default_factory=dict)
    devices: dict[Name, int] = field(default_factory=dict)
    vdevices: dict[Name, int] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    pasids: dict[Pasid, Life] = field(default_factory=dict)
    faults: dict[tuple[Name, Pasid, int], int] = field(default_factory=dict)
    told: dict[Name, int] = field(default_factory=dict)
    bereft: bool = False
    released: bool = False
    guest_lost: bool = False
    holder: Call = NOBODY
    waiting: list[Call] = field(default_factory=list)


class What(Enum):
    """The steps that tasks are made of."""

    IOAS = "an address space"
    QUEUE = "a fault queue"
    DEVICE = "the device becomes an object"
    PARENT = "a page table of the guest's memory"
    VIOMMU = "the guest's IOMMU"
    VDEVICE = "the device behind it"
    OPENED = "the group is open"
    NUMBER = "a number"
    NEST = "a nested page table"
    ATTACH = "it is attached"
    BIND = "BIND is told"
    DETACH = "it is detached"
    DESTROY = "it is destroyed"
    UNBIND = "UNBIND is told"
    LEAVE = "nobody new may use it"
    FREE = "FREE is told"
    UNUSED = "nobody uses it any more"
    GIVE_BACK = "the number goes back"
    NO_VDEVICE = "the vDevice is destroyed"
    NO_VIOMMU = "the vIOMMU is destroyed"
    NO_PARENT = "the page table is destroyed"
    NO_DEVICE = "the device is unbound"
    CLOSE_QUEUE = "the queue's file is closed"
    NO_QUEUE = "the queue is destroyed"
    NO_IOAS = "the address space is destroyed"
    END = "all is done"


class Do(Struct, frozen=True):
    """A step, and the device (or unit) and PASID that it is about."""

    what: What
    at: Name = ""
    pasid: Pasid = 0


class Task(Struct):
    """A request under way, with the steps still `todo`; `done` is what a refusal takes back.

    `name` is open, alloc, free, bind, unbind or release; `range` is what is
    freed, `table` a page table between two steps, `telling` who is still to be
    told.  Of an answer to a page request: `device`, `cookie` and `code`.
    """

    number: Call
    name: str
    vm: Name
    caller: Name
    call: Call
    group: int = 0
    pasid: Pasid = 0
    gpasid: Gpasid = 0
    ghost: Incarnation = 0
    range: tuple[Pasid, Pasid] = (0, 0)
    todo: list[Do] = field(default_factory=list)
    doing: Do | None = None
    done: list[Do] = field(default_factory=list)
    telling: list[Name] = field(default_factory=list)
    table: int = 0
    device: Name = ""
    cookie: int = 0
    code: int = 0
    errno: Errno | None = None
    rolled_back: int = 0

    @property
    def title(self) -> str:
        """As facts call it."""
        return f"{self.name}:{self.number}"

    def then(self, *steps: Do) -> None:
        """These next, in this order."""
        self.todo[:0] = steps
