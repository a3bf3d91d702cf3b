"""What an iommufd context remembers: objects, groups with what is attached, tasks under way."""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct

from actors.iommufd.inbox import Request
from protocol.errors import Errno
from protocol.names import Call, Incarnation, Name, Pasid

FLAGS: Final = ("NEST_PARENT", "DIRTY_TRACKING", "FAULT_ID_VALID", "PASID")
"""What IOMMU_HWPT_ALLOC may ask for."""


class Object(Struct):
    """`users`: 1, and one for each that needs it, those that just look (`looks`) among them.

    An object that is not `ready` has its id, and nobody finds it.
    """

    users: int = 1
    looks: int = 0
    ready: bool = False


class Ioas(Object, tag=True):
    """An address space; its page tables are those that name it."""


class Paging(Object, tag=True):
    """A page table of an IOAS; `auto`: made for an attach, and gone with its last one."""

    ioas: int = 0
    flags: tuple[str, ...] = ()
    domain: Name = ""
    fault: int = 0
    auto: bool = False

    @property
    def parent(self) -> int:
        """Whom it holds."""
        return self.ioas


class Nested(Object, tag=True):
    """A guest's page table on top of a page table."""

    parent: int = 0
    flags: tuple[str, ...] = ()
    domain: Name = ""
    fault: int = 0


class Group(Struct, frozen=True):
    """Page requests with one number, and under which handle they came.

    `group` is the fault core's name of it, `count` its requests.
    """

    handle: Name
    device: Name
    pasid: Pasid
    number: int
    incarnation: Incarnation = 0
    group: int = 0
    count: int = 1


class FaultQueue(Object, tag=True):
    """Groups that nobody has read, and those that somebody has, by cookie."""

    deliver: list[Group] = []
    responses: dict[int, Group] = {}


class Device(Object, tag=True):
    """A device that a driver has bound; `unbinder` waits until nobody looks at it."""

    device: Name = ""
    group: Name = ""
    unbinder: Call = 0


class Mock(Object, tag=True):
    """A device of the mock driver, around a device object."""

    device: int = 0


AnyObject: TypeAlias = Ioas | Paging | Nested | FaultQueue | Device | Mock


class Attach(Struct):
    """What the devices (ids) of a group have for one PASID, and the core's handle of it."""

    hwpt: int
    devices: list[int]
    handle: Name


class Do(Enum):
    """What a task does next."""

    PAUSE = "lets others come in"
    LOCK_MOCK = "takes the lock of the mock device"
    LOOK_PT = "looks up what shall be attached"
    SWITCH = "page table or IOAS"
    TRY = "attach or replace, with the group locked"
    ATTACHED = "the core has attached"
    REPLACE = "asks the core what is there"
    REPLACE_GOT = "puts another in its place"
    REPLACED = "the core has replaced"
    MOVED = "users go over to the new page table"
    AUTO = "looks for a page table of the IOAS"
    AUTO_TRIED = "whether that one was good"
    AUTO_GOT = "a domain for a new one"
    AUTO_MADE = "whether the new one is good"
    ABORT = "the new page table goes"
    ABORTED = "its id is free"
    DETACH = "the device leaves, and asks the core what is there"
    DETACH_GOT = "takes it away"
    DETACHED = "the core has detached"
    RESPOND = "answers what nobody has answered"
    PUT_OLD = "lets go of the page table that was there"
    REMOVE_OLD = "and of the id of an automatic one"
    DESTROY = "what is dying goes"
    FREED = "its domain has gone"
    LOOK_PARENT = "looks up what it shall be a page table of"
    HWPT = "reserves a page table"
    HWPT_GOT = "a domain for it"
    MOCK = "makes a device"
    BIND = "a device object"
    BOUND = "it is the owner of DMA"
    MOCK_PT = "looks up what a mock device begins with"
    MOCK_MADE = "the mock device is there"
    MADE = "the object is there"
    UNBIND = "the device object goes"
    UNBOUND = "the ownership has gone"
    CHECK = "asks the core what a check is about"
    CHECKED = "compares"
    TRIGGER = "a device asks for a page"
    TRIGGERED = "somebody has it, or nobody"
    READ = "groups for the user"
    WRITE = "an answer of the user"
    HW_INFO = "asks the driver about a device"
    END = "answers, and lets go of everything"


class Task(Struct):
    """A call under way: what it does next (`todo`, last first), what it holds, what it has found.

    `errno` is the refusal so far, `refused` that of a call that is being undone; what is `dying`
    has lost its id and is being destroyed.
    """

    number: Call
    sender: Name
    request: Request
    todo: list[Do]
    errno: Errno | None = None
    refused: Errno | None = None
    got: Name = ""
    device: int = 0
    pasid: Pasid = 0
    pt: int = 0
    hwpt: int = 0
    old: int = 0
    fresh: int = 0
    mock: int = 0
    handle: Name = ""
    queue: int = 0
    looks: list[int] = []
    locks: list[str] = []
    dying: list[AnyObject] = []
    cookies: list[int] = []

    def then(self, *steps: Do) -> None:
        """These next, in this order."""
        self.todo.extend(reversed(steps))

    def fail(self, errno: Errno) -> None:
        """Nothing is left but the answer."""
        self.errno = errno
        self.todo = [Do.END]
