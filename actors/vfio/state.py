"""What VFIO keeps: a record of each process, and a task for each call that is under way.

Kernel: drivers/vfio/vfio_pasid.c (struct vfio_mm), vfio_iommu_type1.c of "vfio: expose virtual
Shared Virtual Addressing to VMs" v7.  §1.6, §1.7, §4.1.
"""

from enum import Enum
from typing import TypeAlias

from msgspec import Struct

from protocol.errors import Errno
from protocol.messages import AllocPasidGot, AllocSetGot, Done, PutPasidGot, Refused
from protocol.names import NO_SET, Call, Gpasid, Incarnation, Name, Pasid

NOBODY: Call = 0
CHECK = "check"
"""Why VFIO holds a reference while it binds or unbinds."""

Answer: TypeAlias = Done | Refused | AllocSetGot | AllocPasidGot | PutPasidGot


class Process(Struct):
    """One VM's process.  It has a vfio_mm, so PASIDs, exactly while `containers` is not empty.

    `groups` is what the machine gives it, `containers` which of them are open.  `pasids` is
    its tree, with the ghosts.  `holder` is the task that has `pasid_lock`, `waiting` who is next.
    """

    groups: tuple[tuple[Name, ...], ...]
    set: int = NO_SET
    containers: list[int] = []
    pasids: dict[Pasid, Incarnation] = {}
    holder: Call = NOBODY
    waiting: list[Call] = []
    released: bool = False
    guest_lost: bool = False


def refusal(answer: Answer) -> Errno | None:
    """The errno of an answer, or None."""
    return answer.errno if isinstance(answer, Refused) else None


class Work(Struct, kw_only=True):
    """A kernel thread in VFIO: for `vm`, to be answered as call `call` of `caller`."""

    number: Call
    vm: Name
    caller: Name
    call: Call

    @property
    def name(self) -> str:
        """As the facts name it: `bind:4`."""
        return f"{type(self).__name__.lower()}:{self.number}"


class OpenStep(Enum):
    """What opening a container waits for."""

    ALLOC_SET = "AllocSet"
    ATTACH_DOMAIN = "AttachDomain"
    DETACH_DOMAIN = "DetachDomain"
    FREE_SET = "FreeSet"


class Open(Work, kw_only=True, tag=True):
    """`attached`: devices that have the domain by this call; `errno`: why it is being undone."""

    group: int
    step: OpenStep = OpenStep.ATTACH_DOMAIN
    attached: list[Name] = []
    errno: Errno | None = None


class AllocStep(Enum):
    """What an allocation waits for."""

    ALLOC_PASID = "AllocPasid"
    FREE_PASID = "FreePasid"


class Alloc(Work, kw_only=True, tag=True):
    """One PASID in [min, max]."""

    min: Pasid
    max: Pasid
    step: AllocStep = AllocStep.ALLOC_PASID


class Free(Work, kw_only=True, tag=True):
    """All PASIDs of the process in [min, max], one FreePasid after the other."""

    min: Pasid
    max: Pasid


class BindStep(Enum):
    """What a bind waits for."""

    GET_IF_OWNED = "GetIfOwned"
    BIND_GPASID = "BindGpasid"
    UNBIND_GPASID = "UnbindGpasid"
    PUT_PASID = "PutPasid"


class Bind(Work, kw_only=True, tag=True):
    """`bound`: devices that this call bound; `undo`: those still to be unbound after `errno`."""

    group: int
    pasid: Pasid
    incarnation: Incarnation
    gpasid: Gpasid
    table: int
    step: BindStep = BindStep.GET_IF_OWNED
    bound: list[Name] = []
    undo: list[Name] = []
    errno: Errno | None = None


class UnbindStep(Enum):
    """What an unbind waits for."""

    GET_IF_OWNED = "GetIfOwned"
    UNBIND_GPASID = "UnbindGpasid"
    PUT_PASID = "PutPasid"


class Unbind(Work, kw_only=True, tag=True):
    """`left`: devices of the group that have not been unbound yet."""

    group: int
    pasid: Pasid
    incarnation: Incarnation
    left: list[Name]
    step: UnbindStep = UnbindStep.GET_IF_OWNED


class ReleaseStep(Enum):
    """What closing the files waits for."""

    UNBIND_GPASID = "UnbindGpasid"
    DETACH_DOMAIN = "DetachDomain"
    FREE_ALL_IN_SET = "FreeAllInSet"
    FREE_SET = "FreeSet"


class Release(Work, kw_only=True, tag=True):
    """`unbinds`: (PASID, ghost, device) still to unbind; `detaches`: devices with the domain."""

    step: ReleaseStep = ReleaseStep.UNBIND_GPASID
    unbinds: list[tuple[Pasid, Incarnation, Name]] = []
    detaches: list[Name] = []


class Respond(Work, kw_only=True, tag=True):
    """A page response on its way to the driver; no caller: VFIO's own."""


Locked: TypeAlias = Open | Alloc | Free | Bind | Unbind | Release
"""What goes behind `pasid_lock`."""

Task: TypeAlias = Open | Alloc | Free | Bind | Unbind | Release | Respond
