"""What the VT-d driver of a modern kernel remembers: domains, the PASID table, tasks, locks.

Kernel: struct dmar_domain, dev_pasid_info, cache_tag in drivers/iommu/intel/iommu.h of Linux 7.3.
"""

from enum import Enum
from typing import Final, TypeAlias

from msgspec import Struct, field

from protocol.domains import BLOCKED, NULL
from protocol.effects import Site
from protocol.errors import Errno
from protocol.messages import PageRequest
from protocol.names import Call, Incarnation, Name, Pasid

NOMEM_DOMAIN: Final = Site("intel_iommu.domain_alloc", Errno.ENOMEM)
NOMEM_RECORD: Final = Site("intel_iommu.set_dev_pasid", Errno.ENOMEM)
NOMEM_TAG: Final = Site("intel_iommu.cache_tag", Errno.ENOMEM)

IDENTITY: Final = "IDENTITY"
STATIC: Final = (BLOCKED, IDENTITY)
"""Kinds of domain of which there is one for all: nothing is kept of who has it (a6dea58d8625)."""
FLPT_DEFAULT_DID: Final = 1
"""The domain id of every SVA domain."""

Tag: TypeAlias = tuple[Name, Pasid]
"""A device and a PASID."""


class Place(Struct, frozen=True):
    """struct dev_pasid_info: where a domain is attached."""

    device: Name
    pasid: Pasid
    incarnation: Incarnation


class CacheTag(Struct):
    """A cache that a flush of the domain has to reach, for `users` attachments.

    `place`: whose TLB it is, or for whom the IOTLB was tagged first.
    """

    kind: str
    unit: Name
    did: int
    place: Place
    users: int = 1


class Did(Struct):
    """The domain id of a domain at a unit, while it has `users` attachments there."""

    id: int
    users: int


class DomainState(Struct):
    """`vm` is whose tables it has: an mm's, or its maker's.  `notified`: the mm calls it back.

    `released`: the mm has gone, and no entry will point to its tables again.  `data`: what a nested
    one wants.
    """

    name: Name
    kind: str
    vm: Name
    parent: Name = NULL
    faults: bool = False
    notified: bool = False
    released: bool = False
    data: str = ""
    places: list[Place] = field(default_factory=list)
    tags: list[CacheTag] = field(default_factory=list)
    dids: dict[Name, Did] = field(default_factory=dict)


class Pte(Struct):
    """A PASID-table entry as the CPU has written it; without P it has FPD and nothing else."""

    vm: Name
    did: int
    levels: str
    present: bool = True


class What(Enum):
    """The steps that tasks are made of."""

    TAG = "assign cache tags, with a domain id"
    LINK = "into the domain's list"
    UNLINK = "out of the domain's list"
    UNTAG = "unassign cache tags, and the domain id"
    IOPF_GET = "a reference on page faults"
    IOPF_PUT = "one reference less on page faults"
    WRITE = "set up the entry"
    TEAR_DOWN = "whatever is in the table goes"
    CLEAR = "clear P"
    PASID_CACHE = "flush the PASID cache"
    IOTLB = "flush the IOTLB"
    DEV_TLB = "flush the device TLB"
    ZERO = "zero the entry"
    UNLOCK = "the domain's lock goes"
    FETCH = "what the device has asked for comes in"
    DRAIN = "drain page requests"
    SCAN = "look at the ring"
    FLUSH_FAULTS = "flush the fault core"
    FENCE = "fenced drain in hardware"
    TORN_DOWN = "the PASID is off the device"
    NEXT = "the next place of a release"
    FORGET = "no page request of the device is reported"
    LEAVE = "the next place of a device that goes"
    LEFT = "the device has it no more"
    FLUSH = "the next cache tag of a flush"
    NOTIFIER = "register the notifier"
    PUT_NOTIFIER = "put the notifier"
    RETURN = "back to service after a reset"


class Do(Struct, frozen=True):
    """A step, and the domain that it is about, if it is about one."""

    what: What
    domain: Name = NULL


class Task(Struct, tag=True):
    """What the driver does for a caller: `todo` in order; `done` is undone if a step fails.

    `place` is where; `silent`: fault_ignore, in a callback that may not sleep; `entry` is what it
    tears down, with `lock`; `whom` it has asked; `places` and `tags` are still to be gone through.
    """

    number: Call
    name: str
    asker: Name
    call: Call
    place: Place
    domain: Name = NULL
    old: Name = NULL
    todo: list[Do] = field(default_factory=list)
    done: list[Do] = field(default_factory=list)
    doing: Do | None = None
    whom: Name = NULL
    awaits: bool = False
    errno: Errno | None = None
    silent: bool = False
    entry: Pte | None = None
    places: list[Place] = field(default_factory=list)
    tags: list[CacheTag] = field(default_factory=list)
    page: int = 0
    lock: str = ""

    @property
    def title(self) -> str:
        """As facts call it."""
        return f"{self.name}:{self.number}"


class Stage(Enum):
    """What a round of the PRQ thread waits for."""

    WOKEN = "its turn to run"
    READ = "ReadPrq"
    REPORT = "ReportPageRequest"
    ADVANCE = "AdvancePrq"
    DISCARD = "DiscardPartialFaults"


class Round(Struct, tag=True):
    """One pass of the PRQ thread of `unit` over `requests`, `reported` of them so far."""

    number: Call
    unit: Name
    stage: Stage = Stage.WOKEN
    requests: tuple[PageRequest, ...] = ()
    reported: int = 0
    again: bool = False
    overflow: bool = False

    @property
    def title(self) -> str:
        """As facts call it."""
        return f"prq:{self.number}"
